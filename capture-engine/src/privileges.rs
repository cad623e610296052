//! The privileges that capturing needs, and those that this process or another one holds.

use std::fs;

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};

use crate::kernel::KernelVersion;

/// What capturing needs.
const NEEDED: [Capability; 3] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
];

/// What capturing needs once a [`loader`](crate::loader) has loaded the programs, on this kernel.
pub fn needed_beside_loader(kernel: KernelVersion) -> &'static [Capability] {
    if kernel >= KernelVersion::TCX {
        &[]
    } else if kernel >= KernelVersion::OPEN_MAPS {
        // Filters are put and taken away by netlink.
        &[Capability::CAP_NET_ADMIN]
    } else {
        // All of bpf(2) asks for it.
        &[Capability::CAP_BPF, Capability::CAP_NET_ADMIN]
    }
}

/// The capabilities in effect for the calling thread, or for another process.
///
/// # Errors
/// There is no such process.
pub(crate) fn held(process: Option<i32>) -> Result<CapsHashSet, CapsError> {
    caps::read(process, CapSet::Effective)
}

/// What capturing needs and the calling thread does not have.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn missing_capabilities() -> Result<Vec<Capability>, CapsError> {
    held(None).map(|held| missing_from(&held))
}

/// What capturing needs beyond these. CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON (capabilities(7)), but not
/// CAP_NET_ADMIN.
pub(crate) fn missing_from(held: &CapsHashSet) -> Vec<Capability> {
    let is_admin = held.contains(&Capability::CAP_SYS_ADMIN);
    NEEDED
        .into_iter()
        .filter(|one| !held.contains(one) && (*one == Capability::CAP_NET_ADMIN || !is_admin))
        .collect()
}

/// Names in a sentence, sorted: `CAP_BPF, CAP_NET_ADMIN`.
pub(crate) fn names<'a>(capabilities: impl IntoIterator<Item = &'a Capability>) -> String {
    let names = capabilities.into_iter().map(ToString::to_string);
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.join(", ")
}

/// Whether root here is root of the machine; BPF asks for privileges in the initial namespace. Without `/proc` that is
/// not known, and the kernel will say it.
pub(crate) fn in_initial_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").map_or(true, |map| {
        map.split_whitespace().eq(["0", "0", "4294967295"])
    })
}

/// What helps inside a user namespace.
pub(crate) const USER_NAMESPACE_REMEDY: &str =
    "run on the host, or in a container without user namespaces";

/// How to get the capabilities.
pub(crate) fn privilege_remedy() -> String {
    let binary = std::env::current_exe().unwrap_or_else(|_| "capture-agent".into());
    format!(
        "run with sudo, or grant them once: sudo setcap cap_bpf,cap_net_admin,cap_perfmon+ep '{}'",
        binary.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(held: &[Capability]) -> String {
        names(&missing_from(&held.iter().copied().collect()))
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(names(&missing_from(&caps::all())), "");
        assert_eq!(missing(&[]), "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON");
        assert_eq!(missing(&[Capability::CAP_SYS_ADMIN]), "CAP_NET_ADMIN");
        assert_eq!(
            missing(&[Capability::CAP_BPF, Capability::CAP_NET_ADMIN]),
            "CAP_PERFMON"
        );
    }

    #[test]
    fn newer_kernels_ask_for_less() {
        let needed = |major, minor| names(needed_beside_loader(KernelVersion(major, minor)));
        assert_eq!(needed(5, 10), "CAP_BPF, CAP_NET_ADMIN");
        assert_eq!(needed(5, 19), "CAP_NET_ADMIN");
        assert_eq!(needed(6, 5), "CAP_NET_ADMIN");
        assert_eq!(needed(6, 6), "");
    }

    #[test]
    fn the_capabilities_of_a_process_are_what_its_status_says() {
        let status = crate::procfs::status_mask("CapEff").expect("a status file");
        for process in [None, Some(std::process::id() as i32)] {
            let held = held(process).expect("capabilities");
            let mask: u64 = held.iter().map(Capability::bitmask).sum();
            assert_eq!(mask, status);
        }
        assert!(held(Some(i32::MAX)).is_err());
    }
}
