//! Facts about the running system that the checks judge: the privileges of this process, and what
//! helps where they are not enough. The kernel's version is known to [`crate::kernel`].

use std::fs;

use capture_task::error::Result;

use crate::procfs::status_mask;

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
}
