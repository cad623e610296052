//! Application protocols, told by what the first bytes of a flow say and not by its ports.
//!
//! A flow of TCP with payload is followed: `window` puts the bytes of each end in order, at most 16 KiB at once, and
//! `follow` asks every protocol whether it knows the first ones. The one that does gets a state of its own for the flow
//! and is given what comes next of either end, until it is `Done`. From then on a packet of the flow costs one branch.
//! A flow with a hole or with packets that the capture cut is given up, unless what is missing was left out anyway
//! (`Step::Take` with more bytes than there are, for the body of a response). At most [`MOST_FLOWS`] are followed at once, and [`MOST_HELD`] bytes wait in all
//! of them; those quiet for longest are given up first.
//!
//! # To add a protocol
//!
//! 1. Parsing goes into `capture_packet::app`, where the tree of fields can use it too.
//! 2. A module here has `Detector`, which implements `protocol::Detector`, and in it what is measured of all flows, in
//!    bounded tables. `State` is what is known of one flow: keep it small, and out of it what is not needed any more.
//! 3. A line in `protocols`. Whatever begins with the same bytes as another protocol has to wait for the other end
//!    (`220` is FTP or SMTP): `Guess::Maybe`, until it is clear. The first in the list that says yes has it.
//! 4. Rules in `rules::application`, findings in `Detector::findings`. `service.odd_port` comes by itself, from the ports
//!    in `KIND`.
//!
//! `bytes` gets all bytes that were not taken, again with each segment: remember in the state how far they
//! were looked at, or take them, so that a sender of single bytes does not cause quadratic work.
//! `end` is called once for a flow that did not get to `Done`, and says why no more came.

mod credentials;
mod databases;
mod follow;
mod http;
mod lines;
mod ports;
mod protocol;
mod protocols;
mod sessions;
mod smb;
mod snmp;
mod ssh;
mod tls;
mod weak;
mod window;

use std::collections::HashMap;

use self::{
    follow::{Follow, Interest},
    ports::Ports,
    protocol::{At, Ending, Peer, Step},
    protocols::Protocols,
};
use crate::application::{Application, Following};
use crate::{
    at_most::at_most,
    facts::Facts,
    logins::Logins,
    seen::{Flow, Seen},
};
use crate::{
    decode::{Tcp, TcpFlags},
    finding::Finding,
    flow::{FlowKey, Side},
    lru::Lru,
    report::TlsReport,
};

/// The code of connections that were reset.
const RESET: &str = "tcp.reset_mid";

/// Most flows that are followed at once.
pub const MOST_FLOWS: usize = 8192;

/// Most bytes that wait in all of them.
pub const MOST_HELD: usize = 32 << 20;

/// Measures application protocols.
#[derive(Clone, Debug)]
pub struct Detectors {
    follows: Lru<u64, Follow>,
    keys: u64,
    /// Bytes that wait.
    held: usize,
    protocols: Protocols,
    ports: Ports,
}

impl Default for Detectors {
    fn default() -> Self {
        Self {
            follows: Lru::new(MOST_FLOWS),
            keys: 0,
            held: 0,
            protocols: Protocols::default(),
            ports: Ports::default(),
        }
    }
}

/// What waits in flows that are followed.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Flows that are followed.
    pub flows: usize,
    /// Bytes that wait in them, as they are counted.
    pub counted: usize,
    /// The same, added up.
    pub held: usize,
}

impl Detectors {
    /// What waits now; looks at every flow.
    pub fn waiting(&self) -> Waiting {
        Waiting {
            flows: self.follows.iter().count(),
            counted: self.held,
            held: self.follows.iter().map(|(_, follow)| follow.held()).sum(),
        }
    }

    /// Looks at a segment, whose connection was looked at before, and tells what a server says in it about logins.
    #[inline]
    pub fn segment(
        &mut self,
        seen: &Seen<'_, '_>,
        tcp: &Tcp,
        flow: &mut Flow,
        side: Side,
    ) -> Option<Logins> {
        let is_new = tcp.flags.any(TcpFlags::SYN) && !tcp.flags.any(TcpFlags::ACK);
        match flow.application.following {
            Following::Done if !is_new => None,
            // An acknowledgement changes nothing.
            _ if seen.headers.payload.is_empty()
                && !tcp.flags.any(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) =>
            {
                None
            }
            Following::New if seen.headers.payload.is_empty() => None,
            _ => self.follow(seen, tcp, flow, side, is_new),
        }
    }

