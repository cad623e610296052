//! What the running kernel can do, by its version. Where a distribution backported a feature, the
//! version is the careful answer: the replacement works as well.

use std::fmt::{Display, Formatter};

use crate::procfs::{self, ReadError};

/// Major and minor version of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion(pub(crate) u32, pub(crate) u32);

impl KernelVersion {
    /// The oldest kernel that this agent runs on.
    pub const FLOOR: Self = Self(5, 10);
    /// Since when there are ring buffers.
    pub const RING_BUFFER: Self = Self(5, 8);
    /// Since when maps no longer count against RLIMIT_MEMLOCK.
    pub const NO_MEMLOCK: Self = Self(5, 11);
    /// Since when XDP programs may see frames in several buffers, and there is
    /// `bpf_xdp_load_bytes`.
    pub const XDP_FRAGS: Self = Self(5, 18);
    /// Since when open maps are used without any capability (c8644cd0efe7, "bpf: refine kernel.unprivileged_bpf_disabled
    /// behaviour").
    pub const OPEN_MAPS: Self = Self(5, 19);
    /// Since when there are TCX links, which go with the process that made them.
    pub const TCX: Self = Self(6, 6);
    /// Since when generic XDP copies frames for programs that take them in several buffers
    /// (e6d5dbdd20aa, "xdp: add multi-buff support for xdp running in generic mode").
    pub const GENERIC_XDP_FRAGS: Self = Self(6, 9);
    /// Since when a kernel with `PREEMPT_RT` may let softirqs of one CPU preempt each other (3253cb49cbad,
    /// "softirq: Allow to drop the softirq-BKL lock on PREEMPT_RT"). The change is of 6.18, and was taken into
    /// 6.12.57; older kernels serialize them by a lock.
    pub const PREEMPTIBLE_SOFTIRQS: Self = Self(6, 12);

    /// The running kernel's.
    ///
    /// # Errors
    /// Where `/proc` is not mounted or its answer is not understood.
    pub fn running() -> Result<Self, ReadError> {
        let release = procfs::release()?;
        Self::parse(&release).ok_or(ReadError::OddVersion(release))
    }

    /// Whether tc and XDP hooks on one CPU can preempt each other here, which the programs cannot handle (see
    /// `capture-ebpf/src/path.rs`).
    ///
    /// `version` is the text of `uname -v`. A kernel built with `CONFIG_PREEMPT_RT_NEEDS_BH_LOCK` does not
    /// preempt them, but does not say so: it counts as one that does.
    pub fn hooks_nest(self, version: &str) -> bool {
        self >= Self::PREEMPTIBLE_SOFTIRQS
            && version.split_whitespace().any(|word| word == "PREEMPT_RT")
    }

    /// [`Self::hooks_nest`] of the running kernel, whose version this is.
    ///
    /// # Errors
    /// Where `/proc` is not mounted.
    pub(crate) fn hooks_nest_here(self) -> Result<bool, ReadError> {
        Ok(self.hooks_nest(&procfs::build()?))
    }

    /// From the text of `uname -r`, `6.1.0-18-amd64`.
    fn parse(release: &str) -> Option<Self> {
        let mut parts = release.split(|c: char| !c.is_ascii_digit());
        Some(Self(
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        ))
    }
}

impl Display for KernelVersion {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self(major, minor) = self;
        write!(f, "{major}.{minor}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        for (release, version) in [
            ("6.18.44-fc-v669", Some(KernelVersion(6, 18))),
            ("5.10.0-28-amd64", Some(KernelVersion(5, 10))),
            ("7.0-rc1", Some(KernelVersion(7, 0))),
            ("6", None),
            ("", None),
        ] {
            assert_eq!(KernelVersion::parse(release), version, "{release}");
        }
        assert!(KernelVersion(5, 9) < KernelVersion::FLOOR);
        assert!(KernelVersion::running().is_ok());
    }

    #[test]
    fn hooks_nest_on_real_time_kernels_that_may_have_no_lock_of_softirqs() {
        for (release, version, nest) in [
            (
                KernelVersion(6, 12),
                "#1 SMP PREEMPT_RT Debian 6.12.57-1 (2025-11-05)",
                true,
            ),
            (KernelVersion(7, 0), "#1 SMP PREEMPT_RT @0", true),
            (
                KernelVersion(6, 1),
                "#1 SMP PREEMPT_RT Debian 6.1.158-1",
                false,
            ),
            (KernelVersion(6, 18), "#1 SMP PREEMPT_DYNAMIC @0", false),
            (KernelVersion(6, 18), "#1 SMP PREEMPT @0", false),
            (KernelVersion(6, 18), "", false),
        ] {
            assert_eq!(release.hooks_nest(version), nest, "{release} {version}");
        }
    }
}
