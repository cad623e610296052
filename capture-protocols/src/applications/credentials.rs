//! Logins of a protocol that everybody on the way can read: that there were some, and where; and whether they
//! worked, for those who count that.
//! No name, no password and no part of them is kept.

use crate::applications::protocol::At;
use crate::{
    address::Address,
    evidence::Evidence,
    filter::filter,
    finding::{Finding, Subject},
    logins::Results,
    lru::Lru,
    rules::application as rules,
    severity::Severity,
};

/// Most servers of a protocol that are told apart.
const MOST_SERVERS: usize = 64;

/// Most clients of a server that are told apart.
const MOST_CLIENTS: usize = 8;

/// Passwords that a server was sent.
#[derive(Clone, Debug, Default)]
struct Server {
    packets: Evidence,
    clients: Vec<Address>,
    /// Whether there were more clients.
    has_more: bool,
}

/// Logins of one protocol.
#[derive(Clone, Debug)]
pub(super) struct Logins {
    servers: Lru<(Address, u16), Server>,
    results: Option<Results>,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            servers: Lru::new(MOST_SERVERS),
            results: None,
        }
    }
}

/// How a protocol is spoken of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// Its name.
    pub(super) protocol: &'static str,
    /// What the client sends: `a password`, and of several `passwords`.
    pub(super) secret: [&'static str; 2],
    /// `tcp` or `udp`.
    pub(super) transport: &'static str,
    /// The part of a display filter that tells the packet with the secret from others of the flow; empty where there is none.
    pub(super) filter: &'static str,
}

impl Words {
    /// Those of a protocol over TCP whose clients send passwords.
    pub(super) fn of_passwords(protocol: &'static str, filter: &'static str) -> Self {
        Self {
            protocol,
            secret: ["a password", "passwords"],
            transport: "tcp",
            filter,
        }
    }
}

impl Logins {
    /// A client sent a password.
    pub(super) fn sent(&mut self, at: &At) {
        let server = self.servers.entry(&(at.server, at.port), Server::default);
        server.packets.add(at.number, at.ns);
        if server.clients.contains(&at.client) {
            return;
        }
        match server.clients.len() < MOST_CLIENTS {
            true => server.clients.push(at.client),
            false => server.has_more = true,
        }
    }

    /// A server refused a login.
    pub(super) fn refused(&mut self) {
        let results = self.results.get_or_insert_default();
        results.refused = results.refused.saturating_add(1);
        results.is_accepted = false;
    }

    /// A login worked.
    pub(super) fn accepted(&mut self) {
        self.results.get_or_insert_default().is_accepted = true;
    }

    /// What was said since the last call.
    #[inline]
    pub(super) fn take_results(&mut self) -> Option<Results> {
        self.results.take()
    }

    /// What there is to be said of them.
    pub(super) fn findings(&self, words: &Words, findings: &mut Vec<Finding>) {
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.sort_by_key(|(key, _)| **key);
        let servers = servers.into_iter();
        findings.extend(servers.map(|(key, server)| sent(words, *key, server)));
    }
}

fn sent(words: &Words, (address, port): (Address, u16), server: &Server) -> Finding {
    let Words {
        protocol,
        secret: [one, several],
        transport,
        filter: part,
    } = words;
    let count = server.packets.count();
    let first = server.clients.first().copied();
    let who = first.map_or(String::new(), |first| first.to_string());
    let others = server.clients.len().saturating_sub(1);
    let to = format!("to {address} port {port} by {protocol} without encryption");
    let times = match count {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    let summary = match (others, server.has_more) {
        (0, _) => format!("{who} sent {one} {to}{times}."),
        (1, _) => format!("{who} and another host sent {several} {to}{times}."),
        (others, false) => format!("{who} and {others} other hosts sent {several} {to}{times}."),
        (others, true) => {
            format!("{who} and more than {others} other hosts sent {several} {to}{times}.")
        }
    };
    let mut check = format!(
        "{} && {transport}.dstport == {port}",
        filter("dst", address)
    );
    if !part.is_empty() {
        check = format!("{check} && {part}");
    }
    Finding::new(&rules::CLEARTEXT, summary, server.packets.clone())
        // Between programs of one host nobody else can read it but who may capture there.
        .severity(match address.is_loopback() || server.clients == [address] {
            true => Severity::Warn,
            false => rules::CLEARTEXT.severity,
        })
        .subject(Subject {
            source: first.filter(|_| others == 0),
            destination: Some(address),
            destination_port: Some(port),
            protocol: Some(transport),
            ..Subject::default()
        })
        .check(check)
}
