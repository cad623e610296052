//! The programs of the kernel object, loaded. The verifier takes most of the time of a start.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use anyhow::{Context as _, anyhow};
use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};
use aya_obj::generated::{bpf_cmd, bpf_prog_info};
use capture_common::HookPoint;

use super::{
    call::{bpf, empty},
    error::load_error,
    object::programs,
};
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

/// The programs, by name.
pub(super) enum Programs {
    /// Of an object of this process, which loads each when the first hook needs it.
    Own(Box<Ebpf>),
    /// Loaded by another process, or why not.
    Given(BTreeMap<&'static str, std::result::Result<OwnedFd, String>>),
}

impl Programs {
    /// The object, so that tests can run its programs on frames of their own.
    #[cfg(any(test, feature = "bench"))]
    pub(super) fn object(&mut self) -> &mut Ebpf {
        match self {
            Self::Own(ebpf) => ebpf,
            Self::Given(_) => panic!("the object is another process's"),
        }
    }

    /// Loads those of these programs that are not loaded yet at once, each by a thread of its own: the verifier works on one program
    /// on one CPU (`bpf_check` in kernel/bpf/verifier.c).
    pub(super) fn load_together(&mut self, names: &[&str]) -> Result<()> {
        match self {
            Self::Own(ebpf) => load_together(ebpf, names).into_iter().collect(),
            Self::Given(_) => Ok(()),
        }
    }

    /// A program by its name, loaded.
    pub(super) fn descriptor(&mut self, name: &str) -> Result<BorrowedFd<'_>> {
        match self {
            Self::Own(ebpf) => loaded(ebpf, name),
            Self::Given(programs) => match programs.get(name) {
                Some(Ok(program)) => Ok(program.as_fd()),
                Some(Err(why)) => Err(Error::Load(anyhow!("{why}"))),
                None => Err(Error::Load(anyhow!("nobody has loaded the program {name}"))),
            },
        }
    }
}

/// Loads those of these programs that are not loaded yet, and says what came of each of them.
pub(super) fn load_together(ebpf: &mut Ebpf, names: &[&str]) -> Vec<Result<()>> {
    let lacking = ebpf
        .programs_mut()
        .filter(|(name, program)| names.contains(name) && program.fd().is_err());
    let mut lacking: Vec<_> = lacking.map(|(_, program)| program).collect();
    let Some(own) = lacking.pop() else {
        return Vec::new();
    };
    std::thread::scope(|scope| {
        let spawned = lacking.into_iter().map(|program| {
            let thread = std::thread::Builder::new().name("loader".to_owned());
            thread.spawn_scoped(scope, || load(program))
        });
        // Without a thread a program is loaded by who wants it first.
        let others: Vec<_> = spawned.filter_map(io::Result::ok).collect();
        let own = load(own);
        let others = others.into_iter().map(|other| {
            let joined = other.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        others.chain([own]).collect()
    })
}

/// A program by its name, loaded.
pub(super) fn loaded<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<BorrowedFd<'a>> {
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the kernel object has no program {name}"))
        .map_err(Error::Load)?;
    load(program)?;
    let loaded = program.fd().map_err(|error| Error::Load(error.into()))?;
    Ok(loaded.as_fd())
}

/// The kernel's identifier of a program.
pub(super) fn id(program: BorrowedFd<'_>) -> Result<u32> {
    // SAFETY: numbers, for all of which zero is valid.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attr = empty();
    attr.info.bpf_fd = program.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_prog_info>() as u32;
    attr.info.info = &raw mut info as u64;
    // SAFETY: the kernel writes no more than it is told, into what outlives the call.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) }
        .map_err(Error::system("identify the program for generic XDP"))?;
    Ok(info.id)
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
