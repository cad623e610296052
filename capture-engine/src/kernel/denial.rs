//! Why the kernel refuses bpf(2) to a process that may use it by its capabilities: a seccomp filter, as container
//! runtimes and service managers set one, a security module, or a kernel without it.

use std::{
    fmt::{Display, Formatter},
    io,
};

use super::{call::refusal, version::KernelVersion};
use crate::{privileges, procfs};

/// SECCOMP_MODE_FILTER in the field `Seccomp` of `/proc/PID/status`.
const SECCOMP_FILTER: u64 = 2;

/// Who or what denies bpf(2).
#[derive(Debug)]
#[non_exhaustive]
pub enum Denial {
    /// A seccomp filter.
    Seccomp(io::Error),
    /// The kernel has no bpf(2).
    NoSyscall(io::Error),
    /// A security module.
    SecurityModule(io::Error),
    /// The capabilities are missing.
    Capabilities,
    /// The limit of locked memory, below kernel 5.11.
    LockedMemory,
    /// Not known; bpf(2) as such is allowed.
    Unknown,
}

impl Denial {
    /// What denies it.
    pub fn found(&self) -> String {
        match self {
            Self::Seccomp(error) => format!("a seccomp profile denies bpf(2): {error}"),
            Self::NoSyscall(error) => format!("this kernel has no bpf(2): {error}"),
            Self::SecurityModule(error) => {
                format!("a security module of the kernel denies bpf(2): {error}")
            }
            Self::Capabilities => "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed".to_owned(),
            Self::LockedMemory => "before 5.11 the rings count as locked memory".to_owned(),
            Self::Unknown => {
                "the capabilities for it are held, so a security module of the kernel (SELinux, AppArmor, lockdown) or a \
                 seccomp filter denies it"
                    .to_owned()
            }
        }
    }

    /// What to do about it, where something can be done.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Seccomp(_) => Some(
                "use a newer container runtime, whose profile allows bpf(2) with CAP_BPF, or another profile: `--security-opt \
                 seccomp=unconfined` or `seccomp=FILE` with Docker and Podman, `seccompProfile` of type `Unconfined` or `Localhost` \
                 with Kubernetes, `SystemCallFilter=bpf` with systemd",
            ),
            Self::NoSyscall(_) => Some("use a kernel with CONFIG_BPF_SYSCALL"),
            Self::SecurityModule(_) => Some(
                "allow it there; the kernel's log or the audit log names the module and its rule (SELinux, AppArmor)",
            ),
            Self::LockedMemory => Some("raise `ulimit -l`"),
            Self::Capabilities | Self::Unknown => None,
        }
    }
}

impl Display for Denial {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.found())?;
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// What denies bpf(2) as such to this process, which must hold the capabilities.
pub(crate) fn find_denial() -> Option<Denial> {
    let error = refusal()?;
    let has_filter = procfs::status_mask("Seccomp").is_ok_and(|mode| mode == SECCOMP_FILTER);
    Some(judge(error, has_filter))
}

fn judge(error: io::Error, has_filter: bool) -> Denial {
    match error.raw_os_error() {
        _ if has_filter => Denial::Seccomp(error),
        Some(libc::ENOSYS) => Denial::NoSyscall(error),
        _ => Denial::SecurityModule(error),
    }
}

/// What denies something of bpf(2), where the kernel refuses it for lack of a permission.
pub(super) fn why_denied() -> Denial {
    match privileges::missing_capabilities() {
        Ok(missing) if missing.is_empty() => {}
        _ => return Denial::Capabilities,
    }
    if let Some(denial) = find_denial() {
        return denial;
    }
    match KernelVersion::running() {
        Ok(version) if version < KernelVersion::NO_MEMLOCK => Denial::LockedMemory,
        _ => Denial::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_denies_is_told_apart() {
        let judged = |errno, has_filter| {
            let error = io::Error::from_raw_os_error(errno);
            judge(error, has_filter).found()
        };
        assert!(judged(libc::EPERM, true).starts_with("a seccomp profile denies bpf(2): "));
        assert!(judged(libc::ENOSYS, true).starts_with("a seccomp profile denies bpf(2): "));
        assert!(judged(libc::EPERM, false).starts_with("a security module of the kernel "));
        assert!(judged(libc::ENOSYS, false).starts_with("this kernel has no bpf(2): "));
    }
}
