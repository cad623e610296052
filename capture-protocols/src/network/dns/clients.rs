//! Clients that ask for many names that do not exist.

use crate::{
    address::Address,
    app::dns::{Question, code, kind},
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::dns as rules,
    seen::Seen,
    sketch::Distinct,
};

/// Most clients that are told apart.
const MOST: usize = 1024;

/// A minute, in which answers are counted together.
const MINUTE_NS: u64 = 60_000_000_000;

#[derive(Clone, Debug, Default)]
struct Client {
    minute: u64,
    answers: u64,
    missing: u64,
    /// Most names that did not exist in one minute with too many of them.
    most: u64,
    packets: Evidence,
    names: Distinct,
}

/// Measures names that do not exist.
#[derive(Clone, Debug)]
pub(super) struct Clients(Lru<Address, Box<Client>>);

impl Default for Clients {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Clients {
    /// An answer. Reverse names are left out: whoever writes logs asks for many, and few exist.
    pub(super) fn answer(
        &mut self,
        seen: &Seen<'_, '_>,
        client: Address,
        code: u8,
        question: &Question,
        name: u64,
    ) {
        if question.kind == kind::PTR {
            return;
        }
        let client = self.0.entry(&client, Box::default);
        let minute = seen.ns / MINUTE_NS;
        if client.minute != minute {
            (client.minute, client.answers, client.missing) = (minute, 0, 0);
        }
        client.answers += 1;
        if code != code::NXDOMAIN {
            return;
        }
        client.missing += 1;
        client.packets.add(seen.number, seen.ns);
        client.names.add(name);
        let share = client.missing as f64 / client.answers as f64;
        if client.missing >= rules::MISSING_NAMES.count() && rules::MISSING_SHARE.is_reached(share)
        {
            client.most = client.most.max(client.missing);
        }
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut clients: Vec<_> = self
            .0
            .iter()
            .filter(|(_, client)| client.most > 0)
            .collect();
        clients.sort_by_key(|(address, _)| **address);
        for (address, client) in clients {
            let names = client.names.count();
            let summary = format!(
                "{address} was told {} times that a name does not exist (NXDOMAIN), up to {} times a minute, for about {names} different names.",
                client.packets.count(),
                client.most
            );
            findings.push(
                Finding::new(&rules::NXDOMAIN_STORM, summary, client.packets.clone())
                    .confidence(confidence(facts, Confidence::High))
                    .subject(Subject {
                        source: Some(*address),
                        protocol: Some("udp"),
                        ..Subject::default()
                    })
                    .check(format!(
                        "dns.flags.rcode == 3 && {}",
                        filter("dst", *address)
                    )),
            );
        }
    }
}
