//! Why a request came to nothing. What the daemon refuses is kept as it came, for the words of whoever asked; all
//! else is a sentence already, with the options of the command line as remedies.

use capture_task::{
    error::ErrorKind,
    problem::{EDITION, NO_SPACE, ProblemBody, ROLE},
};
use http::StatusCode;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon refuses. `None` where it does not say why.
    #[error("the daemon answers {status}")]
    Refused {
        /// Status of the answer.
        status: StatusCode,
        /// What it says.
        problem: Option<Box<ProblemBody>>,
    },
    /// The daemon cannot be asked, or its answer not understood.
    #[error("{message}")]
    Failed {
        /// The kind of failure.
        kind: ErrorKind,
        /// One or two sentences.
        message: String,
    },
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error for an answer that is not a good one.
    pub fn refused(status: StatusCode, body: &[u8]) -> Self {
        let problem = serde_json::from_slice(body).ok();
        Self::Refused { status, problem }
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Failed { kind, .. } => *kind,
            Self::Refused { status, problem } => {
                let errors = problem.iter().flat_map(|problem| &problem.errors);
                let code = errors.map(|error| error.code.as_str()).next();
                kind_of(*status, code.unwrap_or_default())
            }
        }
    }

    /// A failure of this kind.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Failed { kind, message }
    }

    /// [`ErrorKind::Usage`].
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// [`ErrorKind::Unreachable`].
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreachable, message)
    }
}

fn kind_of(status: StatusCode, code: &str) -> ErrorKind {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => ErrorKind::Usage,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::INSUFFICIENT_STORAGE if code == NO_SPACE => ErrorKind::Runtime,
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => {
            ErrorKind::Conflict
        }
        // An edition that does not capture is a quota of none.
        StatusCode::FORBIDDEN if code == EDITION => ErrorKind::Conflict,
        // The role is one of somebody whom the daemon knows; others do not reach it.
        StatusCode::FORBIDDEN if code == ROLE => ErrorKind::Missing,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE => {
            ErrorKind::Unreachable
        }
        _ => ErrorKind::Runtime,
    }
}
