//! Why a program could not be attached to an interface.

use capture_task::{
    error::ErrorKind,
    plan::{Hook, Keyword as _},
};

/// Why a program could not be attached to an interface.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttachError {
    /// The interface vanished meanwhile.
    Vanished,
    /// The driver has no native XDP.
    NoNativeXdp,
    /// There is an XDP program already.
    XdpTaken,
    /// Native XDP does not go with the configuration of the interface.
    XdpMisfit,
    /// A privilege is missing.
    NoPrivilege,
    /// A qdisc without an egress side is in the place of clsact.
    NoEgressSide {
        /// Its kind.
        qdisc: String,
    },
    /// The kernel modules of clsact are missing.
    NoModules(String),
    /// Another reason, in the kernel's words.
    Other(String),
}

impl AttachError {
    pub(super) fn sentence(&self, interface: &str, hook: Hook) -> String {
        match self {
            Self::Vanished => {
                format!("interface {interface} vanished while it was being attached to")
            }
            Self::NoNativeXdp => format!("the driver of {interface} cannot do native XDP"),
            Self::XdpTaken => {
                format!("{interface} already has an XDP program, which was left untouched")
            }
            Self::XdpMisfit => format!(
                "{interface} refuses native XDP as it is configured now (often its MTU, its queues or a bond or bridge it belongs to)"
            ),
            Self::NoPrivilege => format!(
                "no privilege to attach to {interface}; CAP_NET_ADMIN in the interface's network namespace is needed"
            ),
            Self::NoEgressSide { qdisc } => {
                format!("{interface} has the qdisc `{qdisc}`, which has no egress side")
            }
            Self::NoModules(why) => format!(
                "cannot attach to {interface} by tc: {why}; before 6.6 the kernel modules sch_ingress and cls_bpf are needed"
            ),
            Self::Other(why) => {
                format!("cannot attach to {interface} by {}: {why}", hook.keyword())
            }
        }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Vanished | Self::Other(_) => ErrorKind::Runtime,
            Self::XdpTaken => ErrorKind::Conflict,
            Self::NoNativeXdp
            | Self::XdpMisfit
            | Self::NoPrivilege
            | Self::NoEgressSide { .. }
            | Self::NoModules(_) => ErrorKind::Missing,
        }
    }
}
