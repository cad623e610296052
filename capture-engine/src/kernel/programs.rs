//! Loading of the programs of the kernel object, of those that are needed only. The verifier takes most of the time of a start.

use anyhow::Context as _;
use aya::{
    Ebpf,
    programs::{Program, ProgramError, Xdp},
};
use capture_common::HookPoint;

use super::{error::load_error, object::programs};
use crate::{
    error::{Error, Result},
    signals::uninterrupted,
};

/// Name of the tc program of a hook point.
pub(super) fn tc(point: HookPoint) -> &'static str {
    match point {
        HookPoint::TcEgress => programs::TC_EGRESS,
        _ => programs::TC_INGRESS,
    }
}

/// Loads those of these programs that are not loaded yet at once, each by a thread of its own: the verifier works on one program on
/// one CPU (`bpf_check` in kernel/bpf/verifier.c).
pub(super) fn load_together(ebpf: &mut Ebpf, names: &[&str]) -> Result<()> {
    let lacking = ebpf
        .programs_mut()
        .filter(|(name, program)| names.contains(name) && program.fd().is_err());
    let mut lacking: Vec<_> = lacking.map(|(_, program)| program).collect();
    let Some(own) = lacking.pop() else {
        return Ok(());
    };
    std::thread::scope(|scope| {
        let spawned = lacking.into_iter().map(|program| {
            let thread = std::thread::Builder::new().name("loader".to_owned());
            thread.spawn_scoped(scope, || load(program))
        });
        // Without a thread a program is loaded by who wants it first.
        let others: Vec<_> = spawned.filter_map(std::io::Result::ok).collect();
        let own = load(own);
        let others = others.into_iter().map(|other| {
            let joined = other.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        others.fold(own, Result::and)
    })
}

/// A program by its name, loaded.
pub(super) fn loaded<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the kernel object has no program {name}"))
        .map_err(Error::Load)?;
    load(program)?;
    program
        .try_into()
        .map_err(|error: ProgramError| Error::Load(error.into()))
}

/// Loads the program for generic XDP, and gives its identifier.
pub(super) fn generic_xdp_id(ebpf: &mut Ebpf) -> Result<u32> {
    let program: &mut Xdp = loaded(ebpf, programs::XDP_GENERIC)?;
    let info = program
        .info()
        .map_err(Error::kernel("identify the program for generic XDP"))?;
    Ok(info.id())
}

/// Loads a program of either kind. One that is loaded already is as good as one that was loaded now.
fn load(program: &mut Program) -> Result<()> {
    let result = uninterrupted(|| match program {
        Program::SchedClassifier(program) => program.load(),
        Program::Xdp(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    });
    match result {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(()),
        Err(error) => Err(load_error(anyhow::Error::new(error))),
    }
}
