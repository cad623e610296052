//! The checks that need no trying: each looks at one fact and says what it means for a capture.

use std::path::Path;

use caps::Capability;
use nix::sys::resource::{Resource, getrlimit};

use super::report::{Check, Status};
use crate::{
    interfaces,
    kernel::{KernelVersion, find_denial},
    privileges, procfs,
};

/// Drivers that are known to have native XDP, as `ethtool -i` names them. Only the attempt tells for
/// certain: it depends on the kernel, the queues and the MTU, too.
const NATIVE_XDP: &[&str] = &[
    "atlantic",
    "bnxt_en",
    "bonding",
    "ena",
    "fsl_dpaa2_eth",
    "fsl_enetc",
    "gve",
    "hv_netvsc",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ionic",
    "ixgbe",
    "ixgbevf",
    "mana",
    "mlx4_en",
    "mlx5_core",
    "mvneta",
    "mvpp2",
    "nfp",
    "nicvf",
    "qede",
    "rvu-nicpf",
    "sfc",
    "st_gmac",
    "tun",
    "veth",
    "virtio_net",
    "vmxnet3",
];

/// Of these, the families whose link is reset when a program comes or goes.
const RESETS_LINK: &[&str] = &["ena", "i40e", "mlx5_core"];

/// The check of the system call itself.
pub(super) const BPF_CALL: &str = "bpf(2)";

/// Every check, in the order in which a capture depends on it.
pub(super) fn all() -> Vec<Check> {
    checks(true)
}

/// Those that do not depend on the privileges of this process.
pub(super) fn of_machine() -> Vec<Check> {
    checks(false)
}

fn checks(with_privileges: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    match KernelVersion::running() {
        Ok(version) => {
            checks.push(kernel(version));
            checks.extend(real_time(version));
            if with_privileges {
                checks.push(capabilities());
                checks.extend(bpf_call());
            }
            checks.push(ring_buffer(version));
            checks.extend(memlock(version));
            checks.push(tcx(version));
            checks.push(multi_buffer_xdp(version));
        }
        Err(error) => {
            checks.push(Check::new(
                "kernel",
                Status::Fail,
                error.to_string(),
                "the kernel's version",
            ));
            checks.push(capabilities());
        }
    }
    checks.push(btf());
    checks.push(jit());
    checks.extend(native_xdp());
    checks
}

fn kernel(version: KernelVersion) -> Check {
    let status = if version < KernelVersion::FLOOR {
        Status::Fail
    } else {
        Status::Ok
    };
    let release = procfs::release().unwrap_or_else(|_| version.to_string());
    let check = Check::new(
        "kernel",
        status,
        release,
        "5.10 is the oldest kernel that works",
    );
    match status {
        Status::Fail => check.remedy("boot kernel 5.10 or newer"),
        _ => check,
    }
}

/// One check on a real-time kernel, none on others.
fn real_time(version: KernelVersion) -> Option<Check> {
    let build = procfs::build().ok()?;
    judge_real_time(version, &build)
}

fn judge_real_time(version: KernelVersion, build: &str) -> Option<Check> {
    version.hooks_nest(build).then(|| {
        Check::new(
            "real-time kernel",
            Status::Fail,
            "PREEMPT_RT",
            "hooks on one CPU can preempt each other, which the kernel programs cannot handle",
        )
        .remedy(format!(
            "boot a kernel without PREEMPT_RT, or one older than {}",
            KernelVersion::PREEMPTIBLE_SOFTIRQS
        ))
    })
}

fn capabilities() -> Check {
    let name = "privileges";
    let needs = "capturing needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
    match privileges::missing_capabilities() {
        Err(error) => Check::new(name, Status::Fail, error.to_string(), needs),
        Ok(_) if !privileges::in_initial_user_namespace() => Check::new(
            name,
            Status::Fail,
            "inside a user namespace",
            "the kernel asks for CAP_BPF outside of every user namespace",
        )
        .remedy(privileges::USER_NAMESPACE_REMEDY),
        Ok(missing) if missing.is_empty() => Check::new(name, Status::Ok, held(), needs),
        Ok(missing) => {
            let found = format!("missing {}", privileges::names(&missing));
            Check::new(name, Status::Fail, found, needs).remedy(privileges::privilege_remedy())
        }
    }
}

/// Whether bpf(2) is let through to the kernel, of a process whose capabilities allow it.
fn bpf_call() -> Option<Check> {
    if !privileges::missing_capabilities().ok()?.is_empty()
        || !privileges::in_initial_user_namespace()
    {
        return None;
    }
    let name = BPF_CALL;
    let meaning = "the system call by which programs and maps are made";
    Some(match find_denial() {
        None => Check::new(name, Status::Ok, "allowed", meaning),
        Some(denial) => Check {
            remedy: denial.remedy().map(str::to_owned),
            ..Check::new(name, Status::Fail, denial.found(), meaning)
        },
    })
}

/// What this process holds; of root there is no list.
fn held() -> String {
    match privileges::held(None) {
        Ok(held) if held.len() >= 8 => "all held".to_owned(),
        Ok(held) => format!("holds {}", privileges::names(&held)),
        Err(error) => error.to_string(),
    }
}

fn ring_buffer(version: KernelVersion) -> Check {
    let meaning = "the programs wake the agent up through it; it is there since kernel 5.8";
    if version >= KernelVersion::RING_BUFFER {
        Check::new("ring buffer", Status::Ok, "there", meaning)
    } else {
        Check::new("ring buffer", Status::Fail, "not there", meaning)
            .remedy(format!("boot kernel {} or newer", KernelVersion::FLOOR))
    }
}