    /// A segment of a flow that is looked into.
    fn follow(
        &mut self,
        seen: &Seen<'_, '_>,
        tcp: &Tcp,
        flow: &mut Flow,
        side: Side,
        is_new: bool,
    ) -> Option<Logins> {
        let (at, connection) = (At::of(seen, flow, side)?, flow.tcp.as_ref()?);
        let headers = seen.headers;
        let stream = &connection.streams[side.index()];
        let start = (stream.syns > 0).then(|| stream.isn.wrapping_add(1));
        if is_new && !matches!(flow.application.following, Following::New) {
            // Another connection between the same ports, unless it is the same SYN again.
            let end = tcp.sequence.wrapping_add(1 + headers.payload_len);
            if stream.next != end {
                return None;
            }
            self.end(flow, &at, open(flow));
            flow.application = Application::default();
        }
        let from = peer(flow, side);
        let (key, mut follow) = self.take(flow)?;
        if let Some(start) = start {
            follow.start(from, start);
        }
        let is_syn = u32::from(tcp.flags.any(TcpFlags::SYN));
        let is_cut = headers.payload.len() < headers.payload_len as usize;
        let sequence = tcp.sequence.wrapping_add(is_syn);
        let interest = follow.segment(
            &mut self.protocols,
            &at,
            from,
            sequence,
            headers.payload,
            is_cut,
        );
        let ending = match interest {
            Interest::Go if tcp.flags.any(TcpFlags::FIN | TcpFlags::RST) => {
                let end = sequence.wrapping_add(headers.payload_len);
                follow.control(from, end, tcp.flags.any(TcpFlags::RST))
            }
            Interest::Lost => Some(Ending::Lost),
            Interest::Go | Interest::Done => None,
        };
        if !headers.payload.is_empty() && follow.confirms(from) {
            self.confirm(&at, &follow);
        }
        if let (Some(state), Some(ending)) = (&mut follow.state, ending) {
            self.protocols.end(state, &at, ending);
        }
        let state = follow.state.as_ref();
        let results = state.and_then(|state| self.protocols.logins(state).zip(Some(state.kind())));
        let is_done = interest != Interest::Go || ending.is_some();
        self.put_back(flow, key, follow, is_done);
        results.map(|(results, kind)| Logins {
            client: at.client,
            server: at.server,
            port: at.port,
            service: kind.name,
            number: at.number,
            ns: at.ns,
            results,
        })
    }

    /// Looks at a datagram.
    #[inline]
    pub fn datagram(&mut self, seen: &Seen<'_, '_>, flow: &mut Flow, side: Side) {
        if matches!(flow.application.following, Following::Done) || seen.headers.payload.is_empty()
        {
            return;
        }
        self.follow_datagram(seen, flow, side);
    }

    fn follow_datagram(&mut self, seen: &Seen<'_, '_>, flow: &mut Flow, side: Side) {
        let payload = seen.headers.payload;
        let (Some(at), Some(ports)) = (At::of(seen, flow, side), seen.headers.transport.ports())
        else {
            return;
        };
        let is_new = matches!(flow.application.following, Following::New);
        let first = match is_new {
            true => self.protocols.guess_datagram(payload, ports),
            false => None,
        };
        if is_new && first.is_none() {
            flow.application.following = Following::Done;
            return;
        }
        let from = peer(flow, side);
        let Some((key, mut follow)) = self.take(flow) else {
            return;
        };
        follow.state = first.or(follow.state);
        let step = match &mut follow.state {
            Some(state) => self.protocols.datagram(state, &at, from, payload),
            None => Step::Done,
        };
        if follow.confirms(from) {
            self.confirm(&at, &follow);
        }
        self.put_back(flow, key, follow, step == Step::Done);
    }

    /// A flow whose protocol is beyond doubt.
    fn confirm(&mut self, at: &At, follow: &Follow) {
        if let Some(state) = &follow.state {
            self.ports.add(at, state.kind());
        }
    }

    /// What is known of a flow, to be put back.
    fn take(&mut self, flow: &mut Flow) -> Option<(u64, Follow)> {
        let key = match flow.application.following {
            Following::Followed(key) => key,
            Following::New => {
                self.keys += 1;
                let held = &mut self.held;
                self.follows
                    .get_or_insert(&self.keys, Follow::default, |_, old| {
                        *held = held.saturating_sub(old.held());
                    });
                flow.application.following = Following::Followed(self.keys);
                self.keys
            }
            Following::Done => return None,
        };
        let place = self.follows.peek_mut(&key);
        let Some(place) = place.filter(|place| !place.is_given_up()) else {
            // Others took its place.
            flow.application.following = Following::Done;
            return None;
        };
        let follow = std::mem::take(place);
        self.held = self.held.saturating_sub(follow.held());
        Some((key, follow))
    }

