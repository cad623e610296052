//! The daemon as the doctor sees it from outside: whether one runs, and which privileges it holds.

use std::{fs, os::unix::net::UnixStream, path::PathBuf};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::{Check, Status, facts};
use crate::procfs;

/// Where a daemon is looked for, unless the environment says otherwise.
const SOCKET: &str = "/run/capture-agent/api.sock";

/// One check where a daemon listens, none where none does.
pub(super) fn check() -> Option<Check> {
    let socket = std::env::var_os("CAPTURE_AGENT_SOCKET").map_or(SOCKET.into(), PathBuf::from);
    let stream = UnixStream::connect(socket).ok()?;
    let pid = getsockopt(&stream, PeerCredentials).ok()?.pid();
    // A process of another PID namespace has none that is known here.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(judge(pid, &status))
}

fn judge(pid: i32, status: &str) -> Check {
    let held = procfs::mask_from(status, "CapEff").unwrap_or(0);
    let names = facts::capability_names(held);
    let can_gain = procfs::mask_from(status, "NoNewPrivs") != Some(1);
    let missing = facts::missing_from(held);
    let found = format!(
        "process {pid} holds {}{}",
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        },
        if can_gain {
            ", and can gain more"
        } else {
            ", and can gain none"
        }
    );
    let name = "daemon";
    let meaning = "the running daemon keeps what capturing needs, and nothing else";
    if !missing.is_empty() {
        return Check::new(
            name,
            Status::Warn,
            found,
            "the running daemon cannot capture",
        )
        .remedy(format!("start it with {}", missing.join(", ")));
    }
    if names.len() > 3 || can_gain {
        return Check::new(name, Status::Warn, found, meaning)
            .remedy("restart it; it gives up the others at its start");
    }
    Check::new(name, Status::Ok, found, meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_judged_by_what_it_holds() {
        let judged = |caps: u64, no_new: u8| {
            judge(
                7,
                &format!("Name:\tx\nCapEff:\t{caps:016x}\nNoNewPrivs:\t{no_new}\n"),
            )
        };
        let needed = 1 << 12 | 1 << 38 | 1 << 39;
        let good = judged(needed, 1);
        assert_eq!(good.status, Status::Ok);
        assert!(
            good.found
                .contains("holds CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"),
            "{good:?}"
        );
        for (caps, no_new) in [(needed, 0), (u64::MAX >> 23, 1), (1 << 12, 1), (0, 1)] {
            let check = judged(caps, no_new);
            assert_eq!(check.status, Status::Warn, "{check:?}");
            assert!(check.remedy.is_some(), "{check:?}");
        }
    }
}
