//! The daemon as the doctor sees it from outside: whether one runs, and which privileges it holds.

use std::{fs, os::unix::net::UnixStream, path::PathBuf};

use caps::CapsHashSet;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::report::{Check, Status};
use crate::{kernel::KernelVersion, privileges, procfs};

/// Where a daemon is looked for, unless the environment says otherwise.
const SOCKET: &str = "/run/capture-agent/api.sock";

/// One check where a daemon listens, none where none does.
pub(super) fn check() -> Option<Check> {
    let socket = std::env::var_os("CAPTURE_AGENT_SOCKET").map_or(SOCKET.into(), PathBuf::from);
    let stream = UnixStream::connect(socket).ok()?;
    let pid = getsockopt(&stream, PeerCredentials).ok()?.pid();
    // A process of another PID namespace has none that is known here.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let held = privileges::held(Some(pid)).ok()?;
    let can_gain = procfs::mask_from(&status, "NoNewPrivs") != Some(1);
    Some(judge(pid, &held, can_gain))
}

/// The same of this process, which is the daemon.
pub(super) fn own() -> Option<Check> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let held = privileges::held(None).ok()?;
    let can_gain = procfs::mask_from(&status, "NoNewPrivs") != Some(1);
    let pid = i32::try_from(std::process::id()).ok()?;
    Some(judge(pid, &held, can_gain))
}

fn judge(pid: i32, held: &CapsHashSet, can_gain: bool) -> Check {
    let version = KernelVersion::running();
    let needed = version.map_or(&[][..], privileges::needed_beside_loader);
    let missing: Vec<_> = needed.iter().filter(|one| !held.contains(one)).collect();
    let found = format!(
        "process {pid} holds {}{}",
        if held.is_empty() {
            "nothing".to_owned()
        } else {
            privileges::names(held)
        },
        if can_gain {
            ", and can gain more"
        } else {
            ", and can gain none"
        }
    );
    let name = "daemon";
    let meaning = "programs are loaded by another process; the daemon keeps what this kernel asks for beside that";
    if !missing.is_empty() {
        return Check::new(
            name,
            Status::Warn,
            found,
            "the running daemon cannot capture",
        )
        .remedy(format!("start it with {}", privileges::names(missing)));
    }
    if held.len() > needed.len() || can_gain {
        return Check::new(name, Status::Warn, found, meaning)
            .remedy("restart it; it gives up the others at its start");
    }
    Check::new(name, Status::Ok, found, meaning)
}

#[cfg(test)]
mod tests {
    use caps::Capability;

    use super::*;

    #[test]
    fn a_daemon_is_judged_by_what_it_holds() {
        let version = KernelVersion::running().expect("a version");
        let needed: CapsHashSet = privileges::needed_beside_loader(version)
            .iter()
            .copied()
            .collect();
        let good = judge(7, &needed, false);
        assert_eq!(good.status, Status::Ok);
        assert!(good.found.starts_with("process 7 holds "), "{good:?}");
        let mut too_many = needed.clone();
        too_many.insert(Capability::CAP_SYS_ADMIN);
        for (held, can_gain) in [(needed, true), (caps::all(), false), (too_many, false)] {
            let check = judge(7, &held, can_gain);
            assert_eq!(check.status, Status::Warn, "{check:?}");
            assert!(check.remedy.is_some(), "{check:?}");
        }
    }
}
