//! What an inspector gives up before it reads a byte. Each step is for good; together they leave the process its memory
//! and its descriptors.
//!
//! What every kernel since 5.10 can do is required, and where it fails nothing is read. The rest is left out where the
//! kernel, or the service manager around the daemon, does not allow it, and is named.

use std::{fs, io};

use caps::{CapSet, Capability};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope,
};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    sys::{
        prctl::{set_dumpable, set_name, set_no_new_privs, set_pdeathsig},
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
};

use super::system_calls;

/// Added to the niceness. Beside a capture that takes a whole CPU it gets 3.4 % of it by the kernel's weights
/// (`sched_prio_to_weight` in kernel/sched/core.c).
const NICE: libc::c_int = 15;

/// Descriptors that may be open: the socket, stdout, stderr, and the files of a rotation.
const MOST_DESCRIPTORS: u64 = 10_240;

/// Bounds by which a child confines itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of address space.
    pub(super) memory: u64,
    /// Seconds of processor time.
    pub(super) processor: Option<u64>,
    /// Whether system calls are left as they are, to see what the other layers do.
    #[cfg(test)]
    pub(super) with_all_system_calls: bool,
}

/// Confines this process, which has one thread. Gives the layers that are missing.
///
/// # Errors
/// A layer that every kernel has could not be put in place. The process must then read nothing.
pub(super) fn confine(bounds: &Bounds) -> Result<Vec<String>, String> {
    let mut missing = Vec::new();
    close_descriptors().map_err(|error| format!("open descriptors: {error}"))?;
    // For whoever lists processes.
    set_name(c"capture-inspect").map_err(|errno| format!("its name: {errno}"))?;
    give_way();
    if let Err(errno) = leave_network() {
        missing.push(format!("an empty network namespace ({errno})"));
    }
    limit(bounds).map_err(|errno| format!("limits: {errno}"))?;
    drop_capabilities().map_err(|error| format!("capabilities: {error}"))?;
    set_no_new_privs().map_err(|errno| format!("no_new_privs: {errno}"))?;
    // After the credentials, a change of which takes both back. Nobody of the same user looks into it, nor at a core.
    set_dumpable(false).map_err(|errno| format!("dumpable: {errno}"))?;
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| format!("death signal: {errno}"))?;
    missing.extend(leave_files());
    #[cfg(test)]
    if bounds.with_all_system_calls {
        return Ok(missing);
    }
    system_calls::confine().map_err(|error| format!("system calls: {error}"))?;
    Ok(missing)
}

/// Closes all descriptors but the socket, stdout and stderr: a program that is started inherits what its parent did not
/// mark.
pub(crate) fn close_descriptors() -> io::Result<()> {
    // SAFETY: nothing in this process has opened anything yet, so no owner of a descriptor is left with a closed one.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    if closed == 0 {
        return Ok(());
    }
    // Filters of system calls that are older than the call deny it.
    let names = fs::read_dir("/proc/self/fd")?.collect::<io::Result<Vec<_>>>()?;
    let numbers = names
        .iter()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<libc::c_int>().ok());
    for number in numbers.filter(|number| *number > libc::STDERR_FILENO) {
        // SAFETY: as above. That of the directory itself is closed already, and so is an error.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// Leaves processor and disk to captures, and is the first to go where the machine has no memory left. A service manager
/// may forbid some of it; then it runs as its parent does.
pub(crate) fn give_way() {
    /// `IOPRIO_WHO_PROCESS`, and the class `IOPRIO_CLASS_IDLE` in its place.
    const PROCESS: libc::c_int = 1;
    const IDLE: libc::c_int = 3 << 13;

    // SAFETY: plain numbers.
    let nice = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    // SAFETY: all fields are numbers, for which zero is valid.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the parameters outlive the call.
    let batch = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    // SAFETY: plain numbers.
    let idle = unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, IDLE) };
    let _ = (nice, batch, idle);
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// A network namespace of its own, in which there is nothing. Whoever may not make one may do so in a user namespace
/// of their own, where that is allowed.
fn leave_network() -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWNET)
        .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET))
}

fn limit(bounds: &Bounds) -> Result<(), Errno> {
    let limits = [
        (Resource::RLIMIT_AS, bounds.memory),
        (Resource::RLIMIT_NOFILE, MOST_DESCRIPTORS),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_NPROC, 0),
    ];
    for (resource, most) in limits {
        lower(resource, most, most)?;
    }
    if let Some(seconds) = bounds.processor {
        // SIGXCPU says why it ends; SIGKILL a second later ends one that does not heed it.
        lower(Resource::RLIMIT_CPU, seconds, seconds + 1)?;
    }
    Ok(())
}

/// Sets limits where there are not lower ones.
pub(crate) fn lower(resource: Resource, soft: u64, hard: u64) -> Result<(), Errno> {
    let (_, there) = getrlimit(resource)?;
    setrlimit(resource, soft.min(there), hard.min(there))
}

/// No capabilities in any set, and no program that it could execute would get any.
pub(crate) fn drop_capabilities() -> Result<(), caps::errors::CapsError> {
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::all() {
            if caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false) {
                caps::drop(None, CapSet::Bounding, capability)?;
            }
        }
    }
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        caps::clear(None, set)?;
    }
    Ok(())
}

/// No file by its name, no connection, no signal to others, as far as the kernel has Landlock.
fn leave_files() -> Option<String> {
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V4)))
        .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match restricted {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => None,
            RulesetStatus::PartiallyEnforced => Some("a part of Landlock".to_owned()),
            RulesetStatus::NotEnforced => Some("Landlock".to_owned()),
        },
        Err(error) => Some(format!("Landlock ({error})")),
    }
}
