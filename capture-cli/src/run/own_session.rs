//! A capture that takes the ssh session in which it was started takes its own output too, and on a terminal feeds
//! itself. That is said once, at the start.

use capture_engine::{
    interfaces::InterfaceEntry,
    ssh_session::{SshSession, ssh_session},
};

use crate::{request::RunOptions, task_request::TaskRequest};

/// Warns where a task takes the session.
pub(super) fn warn(tasks: &[TaskRequest], options: &RunOptions, present: &[InterfaceEntry]) {
    // Sessions are the host's.
    if options.netns.is_some() {
        return;
    }
    let Some(session) = ssh_session() else { return };
    let taken = tasks
        .iter()
        .find_map(|task| session.taken_on(&task.plan, present));
    if let Some(interface) = taken {
        let SshSession { client, server } = session;
        let port = server.port();
        log::warn!(
            "the ssh session of this capture ({client} to {server}) is captured too, on {interface}; name a service, as by \
             `--port 443`, or all ports but {port}, as by `--ip {} --port {}`",
            server.ip(),
            all_but(port)
        );
    }
}

/// A list of all ports but one.
fn all_but(port: u16) -> String {
    match port {
        0 => "1-65535".to_owned(),
        u16::MAX => "0-65534".to_owned(),
        port => format!("0-{},{}-65535", port - 1, port + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_but_one_are_two_ranges_or_one() {
        assert_eq!(all_but(22), "0-21,23-65535");
        assert_eq!(all_but(0), "1-65535");
        assert_eq!(all_but(65535), "0-65534");
    }
}