/// Before 5.11 the memory of maps and rings counts against RLIMIT_MEMLOCK.
fn memlock(version: KernelVersion) -> Option<Check> {
    if version >= KernelVersion::NO_MEMLOCK {
        return None;
    }
    let meaning = "before kernel 5.11 the rings count as locked memory";
    let unlimited =
        getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(_, hard)| hard == libc::RLIM_INFINITY);
    let may_raise =
        privileges::held(None).is_ok_and(|held| held.contains(&Capability::CAP_SYS_RESOURCE));
    Some(if unlimited || may_raise {
        Check::new("locked memory", Status::Ok, "can be raised", meaning)
    } else {
        Check::new("locked memory", Status::Warn, "limited", meaning)
            .remedy("run `ulimit -l unlimited` first, or grant CAP_SYS_RESOURCE")
    })
}

fn tcx(version: KernelVersion) -> Check {
    if version >= KernelVersion::TCX {
        let meaning = "the tc hook with an order: the view equals tcpdump's";
        return Check::new("TCX", Status::Ok, "there", meaning);
    }
    let meaning = "clsact is used instead, with the modules sch_ingress and cls_bpf; \
                   what other tc programs drop before is not seen";
    Check::new(
        "TCX",
        Status::Warn,
        format!("not in kernel {version}"),
        meaning,
    )
    .remedy("nothing needs to be done; kernel 6.6 has it")
}

fn multi_buffer_xdp(version: KernelVersion) -> Check {
    let name = "multi-buffer XDP";
    if version >= KernelVersion::XDP_FRAGS {
        let meaning = "XDP works with jumbo frames too";
        return Check::new(name, Status::Ok, "there", meaning);
    }
    let meaning = "native XDP is refused by drivers whose MTU exceeds a page";
    Check::new(
        name,
        Status::Warn,
        format!("not in kernel {version}"),
        meaning,
    )
    .remedy("use the default hook there; kernel 5.18 has it")
}

fn btf() -> Check {
    let path = "/sys/kernel/btf/vmlinux";
    if Path::new(path).exists() {
        return Check::new(
            "kernel types (BTF)",
            Status::Ok,
            path,
            "map types are known to tools",
        );
    }
    if !Path::new("/sys/kernel/mm").exists() {
        let meaning = "/sys is masked here; capturing works without";
        return Check::new(
            "kernel types (BTF)",
            Status::Ok,
            "not visible here",
            meaning,
        );
    }
    let meaning = "tools such as bpftool cannot show the kernel's types; capturing works without";
    Check::new("kernel types (BTF)", Status::Warn, "not there", meaning)
        .remedy("use a kernel with CONFIG_DEBUG_INFO_BTF, if that matters")
}

fn jit() -> Check {
    let path = "/proc/sys/net/core/bpf_jit_enable";
    let meaning = "programs run as machine code";
    match procfs::read(path).as_deref() {
        Ok("0") => Check::new(
            "BPF JIT",
            Status::Warn,
            "off",
            "programs are interpreted, slowly",
        )
        .remedy("sysctl -w net.core.bpf_jit_enable=1"),
        Ok(_) => Check::new("BPF JIT", Status::Ok, "on", meaning),
        Err(_) => {
            let meaning =
                "the switch shows where /proc/sys is mounted, in the initial network namespace";
            Check::new("BPF JIT", Status::Ok, "not visible here", meaning)
        }
    }
}

/// One check for each interface that has a driver.
fn native_xdp() -> Vec<Check> {
    interfaces::list()
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| {
            let driver = interfaces::driver(&entry.name)?;
            let name = format!("XDP on {}", entry.name);
            let found = format!("driver {driver}");
            Some(if RESETS_LINK.contains(&driver.as_str()) {
                let meaning = "native XDP works, but resets the link when it comes and goes";
                Check::new(&name, Status::Warn, found, meaning)
                    .remedy("keep the default hook unless XDP is needed")
            } else if NATIVE_XDP.contains(&driver.as_str()) {
                Check::new(
                    &name,
                    Status::Ok,
                    found,
                    "native XDP can be asked for, by the hook `xdp`",
                )
            } else {
                let meaning = "no native XDP is known for this driver; the default hook works";
                Check::new(&name, Status::Ok, found, meaning)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_fail_or_warn() {
        let old = KernelVersion(5, 4);
        assert_eq!(kernel(old).status, Status::Fail);
        assert_eq!(ring_buffer(old).status, Status::Fail);
        assert_eq!(tcx(KernelVersion(6, 1)).status, Status::Warn);
        assert_eq!(multi_buffer_xdp(KernelVersion(5, 10)).status, Status::Warn);
        assert!(memlock(KernelVersion(5, 10)).is_some());
        assert!(memlock(KernelVersion(5, 11)).is_none());
    }

    #[test]
    fn real_time_kernels_fail_where_hooks_nest() {
        let build = "#1 SMP PREEMPT_RT Debian 6.12.57-1";
        let check = judge_real_time(KernelVersion(6, 12), build).expect("a check");
        assert!(check.status == Status::Fail && check.remedy.is_some());
        assert_eq!(judge_real_time(KernelVersion(6, 1), build), None);
        let ordinary = "#1 SMP PREEMPT_DYNAMIC @0";
        assert_eq!(judge_real_time(KernelVersion(6, 12), ordinary), None);
    }

    #[test]
    fn whatever_is_wrong_has_a_remedy() {
        for version in [
            KernelVersion(5, 4),
            KernelVersion(5, 10),
            KernelVersion(6, 18),
        ] {
            let checks = [kernel(version), ring_buffer(version), tcx(version)];
            for check in checks.into_iter().chain(super::super::examine().checks) {
                assert!(
                    check.status == Status::Ok || check.remedy.is_some(),
                    "{check:?}"
                );
            }
        }
    }
}
