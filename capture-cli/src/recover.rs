//! `recover` makes capture files of the `.part` files of killed captures.

use std::{io::ErrorKind, path::Path};

use capture_file as output;
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
