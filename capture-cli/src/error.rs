//! Errors of the command line in words for people. What comes from the crates below is put into words here:
//! they say what happened, and this says it in the terms of options.

use std::path::Path;

use capture_engine::Remedy;
use capture_file::{Foreign, Refusal};
pub(crate) use capture_task::error::ErrorKind;
use capture_task::plan::FaultKind;

use super::words;

/// Why something was refused or failed, for people: what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    /// The kind of failure.
    pub(crate) kind: ErrorKind,
    /// One or two sentences.
    pub(crate) message: String,
}

impl Error {
    /// An error of this kind.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// [`ErrorKind::Runtime`].
    pub(crate) fn runtime(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Runtime, message)
    }

    /// [`ErrorKind::Usage`].
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// [`ErrorKind::Conflict`].
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// [`ErrorKind::NotFound`].
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
}

/// Result with [`Error`].
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<capture_file::Error> for Error {
    fn from(error: capture_file::Error) -> Self {
        let kind = error.kind();
        if let capture_file::Error::LimitTooSmall {
            field,
            bytes,
            least,
        } = error
        {
            // The task may be one of a file, which has the keys of the API.
            let name = field.name();
            let option = words::option(field).unwrap_or(name);
            let sentence = FaultKind::BelowEmptyFile { bytes, least }.sentence(words::OPTIONS);
            let message = format!("{name} ({option}): {sentence}");
            return Self { kind, message };
        }
        let message = match advice(&error) {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        };
        Self { kind, message }
    }
}

/// What can be done about an output that cannot be opened.
fn advice(error: &capture_file::Error) -> Option<&'static str> {
    use capture_file::Error;
    Some(match error {
        Error::LinkTypes { .. } | Error::LaterLinkType { .. } => "use pcapng",
        Error::OtherUser {
            what: Foreign::Link(_),
            ..
        } => "name the file that it points to",
        Error::OtherUser { .. } | Error::NotReplaceable { .. } => "name another file",
        Error::Refused {
            why: Refusal::OtherProcess,
            ..
        } => "name the file itself",
        Error::Refused {
            why: Refusal::StandardError,
            ..
        } => "use standard output, or name a file",
        Error::Terminal { path } if path == Path::new("-") => "redirect it, or name a file with -w",
        Error::Terminal { .. } | Error::NotRotatable { .. } => "name a file",
        Error::InUse { .. } => "choose another name",
        Error::Reserve { .. } => "free some, or lower --keep-free",
        _ => return None,
    })
}

impl From<capture_store::Error> for Error {
    fn from(capture_store::Error { kind, message }: capture_store::Error) -> Self {
        Self { kind, message }
    }
}

impl From<capture_tasks::error::Error> for Error {
    fn from(error: capture_tasks::error::Error) -> Self {
        let capture_tasks::error::Error { kind, message } = error;
        Self { kind, message }
    }
}

impl From<capture_engine::Error> for Error {
    fn from(error: capture_engine::Error) -> Self {
        Self::new(error.kind(), engine_sentence(&error))
    }
}

/// An error of the engine, and what to do about it, in one sentence.
pub(crate) fn engine_sentence(error: &capture_engine::Error) -> String {
    if let capture_engine::Error::File(error) = error {
        return Error::from(error.clone()).message;
    }
    match error.remedy().and_then(remedy_words) {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

fn remedy_words(remedy: Remedy<'_>) -> Option<String> {
    Some(match remedy {
        Remedy::UseTc => "use `--hook auto` (tc)".to_owned(),
        Remedy::UseTcOrGenericXdp => {
            "use `--hook auto` (tc), or `--hook xdp-generic`".to_owned()
        }
        Remedy::UseTcOrRemoveXdp(interface) => format!(
            "use `--hook auto` (tc), or remove it with `ip link set dev {interface} xdp off`"
        ),
        Remedy::IngressOnlyOrRemoveQdisc(interface) => format!(
            "capture with `-Q ingress`, or remove it with `tc qdisc del dev {interface} ingress`"
        ),
        Remedy::EgressOnlyOrRemoveXdp => "capture with `-Q egress`, or remove the program (a second one, as by `--hook xdp-generic`, has no place beside it)".to_owned(),
        Remedy::SmallerRings => "try a smaller `--ring-size`".to_owned(),
        Remedy::ListInterfaces => "`capture-agent interfaces` lists them".to_owned(),
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
    fn remedies_are_options() {
        let attach = |hook, cause| capture_engine::Error::Attach {
            interface: "eth0".to_owned(),
            hook,
            cause,
        };
        let no_link_header = capture_engine::Error::NoLinkHeader {
            interface: "eth0".to_owned(),
            why: "why".to_owned(),
        };
        let qdisc = "ingress".to_owned();
        for (error, kind, sentence) in [
            (
                attach(Hook::Xdp, AttachError::NoNativeXdp),
                ErrorKind::Missing,
                "the driver of eth0 cannot do native XDP; use `--hook auto` (tc), or `--hook xdp-generic`",
            ),
            (
                attach(Hook::Xdp, AttachError::XdpTaken),
                ErrorKind::Conflict,
                "eth0 already has an XDP program, which was left untouched; use `--hook auto` (tc), or remove it with \
                 `ip link set dev eth0 xdp off`",
            ),
            (
                attach(Hook::Tc, AttachError::NoEgressSide { qdisc }),
                ErrorKind::Missing,
                "eth0 has the qdisc `ingress`, which has no egress side; capture with `-Q ingress`, or remove it with \
                 `tc qdisc del dev eth0 ingress`",
            ),
            (
                no_link_header,
                ErrorKind::Conflict,
                "cannot capture by tc at ingress of eth0: why; capture with `-Q egress`, or remove the program (a second one, \
                 as by `--hook xdp-generic`, has no place beside it)",
            ),
            (
                capture_engine::Error::OutOfMemory,
                ErrorKind::Runtime,
                "not enough memory for the kernel tables and rings; try a smaller `--ring-size`",
            ),
        ] {
            let error = Error::from(error);
            assert_eq!((error.kind, error.message.as_str()), (kind, sentence));
        }
    }

    #[test]
    fn errors_of_outputs_say_what_to_do_in_words_of_options() {
        use capture_file::Error as File;
        let path = |name: &str| Path::new(name).to_owned();
        for (error, kind, message) in [
            (
                File::Terminal { path: path("-") },
                ErrorKind::Usage,
                "standard output is a terminal; redirect it, or name a file with -w",
            ),
            (
                File::InUse {
                    path: path("a.pcap.part"),
                },
                ErrorKind::Conflict,
                "a.pcap.part is being written by another capture; choose another name",
            ),
            (
                File::LimitTooSmall {
                    field: Field::RotateBytes,
                    bytes: 7,
                    least: 24,
                },
                ErrorKind::Usage,
                "rotate.bytes (--rotate-bytes): 7 is less than the 24 bytes of a file without packets; \
                 give more",
            ),
            (
                File::NoReader { path: path("fifo") },
                ErrorKind::Runtime,
                "nobody reads the FIFO fifo",
            ),
        ] {
            let error = Error::from(error);
            assert_eq!((error.kind, error.message.as_str()), (kind, message));
        }
    }
}
