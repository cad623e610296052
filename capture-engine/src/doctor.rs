//! The doctor: can this machine capture, and if not, what is missing. `doctor` shows every check;
//! `run` asks only [`preflight`] before the engine starts, so that the commonest failures are named
//! before the kernel answers with a bare "permission denied".

mod checks;
mod daemon;
mod report;
mod trial;

pub use self::{
    report::{Check, Report, Status},
    trial::NAME as CAPTURE,
};
use crate::{
    error::{Error, Result},
    kernel,
    kernel::{KernelVersion, ProgramProbe, find_denial, loader::StartLoader},
    privileges,
};

/// Runs every check, and one of the daemon where one listens.
pub fn examine() -> Report {
    report(daemon::check())
}

/// Runs every check within the daemon, with the rights that it has kept and by its loader, if it has one. What only others
/// may see counts as not visible.
pub fn examine_own(loader: Option<&StartLoader>) -> Report {
    report_by(loader, daemon::own())
}

fn report(daemon: Option<Check>) -> Report {
    report_by(None, daemon)
}

fn report_by(loader: Option<&StartLoader>, daemon: Option<Check>) -> Report {
    let mut checks = match loader {
        Some(_) => checks::of_machine(),
        None => checks::all(),
    };
    let is_failed = |check: &Check| check.status == Status::Fail;
    // Nothing can be loaded then, and the reason has been said.
    if !checks.iter().any(is_failed) {
        checks.extend(probe(loader));
        if !checks.iter().any(is_failed) {
            checks.push(trial::check(loader));
        }
    }
    checks.extend(daemon);
    Report {
        can_capture: checks.iter().all(|check| check.status != Status::Fail),
        checks,
    }
}

/// What only trying can tell: whether this kernel takes the programs of this binary.
fn probe(loader: Option<&StartLoader>) -> Vec<Check> {
    let name = "kernel programs";
    let meaning = "the programs that match packets in the kernel were loaded for a try";
    let probes = match loader {
        Some(loader) => kernel::probe_by(loader),
        None => kernel::probe(true),
    };
    match probes {
        Ok(probes) => probes
            .into_iter()
            .map(|ProgramProbe { name, refusal }| match refusal {
                None => Check::new(name, Status::Ok, "loads", meaning),
                Some(refusal) => Check::new(name, Status::Fail, refusal, meaning)
                    .remedy("report this with the kernel's version; it should not happen"),
            })
            .collect(),
        Err(error) => vec![trial::failed(name, &error, meaning)],
    }
}

/// Refuses where this kernel does not take the programs of this binary. A daemon asks this at its start, as its
/// first task may come much later. Tasks that ask for XDP find out for themselves.
///
/// # Errors
/// What the kernel says.
pub fn programs_load() -> Result<()> {
    for ProgramProbe { name, refusal } in kernel::probe(false)? {
        if let Some(reason) = refusal {
            return Err(Error::ProgramRefused { name, reason });
        }
    }
    Ok(())
}

/// Refuses what cannot work: an old kernel, a real-time one whose hooks preempt each other, a missing privilege,
/// bpf(2) denied by somebody else.
///
/// # Errors
/// The first of these, of kind [`Missing`](capture_task::error::ErrorKind::Missing).
pub fn preflight() -> Result<()> {
    let version = KernelVersion::running()?;
    if version < KernelVersion::FLOOR {
        return Err(Error::OldKernel(version));
    }
    if version.hooks_nest_here()? {
        return Err(Error::RealTimeKernel);
    }
    if !privileges::in_initial_user_namespace() {
        return Err(Error::UserNamespace);
    }
    let missing = privileges::missing_capabilities()?;
    if !missing.is_empty() {
        return Err(Error::MissingCapabilities(missing));
    }
    match find_denial() {
        None => Ok(()),
        Some(denial) => Err(Error::Denied(denial)),
    }
}
