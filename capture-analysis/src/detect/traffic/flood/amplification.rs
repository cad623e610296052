//! Amplification: services that send a host far more than they were asked for, as somebody asks in its name (Rossow 2014).

use crate::{
    address::Address,
    detect::traffic::sets::Hosts,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    flow::{FlowKey, Side},
    lru::Lru,
    rules::security as rules,
    seen::Flow,
    words::{bytes, duration, several},
};

/// Receivers and ports that are followed.
const MOST: usize = 512;

/// Services of UDP that answer with much more than they are asked: port and name (US-CERT TA14-017A).
const SERVICES: [(u16, &str); 17] = [
    (17, "QOTD"),
    (19, "chargen"),
    (53, "DNS"),
    (69, "TFTP"),
    (111, "portmap"),
    (123, "NTP"),
    (137, "NetBIOS"),
    (161, "SNMP"),
    (389, "CLDAP"),
    (520, "RIP"),
    (1900, "SSDP"),
    (3283, "ARMS"),
    (3702, "WS-Discovery"),
    (5683, "CoAP"),
    (10001, "Ubiquiti discovery"),
    (11211, "memcached"),
    (27015, "Source engine"),
];

fn name(port: u16) -> Option<&'static str> {
    let found = SERVICES.iter().find(|(number, _)| *number == port);
    found.map(|(_, name)| *name)
}

#[derive(Clone, Debug, Default)]
struct Receiver {
    /// Payload that was asked with, and that came back.
    asked: u64,
    replied: u64,
    replies: u64,
    reflectors: Hosts,
    since_ns: u64,
    until_ns: u64,
    packets: Evidence,
}

/// Measures what such services send, by receiver.
#[derive(Clone, Debug)]
pub(crate) struct Amplification(Lru<(Address, u16), Box<Receiver>>);

impl Default for Amplification {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Amplification {
    /// A flow of UDP ends.
    pub(crate) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let [low, high] = [Side::Low, Side::High].map(|side| name(key.end(side).port).is_some());
        // Servers that talk to each other from the same port are both.
        let reflector = match (low, high) {
            (true, false) => Side::Low,
            (false, true) => Side::High,
            _ => return,
        };
        let (from, to) = (key.end(reflector), key.end(reflector.other()));
        if flow.packets[reflector.index()] == 0 || to.address.is_group() {
            return;
        }
        let receiver = self.0.entry(&(to.address, from.port), Box::default);
        receiver.asked += flow.payload[reflector.other().index()];
        receiver.replied += flow.payload[reflector.index()];
        receiver.replies += flow.packets[reflector.index()];
        receiver.reflectors.add(from.address);
        if receiver.since_ns == 0 {
            receiver.since_ns = flow.first_ns;
        }
        receiver.since_ns = receiver.since_ns.min(flow.first_ns);
        receiver.until_ns = receiver.until_ns.max(flow.last_ns);
        receiver.packets.add(flow.first_packet, flow.first_ns);
    }

    pub(crate) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut receivers: Vec<_> = self.0.iter().filter(|(_, one)| one.is_victim()).collect();
        receivers.sort_unstable_by_key(|(key, _)| **key);
        for (key, receiver) in receivers {
            findings.push(finding(*key, receiver, facts));
        }
    }
}

impl Receiver {
    fn factor(&self) -> f64 {
        self.replied as f64 / self.asked.max(1) as f64
    }

    fn is_victim(&self) -> bool {
        let each = self.replied as f64 / self.replies.max(1) as f64;
        self.replied >= rules::AMPLIFIED.count()
            && rules::AMPLIFICATION.is_reached(self.factor())
            && rules::AMPLIFIED_EACH.is_reached(each)
    }
}

fn finding((victim, port): (Address, u16), receiver: &Receiver, facts: &Facts) -> Finding {
    let service = name(port).unwrap_or("UDP");
    let against = match receiver.asked {
        0 => "without a request of it".to_owned(),
        asked => format!(
            "{:.0} times the {} of its requests",
            receiver.factor(),
            bytes(asked)
        ),
    };
    let first = receiver.reflectors.first();
    let from = match (receiver.reflectors.len(), first) {
        (1, Some(reflector)) => format!("{service} of {reflector}"),
        (_, Some(reflector)) => {
            format!(
                "{service} of {} hosts, such as {reflector},",
                receiver.reflectors.number()
            )
        }
        _ => service.to_owned(),
    };
    let summary = format!(
        "{from} sent {victim} {} in {} within {}, {against}: somebody asks in its name.",
        bytes(receiver.replied),
        several(receiver.replies, "datagram"),
        duration(receiver.until_ns.saturating_sub(receiver.since_ns)),
    );
    // Requests that do not come past here may have been sent.
    let sure = match receiver.asked {
        0 => Confidence::Medium,
        _ => Confidence::High,
    };
    Finding::new(&rules::AMPLIFIED_FLOOD, summary, receiver.packets.clone())
        .count(receiver.replies)
        .confidence(confidence(facts, sure))
        .subject(Subject {
            source: first.filter(|_| receiver.reflectors.len() == 1),
            source_port: Some(port),
            destination: Some(victim),
            protocol: Some("udp"),
            ..Subject::default()
        })
        .check(format!("{} && udp.port == {port}", filter("addr", victim)))
}
