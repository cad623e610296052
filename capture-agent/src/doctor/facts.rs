//! Facts about the running system that the checks judge, read from `/proc`: the privileges of this
//! process, and small files. The kernel's version is known to [`crate::kernel`].

use std::fs;

use crate::error::{Error, Result};

/// Bits of `linux/capability.h`.
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
pub(super) const CAP_SYS_RESOURCE: u32 = 24;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The names of the capabilities that capturing needs and this process does not have.
///
/// CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON (capabilities(7)), but not CAP_NET_ADMIN.
pub fn missing_capabilities() -> Result<Vec<&'static str>> {
    status_mask("CapEff").map(missing_from)
}

pub(super) fn missing_from(held: u64) -> Vec<&'static str> {
    let has = |bit: u32| held & (1 << bit) != 0;
    [
        ("CAP_BPF", CAP_BPF),
        ("CAP_NET_ADMIN", CAP_NET_ADMIN),
        ("CAP_PERFMON", CAP_PERFMON),
    ]
    .into_iter()
    .filter(|(_, bit)| !has(*bit) && (*bit == CAP_NET_ADMIN || !has(CAP_SYS_ADMIN)))
    .map(|(name, _)| name)
    .collect()
}

/// The names of the capabilities in a mask, sorted.
pub(super) fn capability_names(mask: u64) -> Vec<String> {
    let held = caps::all()
        .into_iter()
        .filter(|one| mask & one.bitmask() != 0);
    let mut names: Vec<_> = held.map(|one| one.to_string()).collect();
    names.sort();
    names
}

/// Whether root here is root of the machine; BPF asks for privileges in the initial namespace.
pub(super) fn in_initial_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// What helps inside a user namespace.
pub(super) const USER_NAMESPACE_REMEDY: &str =
    "run on the host, or in a container without user namespaces";

/// How to get the capabilities.
pub(super) fn privilege_remedy() -> String {
    let binary = std::env::current_exe().unwrap_or_else(|_| "capture-agent".into());
    format!(
        "run with sudo, or grant them once: sudo setcap cap_bpf,cap_net_admin,cap_perfmon+ep '{}'",
        binary.display()
    )
}

/// A mask of `/proc/self/status`, which are hexadecimal: `CapEff`, `CapBnd`, `SigIgn`.
pub(crate) fn status_mask(field: &str) -> Result<u64> {
    let status = read("/proc/self/status")?;
    mask_from(&status, field)
        .ok_or_else(|| Error::runtime(format!("/proc/self/status has no field {field}")))
}

pub(super) fn mask_from(status: &str, field: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

/// A small file of `/proc`, trimmed.
pub(crate) fn read(path: &str) -> Result<String> {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| Error::runtime(format!("{path}: {error}; is /proc mounted?")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities() {
        assert_eq!(missing_from(u64::MAX), [""; 0]);
        assert_eq!(missing_from(0), ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]);
        assert_eq!(missing_from(1 << CAP_SYS_ADMIN), ["CAP_NET_ADMIN"]);
        assert_eq!(
            missing_from(1 << CAP_BPF | 1 << CAP_NET_ADMIN),
            ["CAP_PERFMON"]
        );
    }

    #[test]
    fn masks() {
        let status = "Name:\tx\nCapEff:\t000001ffffffffff\nSigIgn:\t0000000000000001\n";
        assert_eq!(mask_from(status, "CapEff"), Some(0x1ff_ffff_ffff));
        assert_eq!(mask_from(status, "SigIgn"), Some(1));
        assert_eq!(mask_from(status, "CapBnd"), None);
    }
}
