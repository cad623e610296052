//! Echo requests and replies that carry data (RFC 792): a ping has the same payload every time, but for a time in front, and
//! what comes back is what was sent.

use crate::filter::filter;
use crate::{
    address::Address,
    app::dns::hash,
    decode::Icmp,
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::network as rules,
    seen::Seen,
};

/// Most pings that are told apart.
const MOST: usize = 1024;

/// Requests of a ping that wait for their reply.
const WAITING: usize = 8;

/// Bytes in front that differ in honest pings: a time of up to sixteen bytes, and a number.
const CLOCK_LEN: usize = 24;

/// Most bytes of a payload that are compared.
const MOST_BYTES: usize = 256;

/// Host that asks, host that answers, identifier.
type Key = (Address, Address, u16);

#[derive(Clone, Debug, Default)]
struct Ping {
    /// Sequence number and payload of the latest requests.
    waiting: [Option<(u16, u64)>; WAITING],
    next: usize,
    /// Length and end of the payload of the latest request.
    latest: Option<(usize, u64)>,
    requests: u64,
    replies: u64,
    bytes: u64,
    /// Requests whose payload, of the same length, ended otherwise than that before.
    varied: Evidence,
    /// Replies that are not what was sent.
    changed: Evidence,
}

/// Measures what echo messages carry.
#[derive(Clone, Debug)]
pub(super) struct Detector(Lru<Key, Box<Ping>>);

impl Default for Detector {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Detector {
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>, icmp: &Icmp) {
        let is_request = icmp.kind == if icmp.is_v6 { 128 } else { 8 };
        let is_reply = icmp.kind == if icmp.is_v6 { 129 } else { 0 };
        let headers = seen.headers;
        let is_whole = headers.payload.len() as u32 == headers.payload_len;
        let Some(ip) = headers.ip.filter(|_| (is_request || is_reply) && is_whole) else {
            return;
        };
        let (id, sequence) = ((icmp.rest >> 16) as u16, icmp.rest as u16);
        let key = match is_request {
            true => (ip.source, ip.destination, id),
            false => (ip.destination, ip.source, id),
        };
        let payload = headers.payload;
        let compared = &payload[..payload.len().min(MOST_BYTES)];
        let whole = hash(compared) ^ payload.len() as u64;
        let ping = self.0.entry(&key, Box::default);
        ping.bytes += payload.len() as u64;
        if is_reply {
            ping.replies += 1;
            let sent = ping
                .waiting
                .iter()
                .flatten()
                .find(|(number, _)| *number == sequence);
            // A reply to what was sent before the capture began is like any other.
            if sent.is_some_and(|(_, sent)| *sent != whole) {
                ping.changed.add(seen.number, seen.ns);
            }
            return;
        }
        ping.requests += 1;
        ping.wait_for(sequence, whole);
        let end = compared.get(CLOCK_LEN..).unwrap_or_default();
        let now = (payload.len(), hash(end));
        if ping
            .latest
            .is_some_and(|(len, end)| len == now.0 && end != now.1)
        {
            ping.varied.add(seen.number, seen.ns);
        }
        ping.latest = Some(now);
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut pings: Vec<_> = self
            .0
            .iter()
            .map(|(key, ping)| (key, &**ping))
            .filter(|(_, ping)| ping.carries_data())
            .collect();
        pings.sort_unstable_by_key(|(key, _)| **key);
        // A tunnel may change its identifier.
        for pings in pings.chunk_by(|(one, _), (other, _)| (one.0, one.1) == (other.0, other.1)) {
            findings.push(finding(pings, facts));
        }
    }
}

impl Ping {
    fn wait_for(&mut self, sequence: u16, payload: u64) {
        // Identifiers come again, and each ping counts from one: the latest request with a number is the one answered.
        let same = self
            .waiting
            .iter_mut()
            .flatten()
            .find(|(number, _)| *number == sequence);
        if let Some(same) = same {
            same.1 = payload;
            return;
        }
        self.waiting[self.next] = Some((sequence, payload));
        self.next = (self.next + 1) % WAITING;
    }

    fn varies(&self) -> bool {
        let share = self.varied.count() as f64 / self.requests.max(1) as f64;
        self.varied.count() >= rules::ECHO_VARIED.count() && rules::ECHO_SHARE.is_reached(share)
    }

    fn carries_data(&self) -> bool {
        self.changed.count() >= rules::ECHO_CHANGED.count() || self.varies()
    }
}

fn finding(pings: &[(&Key, &Ping)], facts: &Facts) -> Finding {
    let (source, destination, _) = *pings[0].0;
    let mut packets = Evidence::default();
    let (mut messages, mut bytes, mut changed, mut replies) = (0, 0, 0, 0);
    for (_, ping) in pings {
        packets.merge(&ping.changed);
        if ping.varies() {
            packets.merge(&ping.varied);
        }
        messages += ping.requests + ping.replies;
        bytes += ping.bytes;
        changed += ping.changed.count();
        replies += ping.replies;
    }
    let what = match changed {
        0 => "the payload of the requests is another each time".to_owned(),
        _ => format!("{changed} of {replies} replies are not what was sent"),
    };
    let summary = format!(
        "{source} and {destination} exchange data in {messages} echo messages ({} kB): {what}.",
        bytes.div_ceil(1000)
    );
    let sure = if changed > 0 {
        Confidence::High
    } else {
        Confidence::Medium
    };
    let both = [filter("addr", source), filter("addr", destination)];
    Finding::new(&rules::ICMP_TUNNEL, summary, packets)
        .confidence(confidence(facts, sure))
        .subject(Subject {
            source: Some(source),
            destination: Some(destination),
            protocol: Some("icmp"),
            ..Subject::default()
        })
        .check(format!("(icmp || icmpv6) && {} && {}", both[0], both[1]))
}
