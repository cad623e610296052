//! The ssh session in which this process runs, as sshd tells it: a capture that takes it takes its own output too.

use std::{
    env, fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use capture_task::plan::{InterfaceSelection, Plan, Protocol};

use crate::interfaces::InterfaceEntry;

/// Most processes between this one and the shell of the session: sudo takes the variable away.
const MOST_ANCESTORS: usize = 12;

/// The ends of a session, as in `SSH_CONNECTION`: `10.0.0.9 51234 10.0.0.5 22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SshSession {
    /// Where the user sits.
    pub client: SocketAddr,
    /// This host.
    pub server: SocketAddr,
}

/// The session of this process, or of one that it comes from; none outside of ssh.
pub fn ssh_session() -> Option<SshSession> {
    let own = env::var("SSH_CONNECTION").ok().as_deref().and_then(parse);
    own.or_else(|| {
        let mut process = parent("self")?;
        for _ in 0..MOST_ANCESTORS {
            let path = Path::new("/proc").join(&process).join("environ");
            let environment = fs::read(path).ok()?;
            let mut variables = environment.split(|byte| *byte == 0);
            let value = variables.find_map(|variable| {
                let text = str::from_utf8(variable).ok()?;
                text.strip_prefix("SSH_CONNECTION=")
            });
            if let Some(value) = value {
                return parse(value);
            }
            process = parent(&process)?;
        }
        None
    })
}

/// The parent of a process, by its number.
fn parent(process: &str) -> Option<String> {
    let status = fs::read_to_string(Path::new("/proc").join(process).join("status")).ok()?;
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim();
    (parent != "0").then(|| parent.to_owned())
}

fn parse(value: &str) -> Option<SshSession> {
    let mut words = value.split_whitespace();
    let mut end = || {
        let address: IpAddr = words.next()?.parse().ok()?;
        Some(SocketAddr::new(
            address.to_canonical(),
            words.next()?.parse().ok()?,
        ))
    };
    Some(SshSession {
        client: end()?,
        server: end()?,
    })
}

impl SshSession {
    /// The interface on which a task takes the session: the one with the address of its server.
    pub fn taken_on<'a>(&self, plan: &Plan, present: &'a [InterfaceEntry]) -> Option<&'a str> {
        let has_server = |entry: &&InterfaceEntry| {
            let mut addresses = entry.addresses.iter();
            addresses.any(|own| own.addr() == self.server.ip())
        };
        let entry = present.iter().find(has_server)?;
        let is_chosen = match &plan.interfaces {
            InterfaceSelection::Any => true,
            InterfaceSelection::Named(names) => names.contains(&entry.name),
        };
        let is_taken = plan.filter.takes(Protocol::Tcp, [self.client, self.server]);
        (is_chosen && is_taken).then_some(entry.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use capture_task::plan::RequestOrigin;
    use serde_json::{Value, json};

    use super::*;

    fn plan(mut request: Value) -> Plan {
        request["interfaces"] = json!(["eth0"]);
        let spec = serde_json::from_value(request).expect("a request");
        Plan::resolve(&spec, RequestOrigin::Run).expect("a plan")
    }

    #[test]
    fn what_sshd_says() {
        let session = parse("10.0.0.9 51234 10.0.0.5 22").expect("a session");
        assert_eq!(session.client, "10.0.0.9:51234".parse().expect("an end"));
        assert_eq!(session.server, "10.0.0.5:22".parse().expect("an end"));
        for odd in [
            "",
            "10.0.0.9",
            "10.0.0.9 x 10.0.0.5 22",
            "10.0.0.9 1 10.0.0.5",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_session_is_taken_by_a_filter_that_both_ends_pass() {
        let session = parse("10.0.0.9 51234 10.0.0.5 22").expect("a session");
        for (request, is_taken) in [
            (json!({}), true),
            (json!({"protocol": "tcp"}), true),
            (json!({"protocol": "udp"}), false),
            (json!({"ports": [22]}), true),
            (json!({"ports": [443]}), false),
            (json!({"ip": "10.0.0.5"}), true),
            (json!({"ip": "10.0.0.9"}), true),
            (json!({"ip": "10.0.0.7"}), false),
            (json!({"ip": "10.0.0.9", "ports": [22]}), false),
            (
                json!({"ip": "10.0.0.5", "ports": ["0-21", "23-65535"]}),
                false,
            ),
            (
                json!({"ip": "10.0.0.9", "peer_ip": "10.0.0.5", "peer_ports": [22]}),
                true,
            ),
            (json!({"ip": "10.0.0.9", "peer_ip": "10.0.0.7"}), false),
        ] {
            let filter = plan(request.clone()).filter;
            let ends = [session.client, session.server];
            assert_eq!(filter.takes(Protocol::Tcp, ends), is_taken, "{request}");
        }
    }
}
