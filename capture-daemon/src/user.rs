//! The user that the daemon runs as. Started as root, it becomes [`NAME`] if its files belong to that user, as it
//! gives up the capability to write elsewhere (see [`super::privileges`]). If they belong to root it stays root.

use std::{
    ffi::CString,
    fs::{self, DirBuilder, File, Metadata},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown, fchown},
    path::{Path, PathBuf},
};

use nix::{
    sys::prctl::set_keepcaps,
    unistd::{
        AccessFlags, Gid, Group, Uid, User, eaccess, geteuid, getgrouplist, setgroups, setresgid,
        setresuid,
    },
};

use super::config::Paths;
use crate::error::{Error, Result};

/// The user that `deploy/systemd/sysusers.d` makes.
const NAME: &str = "capture-agent";

/// Whom root becomes: the user [`NAME`], where the captures and the database belong to it, or will, by the
/// directories in which they will be made.
pub(super) fn of_files(paths: &Paths) -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let user = User::from_name(NAME).ok().flatten()?;
    let is_owner = |path: &Path| owner(path).is_some_and(|uid| uid == user.uid.as_raw());
    let owns = !user.uid.is_root() && is_owner(&paths.captures) && is_owner(&paths.database);
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

/// Makes the directory of the socket for a user where it is not there: `/run` is empty after each boot, and nobody
/// but root can make something in it.
pub(super) fn make_socket_directory(socket: &Path, user: &User) {
    let Some(directory) = socket.parent().filter(|directory| !directory.exists()) else {
        return;
    };
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .and_then(|()| chown(directory, Some(user.uid.as_raw()), Some(user.gid.as_raw())));
    if let Err(error) = made {
        log::warn!("{}: {error}", directory.display());
    }
}

/// Gives a file that root has made to the owner of its directory: a command of root's must not leave one that
/// the daemon's user cannot open.
pub(super) fn give_to_owner(file: &File, directory: &Path) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    if geteuid().is_root() && owner.uid() != 0 {
        fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// The name of the user as whom this process runs.
pub(super) fn own_name() -> String {
    user_name(geteuid())
}

fn user_name(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// What stands in the way where a path may not be made, read or written: whose it is, what this process may, and what to
/// do about it. Empty for other errors.
pub(super) fn why_denied(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let Some((obstacle, metadata)) = obstacle(path) else {
        return String::new();
    };
    let uid = Uid::from_raw(metadata.uid());
    let (shown, owner, own) = (obstacle.display(), user_name(uid), own_name());
    let whose = format!(
        "{shown} belongs to {owner} (mode {:04o})",
        metadata.mode() & 0o7777
    );
    if uid == geteuid() {
        format!("; {whose}, as whom the daemon runs")
    } else if geteuid().is_root() {
        format!(
            "; {whose}, and the daemon, as root with no capabilities but CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, may not write \
             there; start it as {owner}: {}",
            start_as(uid, Gid::from_raw(metadata.gid()))
        )
    } else {
        format!(
            "; {whose}, and the daemon runs as {own}; `chown {own} {shown}` gives it to {own}, or name another place in the \
             configuration"
        )
    }
}

/// The command that starts the daemon as a user with all that it needs.
fn start_as(uid: Uid, gid: Gid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    let group = Group::from_gid(gid).ok().flatten();
    let groups = match user {
        Some(_) => "--init-groups",
        None => "--clear-groups",
    };
    let user = user.map_or_else(|| uid.to_string(), |user| user.name);
    let group = group.map_or_else(|| gid.to_string(), |group| group.name);
    let three = "-all,+bpf,+net_admin,+perfmon";
    format!(
        "`setpriv --reuid={user} --regid={group} {groups} --bounding-set={three} --inh-caps={three} --ambient-caps={three} \
         capture-agent daemon`"
    )
}

/// The first directory on the way to a path that this process may not enter, or else the last one that is there.
fn obstacle(path: &Path) -> Option<(PathBuf, Metadata)> {
    let ancestors: Vec<_> = path.ancestors().collect();
    let mut last = None;
    for ancestor in ancestors.into_iter().rev() {
        let Ok(metadata) = fs::metadata(ancestor) else {
            break;
        };
        let closed = metadata.is_dir() && eaccess(ancestor, AccessFlags::X_OK).is_err();
        last = Some((ancestor.to_owned(), metadata));
        if closed {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_what_is_not_there_is_that_of_its_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = Some(geteuid().as_raw());
        assert_eq!(owner(directory.path()), own);
        assert_eq!(owner(&directory.path().join("a/b")), own);
        assert_eq!(owner(Path::new("/proc/no/such")), Some(0));
    }

    #[test]
    fn an_error_says_whose_the_obstacle_is_and_what_to_do() {
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        let path = Path::new("/proc/sys/no/such");
        let why = why_denied(path, &denied);
        assert!(
            why.starts_with("; /proc/sys belongs to root (mode 0555), "),
            "{why}"
        );
        let other = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(why_denied(path, &other), "");
        let command = start_as(Uid::from_raw(4_000_000), Gid::from_raw(0));
        assert!(
            command.contains("--reuid=4000000 --regid=root --clear-groups "),
            "{command}"
        );
    }
}
