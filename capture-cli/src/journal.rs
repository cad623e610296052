//! Where standard error is systemd's journal: each line begins with its priority (sd-daemon(3)), by which
//! `journalctl -p` and its colours tell errors from the rest.

use std::{env, os::fd::AsFd};

use log::Level;
use nix::sys::stat::fstat;

/// Whether this descriptor is the journal that `JOURNAL_STREAM` names (systemd.exec(5)).
pub(super) fn is_behind(descriptor: impl AsFd) -> bool {
    let named = env::var("JOURNAL_STREAM").ok();
    let there = fstat(descriptor).ok();
    there.is_some_and(|there| names(named.as_deref(), (there.st_dev, there.st_ino)))
}

/// Device and inode, as `8:1234`.
fn names(stream: Option<&str>, (device, inode): (u64, u64)) -> bool {
    let named = stream.and_then(|stream| {
        let (device, inode) = stream.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    named == Some((device, inode))
}

/// What the journal reads as the priority of a line.
pub(super) fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_device_and_inode() {
        assert!(names(Some("8:1234"), (8, 1234)));
        for other in [
            None,
            Some(""),
            Some("8"),
            Some("8:12345"),
            Some("9:1234"),
            Some("a:b"),
        ] {
            assert!(!names(other, (8, 1234)), "{other:?}");
        }
    }
}
