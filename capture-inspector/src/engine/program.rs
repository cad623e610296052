//! Which engines there are, and where on this machine.

use std::{
    ffi::OsStr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::error::Error;

/// An engine that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// Suricata, by its rules.
    Suricata,
    /// nDPI, by its program `ndpiReader`.
    Ndpi,
}

impl EngineKind {
    /// As in options and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Suricata => "suricata",
            Self::Ndpi => "ndpi",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Suricata => "suricata",
            Self::Ndpi => "ndpiReader",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Suricata => "suricata",
            Self::Ndpi => "libndpi-bin",
        }
    }
}

/// The program of an engine.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) kind: EngineKind,
    pub(super) path: PathBuf,
}

impl Program {
    /// The first one on a search path. Relative directories do not count: what lies beside a capture is not to be run.
    pub(super) fn find(kind: EngineKind, search: &OsStr) -> Result<Self, Error> {
        let directories = std::env::split_paths(search).filter(|it| it.is_absolute());
        let mut candidates = directories.map(|directory| directory.join(kind.program()));
        let path = candidates.find(|path| is_program(path));
        let path = path.and_then(|path| std::fs::canonicalize(path).ok());
        match path {
            Some(path) => Ok(Self { kind, path }),
            None => Err(Error::Missing {
                program: kind.program(),
                package: kind.package(),
            }),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.kind.program()
    }
}

fn is_program(path: &Path) -> bool {
    let metadata = std::fs::metadata(path);
    metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
