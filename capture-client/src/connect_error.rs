//! Why the daemon cannot be reached, and what to do about it.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use capture_task::Cause;
use nix::unistd::{Gid, Group, geteuid};

use crate::error::Error;

/// The group that the configuration has unless it says otherwise.
const GROUP: &str = "capture-agent";

/// What is said where connecting failed.
pub(super) fn error(socket: &Path, error: &io::Error) -> Error {
    let shown = socket.display();
    let start = "start it by `systemctl start capture-agent` or `capture-agent daemon`, or name its socket by --socket or CAPTURE_AGENT_SOCKET";
    let message = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            format!("no daemon is running: {shown} does not exist; {start}")
        }
        io::ErrorKind::ConnectionRefused => {
            format!("no daemon listens at {shown}; {start}")
        }
        io::ErrorKind::PermissionDenied => forbidden(socket),
        _ => format!(
            "the daemon at {shown} cannot be reached: {}; {start}",
            Cause(error)
        ),
    };
    Error::unreachable(message)
}

/// Root and the members of one group may connect.
fn forbidden(socket: &Path) -> String {
    let shown = socket.display();
    let owner = fs::metadata(socket)
        .ok()
        .map(|metadata| (metadata.mode(), metadata.gid()));
    let group = match owner {
        // The group may not either: it did not exist when the daemon started.
        Some((mode, _)) if mode & 0o060 != 0o060 => {
            return format!(
                "user {} may not connect to {shown}, and no group may; run this as root, or create the group of `access.socket_group` and restart the daemon",
                geteuid()
            );
        }
        Some((_, gid)) => Group::from_gid(Gid::from_raw(gid))
            .ok()
            .flatten()
            .map_or_else(|| gid.to_string(), |group| group.name),
        None => GROUP.to_owned(),
    };
    format!(
        "user {} may not connect to {shown}; run this as root, or become a member of the group {group} (`sudo usermod -aG {group} USER`) and log in again",
        geteuid()
    )
}
