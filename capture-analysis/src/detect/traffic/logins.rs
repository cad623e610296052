//! Guessing of passwords: logins that fail in clear words, and, where they are encrypted, many short sessions of equal size one
//! after the other.

use std::collections::BTreeMap;

use super::explained::Explained;
use crate::{
    address::Address,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    flow::FlowKey,
    logins::Logins as Said,
    lru::Lru,
    rules::security as rules,
    seen::Flow,
    words::{duration, several},
};

/// Clients and services that are followed.
const MOST: usize = 1024;

/// Services with logins of which the shape of a session is all that can be seen.
const ENCRYPTED: [(u16, &str); 4] = [(22, "SSH"), (445, "SMB"), (3389, "RDP"), (5900, "VNC")];

/// Client, server, port.
type Key = (Address, Address, u16);

/// Sessions of one client with one service.
#[derive(Clone, Debug, Default)]
struct Sessions {
    count: u64,
    first_ns: u64,
    last_ns: u64,
    duration_ns: u64,
    /// Payload from the client and from the server: sums, and sums of squares.
    sums: [f64; 2],
    squares: [f64; 2],
    packets: Evidence,
}

/// Logins that a server refused in clear words.
#[derive(Clone, Debug, Default)]
struct Failures {
    service: &'static str,
    packets: Evidence,
    /// When the interval began that counts now, and how many there were in it.
    since_ns: u64,
    count: u64,
    /// Most in an interval, and the time from the first to the last of them.
    most: u64,
    took_ns: u64,
    /// Whether a login worked after enough of them.
    is_accepted: bool,
}

/// Interval in which refused logins count together: as long as enough of them take that are as far apart as they may be.
const TOGETHER_NS: u64 = rules::FAILED_LOGINS.count() * rules::LOGIN_INTERVAL.ns();

/// Measures logins.
#[derive(Clone, Debug)]
pub(super) struct Logins {
    sessions: Lru<Key, Box<Sessions>>,
    failures: Lru<Key, Box<Failures>>,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            sessions: Lru::new(MOST),
            failures: Lru::new(MOST),
        }
    }
}

impl Logins {
    /// A server says whether logins worked.
    pub(super) fn said(&mut self, said: &Said) {
        let key = (said.client, said.server, said.port);
        if said.results.refused == 0 && self.failures.peek(&key).is_none() {
            return;
        }
        let failures = self.failures.entry(&key, Box::default);
        failures.service = said.service;
        for _ in 0..said.results.refused {
            failures.add(said.number, said.ns);
        }
        failures.is_accepted |= said.results.is_accepted && failures.is_guessing();
    }

    /// A flow of TCP ends.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let (client, server) = (key.end(flow.client), key.end(flow.client.other()));
        if name(server.port).is_none() {
            return;
        }
        let [sent, received] =
            [flow.client, flow.client.other()].map(|side| flow.payload[side.index()] as f64);
        // A check of the port, which says at most its own version.
        if sent < rules::LOGIN_BYTES.value || received < rules::LOGIN_BYTES.value {
            return;
        }
        if rules::LOGIN_MOST_BYTES.is_reached(sent.max(received)) {
            return;
        }
        let key = (client.address, server.address, server.port);
        let sessions = self.sessions.entry(&key, Box::default);
        if sessions.count == 0 {
            sessions.first_ns = flow.first_ns;
        }
        sessions.count += 1;
        sessions.first_ns = sessions.first_ns.min(flow.first_ns);
        sessions.last_ns = sessions.last_ns.max(flow.first_ns);
        let duration_ns = flow.last_ns.saturating_sub(flow.first_ns);
        sessions.duration_ns = sessions.duration_ns.saturating_add(duration_ns);
        for (index, bytes) in [sent, received].into_iter().enumerate() {
            sessions.sums[index] += bytes;
            sessions.squares[index] += bytes * bytes;
        }
        sessions.packets.add(flow.first_packet, flow.first_ns);
    }

    /// One finding for each client.
    pub(super) fn findings(
        &self,
        facts: &Facts,
        explained: &mut Explained,
        findings: &mut Vec<Finding>,
    ) {
        let mut clients: BTreeMap<Address, Vec<Guessing<'_>>> = BTreeMap::new();
        for (key, failures) in self.failures.iter() {
            if failures.is_guessing() {
                clients
                    .entry(key.0)
                    .or_default()
                    .push(Guessing::of_words(key, failures));
            }
        }
        for (key, sessions) in self.sessions.iter() {
            let is_told = |found: &Vec<Guessing<'_>>| found.iter().any(|one| one.key == *key);
            if sessions.is_guessing() && !clients.get(&key.0).is_some_and(is_told) {
                clients
                    .entry(key.0)
                    .or_default()
                    .push(Guessing::of_shape(key, sessions));
            }
        }
        for (_, mut guessing) in clients {
            for Guessing {
                key: (client, server, port),
                ..
            } in &guessing
            {
                explained.guess(*client, *server, *port);
            }
            guessing.sort_by_key(|one| (std::cmp::Reverse(one.packets.count()), one.key));
            findings.extend(finding(&guessing, facts));
        }
    }
}

