//! [`Error`] as the error that the engine passes on, with what to do about it, until the engine has kinds of
//! errors of its own and leaves that to those who tell people.

use super::error::{Error, Foreign, Refusal, SizeLimit};

impl From<Error> for capture_task::error::Error {
    fn from(error: Error) -> Self {
        let advice = match &error {
            Error::LinkTypes { .. } | Error::LaterLinkType { .. } => "; use pcapng",
            Error::OtherUser {
                what: Foreign::Link(_),
                ..
            } => "; name the file that it points to",
            Error::Refused {
                why: Refusal::OtherProcess,
                ..
            } => "; name the file itself",
            Error::OtherUser { .. } | Error::NotReplaceable { .. } => "; name another file",
            Error::Terminal { .. } | Error::NotRotatable { .. } => "; name a file",
            Error::InUse { .. } => "; choose another name",
            Error::Budget { .. } => "; delete tasks, or raise `disk_budget`",
            Error::LimitTooSmall {
                limit: SizeLimit::File,
                ..
            } => " (rotate.bytes); give more",
            Error::LimitTooSmall {
                limit: SizeLimit::Task,
                ..
            } => " (max_file_bytes); give more",
            _ => "",
        };
        Self::new(error.kind(), format!("{error}{advice}"))
    }
}