    fn put_back(&mut self, flow: &mut Flow, key: u64, follow: Follow, is_done: bool) {
        if let Some(state) = &follow.state {
            // What began it is what it is, whatever protects it later.
            flow.application.kind.get_or_insert(state.kind());
        }
        if is_done {
            flow.application.following = Following::Done;
            return;
        }
        self.held += follow.held();
        // A use, unlike that before: it is now the latest.
        *self.follows.entry(&key, Follow::default) = follow;
        for _ in 0..MOST_FLOWS {
            if self.held <= MOST_HELD {
                break;
            }
            let Some(oldest) = self.follows.oldest_mut() else {
                break;
            };
            self.held = self.held.saturating_sub(oldest.held());
            oldest.give_up();
        }
    }

    /// A flow that will not be seen again, or that is there at the end.
    pub fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let (client, server) = (key.end(flow.client), key.end(flow.client.other()));
        let at = At {
            number: flow.first_packet,
            ns: flow.last_ns,
            client: client.address,
            server: server.address,
            port: server.port,
            is_tcp: key.protocol == 6,
        };
        self.end(flow, &at, open(flow));
    }

    fn end(&mut self, flow: &Flow, at: &At, ending: Ending) {
        let Following::Followed(key) = flow.application.following else {
            return;
        };
        let Some(follow) = self.follows.peek_mut(&key).map(std::mem::take) else {
            return;
        };
        self.held = self.held.saturating_sub(follow.held());
        let is_whole = !follow.has_hole();
        if let Some(mut state) = follow.state {
            let ending = if is_whole { ending } else { Ending::Lost };
            self.protocols.end(&mut state, at, ending);
        }
    }

    /// TLS in the report.
    pub fn tls(&self) -> Option<TlsReport> {
        self.protocols.tls.report()
    }

    /// Everything that is wrong.
    pub fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut all = Vec::new();
        self.protocols.findings(facts, &mut all);
        self.ports.findings(&mut all);
        all.sort_by_key(|finding| finding.code);
        for of_code in all.chunk_by(|one, other| one.code == other.code) {
            findings.extend(at_most(of_code));
        }
    }
}

/// Takes resets out that a failure of an application tells of: one event is one finding.
pub fn explain(findings: &mut Vec<Finding>) {
    let place = |finding: &Finding| {
        (
            finding.subject.destination,
            finding.subject.destination_port,
        )
    };
    let mut failures: HashMap<_, (u64, Vec<u64>)> = HashMap::new();
    for failure in findings
        .iter()
        .filter(|finding| finding.code == tls::FAILED)
    {
        let (count, packets) = failures.entry(place(failure)).or_default();
        *count += failure.count;
        packets.extend(failure.packets.packets());
    }
    findings.retain(|finding| {
        let explained = failures
            .get(&place(finding))
            .filter(|_| finding.code == RESET);
        // The first ones of both are the same, and there are not more of them.
        !explained.is_some_and(|(count, packets)| {
            let first = finding.packets.packets().into_iter().next();
            finding.count <= *count && first.is_some_and(|first| packets.contains(&first))
        })
    });
}

/// How a flow ends of which no more is seen.
fn open(flow: &Flow) -> Ending {
    let is_unanswered = flow.tcp.as_ref().is_some_and(|tcp| {
        let [client, server] =
            [flow.client, flow.client.other()].map(|side| &tcp.streams[side.index()]);
        // Behind its SYN the client has acknowledged nothing, so that nothing was missed either.
        let is_silent = server.acked.wrapping_sub(server.isn) <= 1;
        is_silent && flow.payload[flow.client.other().index()] == 0 && client.in_flight() == 0
    });
    Ending::Open { is_unanswered }
}

fn peer(flow: &Flow, side: Side) -> Peer {
    match side == flow.client {
        true => Peer::Client,
        false => Peer::Server,
    }
}

impl At {
    fn of(seen: &Seen<'_, '_>, flow: &Flow, side: Side) -> Option<Self> {
        let ip = seen.headers.ip.as_ref()?;
        let (from, to) = seen.headers.transport.ports()?;
        let ends = [(ip.source, from), (ip.destination, to)];
        let [(client, _), (server, port)] = match side == flow.client {
            true => ends,
            false => [ends[1], ends[0]],
        };
        Some(Self {
            number: seen.number,
            ns: seen.ns,
            client,
            server,
            port,
            is_tcp: seen.headers.tcp().is_some(),
        })
    }
}
