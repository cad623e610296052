//! A copy of the database while it is used.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use capture_task::Cause;

use super::{
    audit_event::{Action, AuditEvent},
    database::{Store, lock},
    failure::Abort,
};
use crate::{
    access::Actor,
    error::{Error, Result},
};

impl Store {
    /// Copies the database, as of one moment, into a new file with mode 0600, and logs that. The copy is a database that a
    /// daemon opens.
    ///
    /// # Errors
    /// The file is there already, or cannot be written; then none is left.
    pub fn backup(&self, to: &Path, actor: &Actor) -> Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(|error| cannot(to, &error))?;
        // First, so that the copy tells of itself too.
        let object = to.to_string_lossy();
        let event = AuditEvent::done(Action::Backup, &object);
        let copied = self
            .audit(&actor.caller, event)
            .map_err(Error::from)
            .and_then(|()| self.copy(to, &file));
        if copied.is_err() {
            // It is of no use to anybody.
            let _ = fs::remove_file(to);
        }
        copied
    }

    fn copy(&self, to: &Path, file: &File) -> Result<()> {
        let path = to
            .to_str()
            .ok_or_else(|| Error::usage(format!("{}: write a path in UTF-8", to.display())))?;
        // Reads one moment and changes nothing: writers in other processes go on.
        let copied = lock(&self.0.writer).execute("VACUUM INTO ?", [path]);
        copied.map_err(|error| {
            let error = Error::from(Abort::Sqlite(error));
            Error {
                message: format!("{}: {error}", to.display()),
                ..error
            }
        })?;
        file.sync_all().map_err(|error| cannot(to, &error))?;
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(directory.unwrap_or(Path::new("."))).and_then(|it| it.sync_all());
        synced.map_err(|error| cannot(to, &error))
    }
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::conflict(format!("{shown} is there already; name another file"))
        }
        _ => Error::runtime(format!("{shown}: {}", Cause(error))),
    }
}
