//! Why the engine refuses or fails, as kinds with data.
//!
//! `Display` says what is wrong in one sentence, with what helps on any system: a kernel version, a capability, a
//! command of `ip`. What helps depends on who asked, where it is an option of the command line or a key of the API:
//! [`Error::remedy`] says which remedy that is, and the command line and the daemon have the words.

mod attach;
mod namespace;

use std::io;

use caps::Capability;
use capture_common::MAX_INTERFACES;
use capture_task::{
    Cause,
    error::ErrorKind,
    plan::{Hook, Keyword as _, quote},
};

pub use self::{attach::AttachError, namespace::NamespaceError};
use crate::{
    kernel::{Denial, KernelVersion},
    privileges, procfs,
};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine refuses or fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel is older than [`KernelVersion::FLOOR`].
    #[error(
        "the kernel is {0}, and the oldest that works is {floor}; a newer one is needed",
        floor = KernelVersion::FLOOR
    )]
    OldKernel(KernelVersion),
    /// A kernel whose tc and XDP hooks can preempt each other.
    #[error(
        "this is a real-time kernel (PREEMPT_RT) of {since} or later, where hooks on one CPU can preempt each other, which the kernel programs cannot handle; boot a kernel without PREEMPT_RT, or one older than {since}",
        since = KernelVersion::PREEMPTIBLE_SOFTIRQS
    )]
    RealTimeKernel,
    /// The process is in a user namespace.
    #[error(
        "this is a user namespace, in which the kernel grants no BPF; {}",
        privileges::USER_NAMESPACE_REMEDY
    )]
    UserNamespace,
    /// Capabilities that capturing needs.
    #[error(
        "capturing needs {}, which this process lacks; {}",
        privileges::names(.0),
        privileges::privilege_remedy()
    )]
    MissingCapabilities(Vec<Capability>),
    /// The kernel does not say which capabilities there are.
    #[error("cannot read the capabilities: {0}")]
    UnknownCapabilities(#[from] caps::errors::CapsError),
    /// bpf(2) is denied as such.
    #[error("{0}")]
    Denied(Denial),
    /// This binary has no kernel programs.
    #[error(
        "this binary was built without its kernel programs; install a package of the release, or build it where the BPF tools are"
    )]
    NoPrograms,
    /// The kernel refuses one program.
    #[error("the kernel refuses the program {name}: {reason}")]
    ProgramRefused {
        /// Name of the program.
        name: &'static str,
        /// What the kernel says.
        reason: String,
    },
    /// The kernel refuses to load programs or maps.
    #[error("the kernel refuses to load programs: {cause:#}; {denial}")]
    LoadDenied {
        /// What the kernel says.
        #[source]
        cause: anyhow::Error,
        /// Who denies it, as far as can be found out.
        denial: Denial,
    },
    /// Loading failed in another way.
    #[error("{0:#}")]
    Load(#[source] anyhow::Error),
    /// The loader, a process of its own, has loaded nothing.
    #[error("{words}")]
    Loader {
        /// Why, in its words.
        words: String,
        /// Whether something is missing that another machine has.
        is_missing: bool,
    },
    /// No memory for tables and rings.
    #[error("not enough memory for the kernel tables and rings")]
    OutOfMemory,
    /// The kernel's tables, counters or programs do not answer as they should.
    #[error("cannot {doing}: {cause:#}")]
    Kernel {
        /// What was being done: `read the kernel's counters`.
        doing: &'static str,
        /// Why it failed.
        #[source]
        cause: anyhow::Error,
    },
    /// A system call failed.
    #[error("cannot {doing}: {}", Cause(cause))]
    System {
        /// What was being done: `list the interfaces`.
        doing: &'static str,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
    /// A file of `/proc`.
    #[error(transparent)]
    Procfs(#[from] procfs::ReadError),
    /// All slots are taken.
    #[error("64 tasks are running already, and that is the limit")]
    NoSlot,
    /// A handle of a task that was removed.
    #[error("the engine has no such task")]
    NoSuchTask,
    /// The reader has panicked.
    #[error("the reader thread has ended before its time; this is a bug")]
    ReaderGone,
    /// No interface has this name.
    #[error("there is no interface {}{}", quote(name), did_you_mean(near.as_deref()))]
    UnknownInterface {
        /// The name.
        name: String,
        /// One that is like it.
        near: Option<String>,
    },
    /// The frames of an interface are of a kind that is not understood.
    #[error("cannot capture on {interface}: {link}")]
    UnsupportedLink {
        /// The interface.
        interface: String,
        /// `unsupported: InfiniBand frames`.
        link: String,
    },
    /// More interfaces than the kernel's tables have rows for.
    #[error("more than {MAX_INTERFACES} interfaces at the same time")]
    TooManyInterfaces,
    /// Another task captures there by another kind of XDP.
    #[error(
        "{interface} already captures by {}; one interface has one kind of XDP at a time",
        there.keyword()
    )]
    HookConflict {
        /// The interface.
        interface: String,
        /// What is there.
        there: Hook,
    },
    /// A program could not be attached to an interface.
    #[error("{}", cause.sentence(interface, *hook))]
    Attach {
        /// The interface.
        interface: String,
        /// The hook.
        hook: Hook,
        /// Why.
        cause: AttachError,
    },
    /// tc at ingress would be shown frames without their link header.
    #[error("cannot capture by tc at ingress of {interface}: {why}")]
    NoLinkHeader {
        /// The interface.
        interface: String,
        /// Behind which program.
        why: String,
    },
    /// tc at ingress has been shown frames without their link header.
    #[error("{why}; packets after {since} may lack it in the file, or be missing")]
    LinkHeaderLost {
        /// Behind which program.
        why: String,
        /// The last look before, UTC.
        since: String,
    },
    /// A network namespace cannot be entered.
    #[error("{}", cause.sentence(name))]
    Namespace {
        /// A name of `ip netns`, or a path.
        name: String,
        /// Why.
        cause: NamespaceError,
    },
    /// The output of a task.
    #[error(transparent)]
    File(#[from] capture_file::Error),
}

/// What helps against an [`Error`] and is named differently by the command line and the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy<'a> {
    /// The default hook.
    UseTc,
    /// The default hook, or XDP in the stack.
    UseTcOrGenericXdp,
    /// The default hook, or to remove the XDP program of this interface.
    UseTcOrRemoveXdp(&'a str),
    /// Only what comes in, or to remove the qdisc of this interface.
    IngressOnlyOrRemoveQdisc(&'a str),
    /// Only what goes out, or to remove the generic XDP program.
    EgressOnlyOrRemoveXdp,
    /// Smaller rings.
    SmallerRings,
    /// To look at the list of interfaces.
    ListInterfaces,
    /// To look at what the doctor says.
    Doctor,
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::OldKernel(_)
            | Self::RealTimeKernel
            | Self::UserNamespace
            | Self::MissingCapabilities(_)
            | Self::Denied(_)
            | Self::NoPrograms
            | Self::ProgramRefused { .. }
            | Self::LoadDenied { .. }
            | Self::Loader {
                is_missing: true, ..
            } => ErrorKind::Missing,
            Self::UnknownCapabilities(_)
            | Self::Load(_)
            | Self::Loader { .. }
            | Self::OutOfMemory
            | Self::Kernel { .. }
            | Self::System { .. }
            | Self::Procfs(_)
            | Self::NoSlot
            | Self::ReaderGone
            | Self::TooManyInterfaces
            | Self::LinkHeaderLost { .. } => ErrorKind::Runtime,
            Self::NoSuchTask => ErrorKind::NotFound,
            Self::UnknownInterface { .. } | Self::UnsupportedLink { .. } => ErrorKind::Usage,
            Self::HookConflict { .. } | Self::NoLinkHeader { .. } => ErrorKind::Conflict,
            Self::Attach { cause, .. } => cause.kind(),
            Self::Namespace { cause, .. } => cause.kind(),
            Self::File(error) => error.kind(),
        }
    }

    /// Whether it is the lack of an interface, which may come.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::UnknownInterface { .. }
                | Self::Attach {
                    cause: AttachError::Vanished,
                    ..
                }
        )
    }

    /// What helps, where that is an option of the command line or a key of the API.
    pub fn remedy(&self) -> Option<Remedy<'_>> {
        match self {
            Self::Attach {
                interface, cause, ..
            } => match cause {
                AttachError::NoNativeXdp => Some(Remedy::UseTcOrGenericXdp),
                AttachError::XdpTaken => Some(Remedy::UseTcOrRemoveXdp(interface)),
                AttachError::XdpMisfit => Some(Remedy::UseTc),
                AttachError::NoEgressSide { .. } => {
                    Some(Remedy::IngressOnlyOrRemoveQdisc(interface))
                }
                _ => None,
            },
            Self::NoLinkHeader { .. } => Some(Remedy::EgressOnlyOrRemoveXdp),
            Self::OutOfMemory => Some(Remedy::SmallerRings),
            Self::UnknownInterface { near: None, .. } => Some(Remedy::ListInterfaces),
            Self::ProgramRefused { .. } => Some(Remedy::Doctor),
            _ => None,
        }
    }

    /// For `map_err`: a system call that failed.
    pub(crate) fn system<E: Into<io::Error>>(doing: &'static str) -> impl Fn(E) -> Self {
        move |cause| Self::System {
            doing,
            cause: cause.into(),
        }
    }

    /// For `map_err`: something of the kernel's that failed.
    pub(crate) fn kernel<E: Into<anyhow::Error>>(doing: &'static str) -> impl Fn(E) -> Self {
        move |cause| Self::Kernel {
            doing,
            cause: cause.into(),
        }
    }
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {}?", quote(near)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach(hook: Hook, cause: AttachError) -> Error {
        Error::Attach {
            interface: "eth0".to_owned(),
            hook,
            cause,
        }
    }

    /// One of each that has a remedy.
    fn with_remedy() -> Vec<Error> {
        let qdisc = "ingress".to_owned();
        vec![
            attach(Hook::Xdp, AttachError::NoNativeXdp),
            attach(Hook::Xdp, AttachError::XdpTaken),
            attach(Hook::Xdp, AttachError::XdpMisfit),
            attach(Hook::Tc, AttachError::NoEgressSide { qdisc }),
            Error::NoLinkHeader {
                interface: "eth0".to_owned(),
                why: "because".to_owned(),
            },
            Error::OutOfMemory,
            Error::UnknownInterface {
                name: "eht0".to_owned(),
                near: None,
            },
            Error::ProgramRefused {
                name: "capture_xdp",
                reason: "EINVAL".to_owned(),
            },
        ]
    }

    #[test]
    fn no_sentence_names_an_option_or_a_key() {
        for error in with_remedy() {
            assert!(error.remedy().is_some(), "{error:?}");
            let sentence = error.to_string();
            for word in ["--", "-Q", "capture.", "\"hook\"", "`hook`"] {
                assert!(!sentence.contains(word), "{sentence}");
            }
        }
    }

    #[test]
    fn an_interface_with_a_like_name_is_suggested() {
        let error = Error::UnknownInterface {
            name: "eht0".to_owned(),
            near: Some("eth0".to_owned()),
        };
        assert_eq!(
            error.to_string(),
            "there is no interface \"eht0\"; did you mean \"eth0\"?"
        );
        assert_eq!(error.remedy(), None);
    }
}
