//! The user who has typed `sudo capture-agent run`: the capture is theirs, and they want to open it in Wireshark.

use std::env;

use capture_file::Owner;
use nix::unistd::geteuid;

/// The user who has called sudo, where this is root and that one is not.
pub(crate) fn of_sudo() -> Option<Owner> {
    if !geteuid().is_root() {
        return None;
    }
    let owner = Owner {
        uid: env::var("SUDO_UID").ok()?.parse().ok()?,
        gid: env::var("SUDO_GID").ok()?.parse().ok()?,
    };
    (owner.uid != 0).then_some(owner)
}
