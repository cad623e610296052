//! Stations that answer for the names of others: LLMNR, NetBIOS and mDNS ask everybody on the link, and believe who answers.

use std::fmt::Write as _;

use crate::filter::filter;
use crate::{
    address::{Address, Mac},
    app::dns::{MDNS_PORT, Message, NBNS_PORT, Name, hash, kind},
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::dns as rules,
    seen::Seen,
    text::escaped,
};

/// Most responders, and most queries to everybody, that are remembered.
const MOST: usize = 1024;

/// Most names that are told apart of one responder, and most that are shown.
const MOST_NAMES: usize = 8;
const MOST_SHOWN: usize = 3;

/// Bytes of a name that are shown, as of NetBIOS.
const SHOWN_LEN: usize = 15;

/// Who answers: a station, whatever its addresses are, or an address where there are no stations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Who {
    Station(Mac),
    Host(Address),
}

#[derive(Clone, Debug)]
struct Responder {
    /// The address of the first answer.
    address: Address,
    names: [u64; MOST_NAMES],
    shown: [[u8; SHOWN_LEN]; MOST_SHOWN],
    count: usize,
    /// Whether any was asked by LLMNR or NetBIOS, where a host answers for its own name alone.
    is_sure: bool,
    packets: Evidence,
}

/// Measures who answers for which names.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    responders: Lru<Who, Box<Responder>>,
    /// NetBIOS queries to everybody: client and identifier. A name server is asked alone.
    broadcasts: Lru<(Address, u16), ()>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            responders: Lru::new(MOST),
            broadcasts: Lru::new(MOST),
        }
    }
}

impl Detector {
    /// A datagram from or to one of the ports, `port`.
    pub(super) fn datagram(&mut self, seen: &Seen<'_, '_>, port: u16) {
        let (Some(ip), Some(message)) = (seen.headers.ip, Message::new(seen.headers.payload))
        else {
            return;
        };
        if message.operation() != 0 {
            return;
        }
        if !message.is_response() {
            if port == NBNS_PORT && message.is_broadcast() {
                self.broadcasts.entry(&(ip.source, message.id()), || ());
            }
            return;
        }
        if message.code() != 0 {
            return;
        }
        if port == NBNS_PORT {
            let asked = (ip.destination, message.id());
            if self.broadcasts.peek(&asked).is_none() {
                return;
            }
        }
        for record in message.records().filter(|record| record.is_answer) {
            let Some(name) = message.name(record.name_at) else {
                return;
            };
            let Some((label, len)) = own_name(port, &name, record.kind, record.data, ip.source)
            else {
                continue;
            };
            let who = match seen.headers.ethernet {
                Some(ethernet) => Who::Station(ethernet.source),
                None => Who::Host(ip.source),
            };
            let new = || Box::new(Responder::new(ip.source));
            let responder = self.responders.entry(&who, new);
            responder.is_sure |= port != MDNS_PORT;
            responder.add(&label[..len]);
            responder.packets.add(seen.number, seen.ns);
            return;
        }
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let responders = self.responders.iter();
        let is_poisoner =
            |responder: &Responder| responder.count as u64 >= rules::ANSWERED_NAMES.count();
        let mut found: Vec<_> = responders.filter(|(_, one)| is_poisoner(one)).collect();
        found.sort_by_key(|(who, _)| **who);
        for (who, responder) in found {
            findings.push(responder.finding(*who, facts));
        }
    }
}

/// The host name that an answer is for, where it is of the kind that a host gives for itself: the first label, cut to what is
/// shown, and its length.
fn own_name(
    port: u16,
    name: &Name,
    record: u16,
    data: &[u8],
    source: Address,
) -> Option<([u8; SHOWN_LEN], usize)> {
    let mut shown = [0; SHOWN_LEN];
    if port == NBNS_PORT {
        let (name, suffix) = name.netbios()?;
        // Workstation and file server. Others are of groups, or of whoever was elected (RFC 1001 section 16).
        if record != kind::NB || !matches!(suffix, 0x00 | 0x20) {
            return None;
        }
        return Some((name, name.trim_ascii_end().len()));
    }
    if !matches!(record, kind::A | kind::AAAA) {
        return None;
    }
    let address = match *data {
        [a, b, c, d] => Address::v4([a, b, c, d]),
        _ => Address::v6(*data.first_chunk()?),
    };
    if port == MDNS_PORT && address != source {
        return None;
    }
    let label = name.labels().next()?;
    let len = label.len().min(SHOWN_LEN);
    shown[..len].copy_from_slice(&label[..len]);
    Some((shown, len))
}

impl Responder {
    fn new(address: Address) -> Self {
        Self {
            address,
            names: [0; MOST_NAMES],
            shown: [[0; SHOWN_LEN]; MOST_SHOWN],
            count: 0,
            is_sure: false,
            packets: Evidence::default(),
        }
    }

    fn add(&mut self, label: &[u8]) {
        let hash = hash(label);
        let known = &self.names[..self.count];
        if known.contains(&hash) || self.count == MOST_NAMES {
            return;
        }
        if let Some(shown) = self.shown.get_mut(self.count) {
            shown[..label.len()].copy_from_slice(label);
        }
        self.names[self.count] = hash;
        self.count += 1;
    }

    fn finding(&self, who: Who, facts: &Facts) -> Finding {
        let address = self.address;
        let more = if self.count == MOST_NAMES {
            "or more "
        } else {
            ""
        };
        let mut summary = format!(
            "{address} answered for {} {more}different host names that others asked the link for:",
            self.count
        );
        let shown = self.shown.iter().take(self.count);
        for (place, name) in shown.enumerate() {
            let end = name
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            let name = name[..end].trim_ascii_end();
            let _ = write!(
                summary,
                "{}{}",
                if place > 0 { ", " } else { " " },
                escaped(name, SHOWN_LEN)
            );
        }
        summary.push_str(if self.count > MOST_SHOWN { " …" } else { "." });
        let sure = if self.is_sure {
            Confidence::High
        } else {
            Confidence::Medium
        };
        let (mac, source) = match who {
            Who::Station(mac) => (Some(mac), format!("eth.src == {mac}")),
            Who::Host(address) => (None, filter("src", address)),
        };
        Finding::new(&rules::POISONING, summary, self.packets.clone())
            .confidence(confidence(facts, sure))
            .subject(Subject {
                source: Some(address),
                mac,
                protocol: Some("udp"),
                ..Subject::default()
            })
            .check(format!("(llmnr || nbns || mdns) && {source}"))
    }
}
