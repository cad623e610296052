//! The protocol of the service manager (sd_notify(3)): ready, reloading, stopping, watchdog. Does nothing without
//! one.

use std::{
    env,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use capture_engine::clock::monotonic_ns;

/// The API answers.
pub(super) fn ready() {
    tell("READY=1");
}

/// The configuration is read again; [`ready`] says when that is done.
pub(super) fn reloading() {
    tell(&format!(
        "RELOADING=1\nMONOTONIC_USEC={}",
        monotonic_ns() / 1000
    ));
}

/// The daemon ends.
pub(super) fn stopping() {
    tell("STOPPING=1");
}

/// The daemon is alive.
pub(super) fn alive() {
    tell("WATCHDOG=1");
}

/// How often the service manager wants to hear [`alive`], at the least (sd_watchdog_enabled(3)).
pub(super) fn watchdog() -> Option<Duration> {
    watchdog_of(
        env::var("WATCHDOG_USEC").ok().as_deref(),
        env::var("WATCHDOG_PID").ok().as_deref(),
        std::process::id(),
    )
}

fn watchdog_of(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let usec = usec?.parse().ok().filter(|usec| *usec > 0 && is_ours)?;
    Some(Duration::from_micros(usec))
}

fn tell(state: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(state.as_bytes(), &address)
    });
    if let Err(error) = sent {
        log::warn!("the service manager cannot be told {state:?}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_ours_or_nobodys() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog_of(Some("1000000"), Some("7"), 7), second);
        assert_eq!(watchdog_of(Some("1000000"), None, 7), second);
        for (usec, pid) in [
            (None, None),
            (Some("1000000"), Some("8")),
            (Some("0"), None),
            (Some("x"), None),
        ] {
            assert_eq!(watchdog_of(usec, pid, 7), None);
        }
    }
}
