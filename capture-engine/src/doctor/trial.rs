//! A capture for a try: what no look at versions and capabilities can promise. Where this process may make a network
//! namespace, it captures its own packet on the loopback interface there; elsewhere it attaches to the loopback interface
//! that there is, and sends nothing. Afterwards all of it is gone.

use std::{
    net::{Ipv4Addr, UdpSocket},
    ops::ControlFlow,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use caps::Capability;
use capture_file::Packet;
use capture_task::{
    plan::{Hook, Plan, RequestOrigin},
    task::{StopReason, TaskSpec},
};
use nix::sched::{CloneFlags, unshare};

use super::report::{Check, Status};
use crate::{
    Engine, EngineOptions,
    error::{Error, Result},
    interfaces,
    kernel::loader::StartLoader,
    privileges,
};

/// Name of the check that captures for a try.
pub const NAME: &str = "capture";

/// Of which loopback interfaces are (`include/uapi/linux/if_arp.h`).
const ARPHRD_LOOPBACK: u16 = 772;

/// The least that there are.
const RING_SIZE: u64 = 0;

/// How long a packet may take from its hook to the program.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
enum Trial {
    /// Attached in a namespace of its own, where the packet came, or did not.
    Captured { mode: String, came: bool },
    /// Attached on the interface that there is.
    Attached { interface: String, mode: String },
    /// There is no interface for it.
    NoLoopback,
}

/// The check.
pub(super) fn check(loader: Option<&StartLoader>) -> Check {
    // A thread of its own, as it stays in the namespace.
    let trial = thread::scope(|scope| scope.spawn(|| capture(loader)).join());
    let trial = trial.unwrap_or(Err(Error::ReaderGone));
    judge(trial)
}

fn judge(trial: Result<Trial>) -> Check {
    let meaning = "the programs were loaded and attached for a try";
    match trial {
        Ok(Trial::Captured { mode, came: true }) => {
            let found = format!("captured a packet by {mode}, in a network namespace made for it");
            Check::new(NAME, Status::Ok, found, meaning)
        }
        Ok(Trial::Captured { mode, came: false }) => {
            let found = format!("captured nothing, though attached by {mode}");
            let meaning = "a packet was sent in a network namespace made for it";
            Check::new(NAME, Status::Fail, found, meaning)
                .remedy("report this with the output of `capture-agent doctor -v`")
        }
        Ok(Trial::Attached { interface, mode }) => {
            let found = format!("attached to {interface} by {mode}");
            Check::new(NAME, Status::Ok, found, meaning)
        }
        Ok(Trial::NoLoopback) => {
            let meaning = "the programs load; this namespace has no loopback interface to attach them to for a try";
            Check::new(NAME, Status::Warn, "not tried", meaning).remedy(
                "capture on an interface that is there; `capture-agent interfaces` lists them",
            )
        }
        Err(error) => failed(NAME, &error, meaning),
    }
}

/// A check that failed as the kernel refused to load or to attach the programs.
pub(super) fn failed(name: &str, error: &Error, meaning: &str) -> Check {
    let (found, remedy) = match error {
        Error::NoPrograms => (
            "this binary was built without its kernel programs".to_owned(),
            "install a package of the release, or build it where the BPF tools are".to_owned(),
        ),
        Error::LoadDenied { denial, .. } => (
            format!("the kernel refuses to load programs: {}", denial.found()),
            denial
                .remedy()
                .unwrap_or("allow it there, or run where it is allowed")
                .to_owned(),
        ),
        error if !Path::new("/sys/devices/system/cpu").exists() => (
            error.to_string(),
            "mount sysfs at /sys; read-only is enough".to_owned(),
        ),
        // Maps and instructions are for whoever asks.
        error => (
            error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            "CAPTURE_AGENT_LOG=debug shows all that the kernel says".to_owned(),
        ),
    };
    Check::new(name, Status::Fail, found, meaning).remedy(remedy)
}

fn capture(loader: Option<&StartLoader>) -> Result<Trial> {
    let may_unshare =
        privileges::held(None).is_ok_and(|held| held.contains(&Capability::CAP_SYS_ADMIN));
    let is_apart = may_unshare && unshare(CloneFlags::CLONE_NEWNET).is_ok();
    let present = interfaces::list()?;
    let loopback = present.iter().find(|entry| entry.arphrd == ARPHRD_LOOPBACK);
    let Some(loopback) = loopback else {
        return Ok(Trial::NoLoopback);
    };
    let name = loopback.name.clone();
    let spec = TaskSpec {
        interfaces: vec![name.clone()],
        ..TaskSpec::default()
    };
    let Ok(plan) = Plan::resolve(&spec, RequestOrigin::Run) else {
        return Ok(Trial::NoLoopback);
    };
    let options = EngineOptions {
        ring_size: RING_SIZE,
    };
    let loader = loader.map(|loader| (loader, &[Hook::Auto][..]));
    let engine = Engine::start_by(options, loader)?;
    let (sender, packets) = mpsc::channel();
    let task = engine.add_sink(&plan, move |_: &Packet<'_>| match sender.send(()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })?;
    let attachments = engine.attachments(task);
    let mode = attachments.into_iter().next().map(|there| there.mode);
    let mode = mode.unwrap_or_default();
    let trial = match is_apart {
        true => {
            send(&name).map_err(Error::system("send a packet for a try"))?;
            let came = packets.recv_timeout(PATIENCE).is_ok();
            Trial::Captured { mode, came }
        }
        false => Trial::Attached {
            interface: name,
            mode,
        },
    };
    engine.remove(task, StopReason::User)?;
    Ok(trial)
}

/// Sends a datagram from the loopback interface of this namespace to itself.
fn send(name: &str) -> std::io::Result<()> {
    interfaces::set_up(name)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.send_to(b"capture-agent doctor", socket.local_addr()?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_of_it_is_judged() {
        let mode = || "tcx ingress".to_owned();
        let interface = || "lo".to_owned();
        for (trial, status, found) in [
            (
                Ok(Trial::Captured {
                    mode: mode(),
                    came: true,
                }),
                Status::Ok,
                "captured a packet by tcx ingress, in a network namespace made for it",
            ),
            (
                Ok(Trial::Captured {
                    mode: mode(),
                    came: false,
                }),
                Status::Fail,
                "captured nothing, though attached by tcx ingress",
            ),
            (
                Ok(Trial::Attached {
                    interface: interface(),
                    mode: mode(),
                }),
                Status::Ok,
                "attached to lo by tcx ingress",
            ),
            (Ok(Trial::NoLoopback), Status::Warn, "not tried"),
            (
                Err(Error::NoPrograms),
                Status::Fail,
                "this binary was built without its kernel programs",
            ),
            (
                Err(Error::Load(anyhow::anyhow!("refused\nmap 1\nmap 2"))),
                Status::Fail,
                "refused",
            ),
        ] {
            let check = judge(trial);
            assert_eq!((check.status, check.found.as_str()), (status, found));
            assert!(check.status == Status::Ok || check.remedy.is_some());
        }
    }
}