fn name(port: u16) -> Option<&'static str> {
    let found = ENCRYPTED.iter().find(|(number, _)| *number == port);
    found.map(|(_, name)| *name)
}

impl Failures {
    fn add(&mut self, number: u64, ns: u64) {
        self.packets.add(number, ns);
        if ns.saturating_sub(self.since_ns) > TOGETHER_NS {
            (self.since_ns, self.count) = (ns, 0);
        }
        self.count += 1;
        if self.count > self.most {
            self.most = self.count;
            self.took_ns = ns.saturating_sub(self.since_ns);
        }
    }

    fn is_guessing(&self) -> bool {
        self.most >= rules::FAILED_LOGINS.count()
    }
}

fn interval_ns(count: u64, since_ns: u64, until_ns: u64) -> u64 {
    until_ns.saturating_sub(since_ns) / count.saturating_sub(1).max(1)
}

impl Sessions {
    fn is_guessing(&self) -> bool {
        let mean_ns = self.duration_ns / self.count.max(1);
        self.count >= rules::LOGIN_SESSIONS.count()
            && interval_ns(self.count, self.first_ns, self.last_ns) <= rules::LOGIN_INTERVAL.ns()
            && mean_ns <= rules::LOGIN_TIME.ns()
            && [0, 1]
                .iter()
                .all(|index| !rules::LOGIN_SPREAD.is_reached(self.spread(*index)))
    }

    /// Standard deviation of the payload of one direction, as a share of its mean.
    fn spread(&self, index: usize) -> f64 {
        let count = self.count.max(1) as f64;
        let mean = self.sums[index] / count;
        let variance = (self.squares[index] / count - mean * mean).max(0.0);
        variance.sqrt() / mean.max(1.0)
    }
}

/// What one client does with one service.
struct Guessing<'a> {
    key: Key,
    service: &'static str,
    packets: &'a Evidence,
    shown: Shown<'a>,
}

/// What shows it.
enum Shown<'a> {
    /// What the server says.
    Words(&'a Failures),
    /// The shape of sessions.
    Shape(&'a Sessions),
}

impl<'a> Guessing<'a> {
    fn of_words(key: &Key, failures: &'a Failures) -> Self {
        Self {
            key: *key,
            service: failures.service,
            packets: &failures.packets,
            shown: Shown::Words(failures),
        }
    }

    fn of_shape(key: &Key, sessions: &'a Sessions) -> Self {
        Self {
            key: *key,
            service: name(key.2).unwrap_or("TCP"),
            packets: &sessions.packets,
            shown: Shown::Shape(sessions),
        }
    }
}

fn finding(guessing: &[Guessing<'_>], facts: &Facts) -> Option<Finding> {
    let (most, others) = guessing.split_first()?;
    let (client, server, port) = most.key;
    let mut packets = Evidence::default();
    guessing.iter().for_each(|one| packets.merge(one.packets));
    let beside = match others.len() as u64 {
        0 => String::new(),
        others => format!("; likewise {}", several(others, "other service")),
    };
    let (what, sure) = match most.shown {
        Shown::Words(failures) => (
            format!(
                "{client} failed to log in to {} of {server} port {port} {}{} within {}{}",
                most.service,
                several(failures.packets.count(), "time"),
                match failures.most < failures.packets.count() {
                    true => format!(", {} of them", failures.most),
                    false => String::new(),
                },
                duration(failures.took_ns),
                match failures.is_accepted {
                    true => ", and got in after that",
                    false => "",
                }
            ),
            Confidence::High,
        ),
        Shown::Shape(sessions) => (
            format!(
                "{client} opened {} of {} to {server} port {port} within {}, {} each and all of about {} bytes, as guessing of passwords does",
                several(sessions.count, "short session"),
                most.service,
                duration(sessions.last_ns.saturating_sub(sessions.first_ns)),
                duration(sessions.duration_ns / sessions.count.max(1)),
                (sessions.sums[0] + sessions.sums[1]) as u64 / sessions.count.max(1),
            ),
            Confidence::Medium,
        ),
    };
    let is_alone = others.is_empty();
    let filter = match is_alone {
        true => format!(
            "{} && {} && tcp.port == {port}",
            filter("addr", client),
            filter("addr", server)
        ),
        false => format!("{} && tcp", filter("addr", client)),
    };
    Some(
        Finding::new(&rules::BRUTEFORCE, format!("{what}{beside}."), packets)
            .confidence(confidence(facts, sure))
            .subject(Subject {
                source: Some(client),
                destination: is_alone.then_some(server),
                destination_port: is_alone.then_some(port),
                protocol: Some("tcp"),
                ..Subject::default()
            })
            .check(filter),
    )
}
