//! The user that the daemon runs as. Started as root, it becomes the user of `--user` or `access.user`, or else [`NAME`]
//! if its files belong to that user, as it gives up the capability to write elsewhere (see [`super::privileges`]). If
//! they belong to root it stays root.

use std::{
    ffi::CString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, lchown},
    path::Path,
};

use capture_store::ownership::own_name;
use capture_task::plan::quote;
use nix::{
    sys::prctl::set_keepcaps,
    unistd::{Gid, User, geteuid, getgrouplist, setgroups, setresgid, setresuid},
};

use super::config::Paths;
use crate::error::{Error, Result};

/// The user that `deploy/systemd/sysusers.d` makes.
const NAME: &str = "capture-agent";

/// Its directory in the default paths.
const HOME: &str = "/var/lib/capture-agent";

/// Whom the daemon is to become.
#[derive(Debug)]
pub(super) struct NewUser {
    pub(super) user: User,
    /// Whether somebody has said so, and not the files.
    pub(super) is_named: bool,
}

/// Whom the daemon is to become, where that is another user than it runs as.
pub(super) fn wanted(paths: &Paths, named: Option<&str>) -> Result<Option<NewUser>> {
    let user = match named {
        Some(name) => of_name(name)?,
        None if geteuid().is_root() => of_files(paths),
        None => None,
    };
    let is_named = named.is_some();
    Ok(user.map(|user| NewUser { user, is_named }))
}

/// The user of this name.
pub(super) fn must_exist(name: &str) -> Result<User> {
    User::from_name(name).ok().flatten().ok_or_else(|| {
        Error::usage(format!(
            "there is no user {}, as whom the daemon is to run (`--user`, `access.user`); `useradd --system` makes one",
            quote(name)
        ))
    })
}

fn of_name(name: &str) -> Result<Option<User>> {
    let user = must_exist(name)?;
    let shown = quote(name);
    let own = geteuid();
    if user.uid == own {
        return Ok(None);
    }
    if own.is_root() {
        return Ok(Some(user));
    }
    Err(Error::usage(format!(
        "the daemon is to run as {shown} (`--user`, `access.user`), and was started as {}; start it as root or as {shown}",
        own_name()
    )))
}

/// The user [`NAME`], where the captures and the database belong to it, or will, by the directories in which they will
/// be made. That is so, too, where [`HOME`] is yet to be made.
fn of_files(paths: &Paths) -> Option<User> {
    let user = User::from_name(NAME).ok().flatten()?;
    let is_owner = |path: &Path| owner(path).is_some_and(|uid| uid == user.uid.as_raw());
    let is_below_home = |path: &Path| path.starts_with(HOME);
    let all = |is: &dyn Fn(&Path) -> bool| is(&paths.captures) && is(&paths.database);
    let is_new = all(&is_below_home) && !Path::new(HOME).exists();
    let owns = !user.uid.is_root() && (is_new || all(&is_owner));
    owns.then_some(user)
}

/// The owner of a path, or of the nearest directory above it that is there.
fn owner(path: &Path) -> Option<u32> {
    let mut metadata = path.ancestors().map(fs::metadata);
    metadata.find_map(|metadata| metadata.ok().map(|metadata| metadata.uid()))
}

/// Becomes a user with its groups and one more. The capabilities that are permitted stay so, and none is in force
/// afterwards.
pub(super) fn become_user(user: &User, group: Option<Gid>) -> Result<()> {
    let become_it = || -> nix::Result<()> {
        let name = CString::new(user.name.as_str()).unwrap_or_default();
        let mut groups = getgrouplist(&name, user.gid)?;
        groups.extend(group.filter(|group| !groups.contains(group)));
        setgroups(&groups)?;
        setresgid(user.gid, user.gid, user.gid)?;
        set_keepcaps(true)?;
        setresuid(user.uid, user.uid, user.uid)
    };
    become_it().map_err(|errno| {
        Error::runtime(format!(
            "cannot become the user {}, to whom the daemon's files belong: {errno}",
            user.name
        ))
    })
}

/// The same for the user of this process.
pub(super) fn make_own_directories(paths: &Paths) {
    if let Ok(Some(user)) = User::from_uid(geteuid()) {
        make_directories(paths, &user);
    }
}

/// Makes the directories of the daemon for a user where they are not there, as only root can: `/run` is empty after each
/// boot.
pub(super) fn make_directories(paths: &Paths, user: &User) {
    let places = [
        (paths.socket.parent(), 0o755),
        (paths.database.parent(), 0o700),
        (Some(paths.captures.as_path()), 0o700),
    ];
    for (directory, mode) in places {
        let missing = directory.filter(|directory| !directory.exists());
        let made = missing.map(|directory| make_directory(directory, mode, user));
        if let Some((Err(error), directory)) = made.zip(missing) {
            log::warn!("{}: {error}", directory.display());
        }
    }
}

fn make_directory(directory: &Path, mode: u32, user: &User) -> io::Result<()> {
    if let Some(above) = directory.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(above)?;
    }
    DirBuilder::new().mode(mode).create(directory)?;
    lchown(directory, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_is_named_must_be_there() {
        let paths = Paths::default();
        let own = own_name();
        assert!(wanted(&paths, Some(&own)).expect("it is there").is_none());
        let error = wanted(&paths, Some("no-such\nuser")).expect_err("it is not there");
        assert!(
            error
                .message
                .starts_with("there is no user \"no-such\\nuser\", "),
            "{error}"
        );
    }

    #[test]
    fn the_owner_of_what_is_not_there_is_that_of_its_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = Some(geteuid().as_raw());
        assert_eq!(owner(directory.path()), own);
        assert_eq!(owner(&directory.path().join("a/b")), own);
        assert_eq!(owner(Path::new("/proc/no/such")), Some(0));
    }
}
