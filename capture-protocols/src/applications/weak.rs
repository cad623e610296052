//! What two ends agreed on and should not have.

use crate::{
    address::Address,
    applications::protocol::At,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::{application as rules, weak::Choice},
};

/// Most servers and choices that are told apart.
const MOST: usize = 256;

#[derive(Clone, Debug)]
struct Use {
    choice: &'static Choice,
    packets: Evidence,
    client: Address,
    has_other_clients: bool,
}

/// Weak choices by server, port and choice.
#[derive(Clone, Debug)]
pub(super) struct Weak(Lru<(Address, u16, &'static str), Use>);

impl Default for Weak {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Weak {
    /// Both ends agreed on it.
    pub(super) fn add(&mut self, at: &At, choice: &'static Choice) {
        let new = || Use {
            choice,
            packets: Evidence::default(),
            client: at.client,
            has_other_clients: false,
        };
        let key = (at.server, at.port, choice.name);
        let of = self.0.entry(&key, new);
        of.packets.add(at.number, at.ns);
        of.has_other_clients |= of.client != at.client;
    }

    /// One finding a server and choice.
    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut uses: Vec<_> = self.0.iter().collect();
        uses.sort_by_key(|(key, _)| **key);
        let uses = uses.into_iter();
        findings.extend(uses.map(|((server, port, _), of)| finding(*server, *port, of, facts)));
    }
}

fn finding(server: Address, port: u16, of: &Use, facts: &Facts) -> Finding {
    let Choice {
        protocol,
        name,
        reason,
        filter: part,
        transport,
    } = of.choice;
    let client = match of.has_other_clients {
        true => format!("{} and others", of.client),
        false => of.client.to_string(),
    };
    let times = match of.packets.count() {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    let summary =
        format!("{server} port {port} and {client} use {protocol} with {name}{times}: {reason}.");
    let check = format!(
        "{} && {transport}.port == {port} && {part}",
        filter("addr", server)
    );
    Finding::new(&rules::WEAK_CRYPTO, summary, of.packets.clone())
        .confidence(confidence(facts, Confidence::High))
        .subject(Subject {
            source: Some(of.client).filter(|_| !of.has_other_clients),
            destination: Some(server),
            destination_port: Some(port),
            protocol: Some(transport),
            name: Some((*name).to_owned()),
            ..Subject::default()
        })
        .check(check)
}
