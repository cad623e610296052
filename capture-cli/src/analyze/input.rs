//! The files of the command line, opened: what is not there is said before anything is read.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use capture_file::open_failure;
use capture_inspector::Input;
use capture_task::Cause;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::{Error, Result};

/// Descriptors that are there beside those of the files.
const OTHERS: u64 = 64;

/// Opens all of them.
pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>> {
    let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
    if paths.iter().filter(is_stdin).count() > 1 {
        return Err(Error::usage("standard input (\"-\") can be read once only"));
    }
    allow_descriptors(paths.len() as u64 + OTHERS);
    paths.iter().map(|path| open(path)).collect()
}

fn open(path: &Path) -> Result<Input> {
    let name = path.display().to_string();
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            let message = "standard input is a terminal; name a file, or send a capture into it";
            return Err(Error::usage(message));
        }
        return Ok(Input::stream(name, io::stdin()));
    }
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let why = open_failure(path, &error);
            Error::not_found(format!("cannot open {name}: {why}"))
        }
        _ => Error::runtime(format!("cannot open {name}: {}", Cause(&error))),
    })?;
    Ok(Input::file(name, file))
}

/// A long rotation has more files than most shells allow; what is allowed at most is enough.
fn allow_descriptors(wanted: u64) {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if wanted > soft
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)
    {
        log::debug!("raising the limit of open files: {error}");
    }
}
