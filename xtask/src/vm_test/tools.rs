//! The programs of the virtual machine that a developer's system seldom has: those in `PATH` are taken,
//! and the others unpacked from their packages into the project's cache, which needs no root and changes
//! nothing. What comes next is [`super::machine`].

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::apt::Apt;
use crate::{command, packages::Tool, workspace};

/// The emulator.
pub(super) const QEMU: &str = "qemu-system-x86_64";
/// Everything that the guest starts, but for the network tools.
pub(super) const BUSYBOX: &str = "busybox";
/// What is loaded in the guest's kernel.
pub(super) const BPFTOOL: &str = "bpftool";

const TOOLS: &[Tool] = &[
    Tool {
        program: QEMU,
        packages: &["qemu-system-x86"],
    },
    Tool {
        program: BUSYBOX,
        packages: &["busybox-static"],
    },
    Tool {
        program: BPFTOOL,
        packages: &["bpftool"],
    },
];

/// Packages that are of one version with [`QEMU`]; one that is installed would be in the way of another
/// version, and nothing of it is needed.
const FAMILY: &str = "qemu-";

/// Where programs and libraries lie in a package.
const PROGRAMS: &[&str] = &["usr/bin", "usr/sbin", "bin", "sbin"];
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// The programs, found.
pub(super) struct Tools {
    /// Where packages are unpacked.
    unpacked: PathBuf,
}

impl Tools {
    /// Unpacks what is lacking.
    pub(super) fn ensure() -> Result<Self> {
        let tools = Self {
            unpacked: workspace::cache_dir()?.join("vm-tools"),
        };
        let lacking: Vec<&str> = TOOLS
            .iter()
            .filter(|tool| tools.find(tool.program).is_none())
            .map(|tool| tool.packages[0])
            .collect();
        if !lacking.is_empty() {
            let names = lacking.join(", ");
            command::say(format_args!("unpacking {names} into the cache"));
            let apt = Apt::of_system(FAMILY)?;
            apt.unpack_with_needs(&lacking, &tools.unpacked)
                .with_context(|| format!("cannot get {names}"))?;
            apt.remove();
        }
        for tool in TOOLS {
            tools.path(tool.program)?;
        }
        Ok(tools)
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        command::find(program).or_else(|| {
            PROGRAMS
                .iter()
                .map(|directory| self.unpacked.join(directory).join(program))
                .find(|path| path.is_file())
        })
    }

    /// The path of a program.
    pub(super) fn path(&self, program: &str) -> Result<PathBuf> {
        self.find(program).with_context(|| {
            format!(
                "`{program}` is neither in PATH nor among what was unpacked; install it by hand"
            )
        })
    }

    /// Where a file of an unpacked package would lie if that were installed; others lie where they are.
    pub(super) fn installed_path(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix(&self.unpacked);
        inside.map_or_else(|_| path.to_owned(), |inside| Path::new("/").join(inside))
    }

    /// A command that finds the libraries of what was unpacked.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let libraries = LIBRARIES.map(|directory| self.unpacked.join(directory));
        if let Ok(path) = env::join_paths(libraries) {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }
}
