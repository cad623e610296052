//! Why the kernel refuses bpf(2) to a process that may use it by its capabilities: a seccomp filter, as container
//! runtimes and service managers set one, a security module, or a kernel without it.

use std::io;

use super::{call::refusal, version::KernelVersion};
use crate::{privileges, procfs};

/// SECCOMP_MODE_FILTER in the field `Seccomp` of `/proc/PID/status`.
const SECCOMP_FILTER: u64 = 2;

/// What denies bpf(2), and what to do about it.
pub(crate) struct Denial {
    pub(crate) found: String,
    pub(crate) remedy: &'static str,
}

/// What denies bpf(2) as such to this process, which must hold the capabilities.
pub(crate) fn find_denial() -> Option<Denial> {
    let error = refusal()?;
    let has_filter = procfs::status_mask("Seccomp").is_ok_and(|mode| mode == SECCOMP_FILTER);
    Some(judge(&error, has_filter))
}

fn judge(error: &io::Error, has_filter: bool) -> Denial {
    if has_filter {
        Denial {
            found: format!("a seccomp profile denies bpf(2): {error}"),
            remedy: "use a newer container runtime, whose profile allows bpf(2) with CAP_BPF, or another profile: `--security-opt \
                     seccomp=unconfined` or `seccomp=FILE` with Docker and Podman, `seccompProfile` of type `Unconfined` or `Localhost` \
                     with Kubernetes, `SystemCallFilter=bpf` with systemd",
        }
    } else if error.raw_os_error() == Some(libc::ENOSYS) {
        Denial {
            found: format!("this kernel has no bpf(2): {error}"),
            remedy: "use a kernel with CONFIG_BPF_SYSCALL",
        }
    } else {
        Denial {
            found: format!("a security module of the kernel denies bpf(2): {error}"),
            remedy: "allow it there; the kernel's log or the audit log names the module and its rule (SELinux, AppArmor)",
        }
    }
}

/// What to say where the kernel refuses something of bpf(2) for lack of a permission.
pub(super) fn why_denied() -> String {
    match privileges::missing_capabilities() {
        Ok(missing) if missing.is_empty() => {}
        _ => return "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed".to_owned(),
    }
    if let Some(Denial { found, remedy }) = find_denial() {
        return format!("{found}; {remedy}");
    }
    if KernelVersion::running().is_ok_and(|version| version < KernelVersion::NO_MEMLOCK) {
        return "before 5.11 the rings count as locked memory; raise `ulimit -l`".to_owned();
    }
    "the capabilities for it are held, so a security module of the kernel (SELinux, AppArmor, lockdown) or a seccomp filter \
     denies it"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_denies_is_told_apart() {
        let judged = |errno, has_filter| {
            let error = io::Error::from_raw_os_error(errno);
            judge(&error, has_filter).found
        };
        assert!(judged(libc::EPERM, true).starts_with("a seccomp profile denies bpf(2): "));
        assert!(judged(libc::ENOSYS, true).starts_with("a seccomp profile denies bpf(2): "));
        assert!(judged(libc::EPERM, false).starts_with("a security module of the kernel "));
        assert!(judged(libc::ENOSYS, false).starts_with("this kernel has no bpf(2): "));
    }
}
