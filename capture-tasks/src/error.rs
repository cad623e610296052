//! Errors of the daemon in words for people. What comes from the crates below is put into words here: they
//! say what happened, and this says it in the terms of the API and the configuration.

use capture_engine::Remedy;
pub use capture_task::error::ErrorKind;
use capture_task::plan::{FaultKind, Wording};

/// Why something was refused or failed, for people: what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// One or two sentences.
    pub message: String,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// [`ErrorKind::Runtime`].
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Runtime, message)
    }

    /// [`ErrorKind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// [`ErrorKind::Missing`].
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Missing, message)
    }

    /// [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
}

impl From<capture_store::Error> for Error {
    fn from(capture_store::Error { kind, message }: capture_store::Error) -> Self {
        Self { kind, message }
    }
}

impl From<capture_store::Failure> for Error {
    fn from(failure: capture_store::Failure) -> Self {
        capture_store::Error::from(failure).into()
    }
}

impl From<capture_file::Error> for Error {
    fn from(error: capture_file::Error) -> Self {
        use capture_file::Error;
        let kind = error.kind();
        let message = match error {
            Error::LimitTooSmall {
                field,
                bytes,
                least,
            } => {
                let sentence = FaultKind::BelowEmptyFile { bytes, least }.sentence(Wording::API);
                format!("`{}`: {sentence}", field.name())
            }
            Error::LinkTypes { .. } | Error::LaterLinkType { .. } => {
                format!("{error}; use the format `pcapng`")
            }
            Error::Budget { .. } => format!("{error}; delete tasks, or raise `disk_budget`"),
            Error::Reserve { .. } => {
                format!("{error}; delete tasks or free some, or lower `capture.keep_free`")
            }
            // The names of files are the daemon's own, and nobody can choose others.
            _ => error.to_string(),
        };
        Self { kind, message }
    }
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<capture_engine::Error> for Error {
    fn from(error: capture_engine::Error) -> Self {
        if let capture_engine::Error::File(error) = error {
            return error.into();
        }
        let message = match error.remedy().and_then(remedy_words) {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        };
        Self::new(error.kind(), message)
    }
}

fn remedy_words(remedy: Remedy<'_>) -> Option<String> {
    Some(match remedy {
        Remedy::UseTc => "use `\"hook\": \"auto\"` (tc)".to_owned(),
        Remedy::UseTcOrGenericXdp => {
            "use `\"hook\": \"auto\"` (tc), or `\"hook\": \"xdp-generic\"`".to_owned()
        }
        Remedy::UseTcOrRemoveXdp(interface) => format!(
            "use `\"hook\": \"auto\"` (tc), or remove it with `ip link set dev {interface} xdp off`"
        ),
        Remedy::IngressOnlyOrRemoveQdisc(interface) => format!(
            "capture with `\"direction\": \"ingress\"`, or remove it with `tc qdisc del dev {interface} ingress`"
        ),
        Remedy::EgressOnlyOrRemoveXdp => "capture with `\"direction\": \"egress\"`, or remove the program (a second one, as by `\"hook\": \"xdp-generic\"`, has no place beside it)".to_owned(),
        Remedy::SmallerRings => {
            "try a smaller `capture.ring_size` in the daemon's configuration".to_owned()
        }
        Remedy::ListInterfaces => "`capture-agent interfaces` lists what there is".to_owned(),
        Remedy::Doctor => "`capture-agent doctor` says more".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use capture_engine::error::AttachError;
    use capture_task::plan::{Field, Hook};

    use super::*;

    #[test]
    fn remedies_are_in_words_of_the_api_and_the_configuration() {
        let taken = capture_engine::Error::Attach {
            interface: "eth0".to_owned(),
            hook: Hook::Xdp,
            cause: AttachError::XdpTaken,
        };
        for (error, kind, sentence) in [
            (
                taken,
                ErrorKind::Conflict,
                "eth0 already has an XDP program, which was left untouched; use `\"hook\": \"auto\"` (tc), or remove it with \
                 `ip link set dev eth0 xdp off`",
            ),
            (
                capture_engine::Error::OutOfMemory,
                ErrorKind::Runtime,
                "not enough memory for the kernel tables and rings; try a smaller `capture.ring_size` in the daemon's \
                 configuration",
            ),
        ] {
            let error = Error::from(error);
            assert_eq!((error.kind, error.message.as_str()), (kind, sentence));
        }
    }

    #[test]
    fn errors_of_outputs_say_what_to_do_in_words_of_the_configuration() {
        let error = capture_file::Error::Budget { limit: 9, used: 8 };
        assert_eq!(
            Error::from(error).message,
            "the disk budget of 9 bytes for captures is used up (8 are taken); delete tasks, or raise \
             `disk_budget`"
        );
        let error = capture_file::Error::LimitTooSmall {
            field: Field::MaxFileBytes,
            bytes: 7,
            least: 24,
        };
        let Error { kind, message } = error.into();
        assert_eq!(kind, ErrorKind::Usage);
        assert_eq!(
            message,
            "`max_file_bytes`: 7 is less than the 24 bytes of a file without packets; give more"
        );
    }
}
