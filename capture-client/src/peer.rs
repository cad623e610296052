//! Whether whoever listens on a socket may be the daemon. In a directory that everybody can write to, as `/tmp`, any
//! user can be first to make the socket, and would get what is meant for the daemon.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use nix::unistd::{User, geteuid};
use tokio::net::UnixStream;

use crate::error::{Error, Result};

/// The user that the daemon has by default.
const USER: &str = "capture-agent";

/// Refuses another user's socket in a directory that everybody can write to, but for root's and the daemon's.
pub(super) fn check(socket: &Path, stream: &UnixStream) -> Result<()> {
    let Some(directory) = socket.parent().filter(|parent| *parent != Path::new("")) else {
        return check_in(Path::new("."), socket, stream);
    };
    check_in(directory, socket, stream)
}

fn check_in(directory: &Path, socket: &Path, stream: &UnixStream) -> Result<()> {
    let is_open = fs::metadata(directory).is_ok_and(|directory| directory.mode() & 0o002 != 0);
    let peer = stream.peer_cred().map(|peer| peer.uid());
    match peer {
        Ok(uid) if is_open && !is_trusted(uid) => Err(Error::unreachable(format!(
            "{} is of another user (uid {uid}) in a directory that everybody can write to, and need not be the \
             daemon's; it belongs into a directory of its own",
            socket.display()
        ))),
        _ => Ok(()),
    }
}

fn is_trusted(uid: u32) -> bool {
    let is_daemons = || {
        let user = User::from_name(USER).ok().flatten();
        user.is_some_and(|user| user.uid.as_raw() == uid)
    };
    uid == 0 || uid == geteuid().as_raw() || is_daemons()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_oneself_and_the_daemon_are_trusted() {
        assert!(is_trusted(0) && is_trusted(geteuid().as_raw()));
        // nobody
        assert!(!is_trusted(65534));
    }
}
