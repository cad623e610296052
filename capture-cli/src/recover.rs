//! `recover` makes capture files of the `.part` files of killed captures. `run` prints a hint where there are some.

use std::{io::ErrorKind, path::Path};

use capture_file as output;
use capture_file::Target;
use capture_task::Cause;

use super::{args::RecoverArgs, print, report_error};
use crate::{
    error::{Error, Result},
    exit::Exit,
};

/// Recovers each file; the exit code is that of the first that cannot be.
pub(super) fn recover(args: &RecoverArgs) -> Result<Exit> {
    let mut exit = Exit::Ok;
    for file in &args.files {
        match recover_one(file) {
            Ok(line) => print(line.as_bytes())?,
            Err(error) => {
                let failed = report_error(error);
                exit = if exit == Exit::Ok { failed } else { exit };
            }
        }
    }
    Ok(exit)
}

fn recover_one(file: &Path) -> Result<String> {
    let name = file.display();
    if !is_part(file) {
        return Err(Error::usage(format!(
            "{name} is not what a killed capture leaves, which ends in .part"
        )));
    }
    match output::recover(file) {
        Ok(recovered) => Ok(format!("{recovered}\n")),
        Err(error) => Err(match error.kind() {
            ErrorKind::NotFound => Error::not_found(format!("{name} is not there")),
            ErrorKind::WouldBlock => {
                Error::conflict(format!("{name} is being written by a running capture"))
            }
            _ => Error::runtime(format!("cannot recover {name}: {}", Cause(&error))),
        }),
    }
}

fn is_part(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "part")
}

/// What killed captures left in the directories of these outputs, in a sentence. Asked once they are open: what
/// had their names is recovered then.
pub(super) fn hint(targets: &[Target]) -> Option<String> {
    const MOST: usize = 5;
    let mut directories: Vec<_> = targets
        .iter()
        .filter_map(|target| match target {
            // A `.part` lies where the links of a name lead.
            Target::File(path) => output::follow_links(path).parent().map(Path::to_owned),
            Target::Stdout | Target::Open(_) => None,
        })
        .collect();
    directories.sort_unstable();
    directories.dedup();
    let left: Vec<_> = directories
        .into_iter()
        .flat_map(|directory| output::leftovers(&directory))
        .map(|path| path.display().to_string())
        .collect();
    let mut names = left[..left.len().min(MOST)].join(" ");
    if left.len() > MOST {
        names.push_str(" …");
    }
    match left.len() {
        0 => None,
        1 => Some(format!(
            "{names} was left by an interrupted capture; \
             `capture-agent recover {names}` makes a capture file of it"
        )),
        count => Some(format!(
            "{count} files here were left by interrupted captures; \
             `capture-agent recover {names}` makes capture files of them"
        )),
    }
}
