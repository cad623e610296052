//! Servers that speak a protocol where nobody expects it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    application::Kind,
    applications::{
        http,
        protocol::{At, Service},
    },
};
use crate::{
    evidence::Evidence,
    finding::{Finding, Subject},
    lru::Lru,
    rules::application as rules,
};

/// Most ports of servers that are told apart.
const MOST: usize = 256;

/// Most of them that a finding names.
const MOST_NAMED: usize = 4;

/// What a server speaks.
#[derive(Clone, Debug)]
struct Spoken {
    kind: &'static Kind,
    flows: Evidence,
}

/// Measures which protocols are where.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    services: Lru<Service, Spoken>,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            services: Lru::new(MOST),
        }
    }
}

impl Ports {
    /// A flow in which both ends spoke a protocol.
    pub(super) fn add(&mut self, at: &At, kind: &'static Kind) {
        let is_usual =
            kind.ports.contains(&at.port) || (kind.name == http::NAME && http::is_usual(at.port));
        if kind.ports.is_empty() || is_usual {
            return;
        }
        let new = || Spoken {
            kind,
            flows: Evidence::default(),
        };
        let spoken = self.services.entry(&at.service(), new);
        spoken.flows.add(at.number, at.ns);
    }

    /// One finding a protocol.
    pub(super) fn findings(&self, findings: &mut Vec<Finding>) {
        let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (service, spoken) in self.services.iter() {
            let key = (spoken.kind.name, service.is_tcp);
            kinds
                .entry(key)
                .or_default()
                .push((*service, &spoken.flows));
        }
        for ((name, is_tcp), mut services) in kinds {
            services.sort_by_key(|(service, flows)| (Reverse(flows.count()), *service));
            findings.push(finding(name, is_tcp, &services));
        }
    }
}

fn finding(name: &str, is_tcp: bool, services: &[(Service, &Evidence)]) -> Finding {
    let protocol = if is_tcp { "tcp" } else { "udp" };
    let mut all = Evidence::default();
    for (_, flows) in services {
        all.merge(flows);
    }
    let named = services.iter().take(MOST_NAMED);
    let named = named.map(|(service, flows)| format!("{service} ({})", times(flows.count())));
    let named: Vec<_> = named.collect();
    let others = match services.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let summary = format!(
        "{name} is spoken on ports where that is not usual: {}{others}.",
        named.join(", ")
    );
    let subject = match services {
        [(service, _)] => service.subject(),
        _ => Subject {
            protocol: Some(protocol),
            ..Subject::default()
        },
    };
    let ports: BTreeSet<_> = services.iter().map(|(service, _)| service.port).collect();
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    Finding::new(&rules::ODD_PORT, summary, all)
        .subject(subject)
        .check(format!("{protocol}.port in {{{}}}", ports.join(", ")))
}

fn times(connections: u64) -> String {
    match connections {
        1 => "1 connection".to_owned(),
        connections => format!("{connections} connections"),
    }
}
