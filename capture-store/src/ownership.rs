//! Whose files are: those that root makes go to the owner of their directory, and an error of access says whose the
//! obstacle is.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{MetadataExt as _, fchown},
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, Gid, Group, Uid, User, eaccess, geteuid};

/// Gives a file that root has made to the owner of its directory: a command of root's must not leave one that
/// the daemon's user cannot open.
pub fn give_to_owner(file: &File, directory: &Path) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    if geteuid().is_root() && owner.uid() != 0 {
        fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// The name of the user as whom this process runs.
pub fn own_name() -> String {
    user_name(geteuid())
}

fn user_name(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// What stands in the way where a path may not be made, read or written: whose it is, what this process may, and what to
/// do about it. Empty for other errors.
pub fn why_denied(path: &Path, error: &io::Error) -> String {
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
