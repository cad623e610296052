//! What hosts do to each other, as their connections show: scans, floods, guessing of passwords, beacons, and how much goes
//! where. The content of packets plays no part.
//!
//! Most of it is measured at the first packets of a flow and at its end; of the packets in between each costs a comparison.

mod beacon;
mod explained;
mod flood;
mod logins;
mod place;
mod rate;
mod scan;
mod sets;
mod talkers;
#[cfg(test)]
mod tests;
mod volume;

pub use self::talkers::Baseline;
use self::{
    explained::Explained,
    scan::{Contacts, Probes, Way},
};
use crate::{
    address::Address,
    at_most::at_most,
    decode::{Decoded, Icmp, Tcp, TcpFlags, Transport, Udp},
    facts::Facts,
    finding::Finding,
    flow::{FlowKey, Side},
    logins::Logins as Said,
    seen::{Flow, Seen},
};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The detectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Detectors {
    contacts: Contacts,
    probes: Probes,
    syn: flood::Syn,
    datagrams: flood::Datagrams,
    echo: flood::Echo,
    amplification: flood::Amplification,
    logins: logins::Logins,
    beacons: beacon::Beacons,
    volumes: volume::Volumes,
    talkers: talkers::Talkers,
}

/// A packet of a flow, with its addresses.
struct Sent<'a> {
    flow: &'a Flow,
    side: Side,
    source: Address,
    destination: Address,
}

impl Sent<'_> {
    /// Whether it is the first of its flow.
    #[inline]
    fn is_first(&self) -> bool {
        let [low, high] = self.flow.packets;
        low + high == 1
    }

    /// Whether it is the first that comes back.
    #[inline]
    fn is_first_answer(&self) -> bool {
        self.side != self.flow.client && self.flow.packets[self.side.index()] == 1
    }

    /// Who asked and who was asked, where this is an answer.
    fn asked(&self) -> (Address, Address) {
        (self.destination, self.source)
    }
}

impl Detectors {
    /// Looks at a packet. `opened` is whether it completes a handshake of TCP.
    #[inline]
    pub(super) fn packet(
        &mut self,
        seen: &Seen<'_, '_>,
        flow: Option<(&Flow, Side)>,
        opened: bool,
    ) {
        let headers = seen.headers;
        let (Some((flow, side)), Some(ip)) = (flow, &headers.ip) else {
            if headers.arp.is_some() {
                self.arp(seen);
            }
            return;
        };
        let sent = Sent {
            flow,
            side,
            source: ip.source,
            destination: ip.destination,
        };
        match &headers.transport {
            Transport::Tcp(tcp) => {
                const WATCHED: u16 = TcpFlags::SYN | TcpFlags::RST | TcpFlags::ACK;
                let is_of_connection = tcp.flags.0 & WATCHED == TcpFlags::ACK;
                if !is_of_connection || opened || sent.is_first() {
                    self.segment(seen, tcp, &sent, opened);
                }
            }
            Transport::Udp(udp) => {
                if sent.is_first() || sent.is_first_answer() {
                    self.datagram(seen, udp, &sent);
                }
            }
            Transport::Icmp(icmp) => self.icmp(seen, icmp, &sent),
            Transport::Sctp(_) | Transport::None => {}
        }
    }

    /// A segment that opens a connection, ends one at once, or belongs to none.
    fn segment(&mut self, seen: &Seen<'_, '_>, tcp: &Tcp, sent: &Sent<'_>, opened: bool) {
        let Some(connection) = &sent.flow.tcp else {
            // Flags that cannot be, of which `proto.malformed` tells.
            return;
        };
        let (syn, ack) = (tcp.flags.has(TcpFlags::SYN), tcp.flags.has(TcpFlags::ACK));
        let pair = (sent.source, sent.destination);
        if syn && !ack {
            let port = tcp.destination_port;
            let tries = connection.streams[sent.side.index()].syns;
            self.syn.packet(seen, pair, port, tries);
            if tries <= 1 {
                self.contacts.tried(seen, pair, Way::Tcp(port));
            }
        } else if syn {
            self.contacts
                .answered(sent.asked(), Way::Tcp(tcp.source_port));
        } else if tcp.flags.any(TcpFlags::RST) {
            if connection.syn_ns == 0 {
                self.probes.reset(seen);
            } else if !connection.is_answered() && sent.side != connection.client {
                self.contacts
                    .refused(sent.asked(), Way::Tcp(tcp.source_port));
                self.syn.refused(seen.ns, sent.source, tcp.source_port);
            }
        } else if opened {
            let port = tcp.destination_port;
            self.syn.opened(seen.ns, sent.destination, port);
            let began = (sent.flow.first_packet, connection.syn_ns);
            self.beacons.opened(pair, (port, false), began);
        } else if !ack || sent.is_first() {
            self.probes.packet(seen, tcp.flags);
        }
    }

    /// The first datagram of a flow, and the first that comes back.
    fn datagram(&mut self, seen: &Seen<'_, '_>, udp: &Udp, sent: &Sent<'_>) {
        if !sent.is_first() {
            let port = udp.source_port;
            self.contacts.answered(sent.asked(), Way::Udp(port));
            self.datagrams.answered(seen.ns, sent.source);
            let began = (sent.flow.first_packet, sent.flow.first_ns);
            self.beacons.opened(sent.asked(), (port, true), began);
            return;
        }
        let (pair, port) = ((sent.source, sent.destination), udp.destination_port);
        self.datagrams.packet(seen, pair, (udp.source_port, port));
        // From a low port to a high one goes what a server says, whose client was not seen.
        if port < udp.source_port {
            self.contacts
                .tried(seen, pair, Way::Udp(udp.destination_port));
        }
    }

    fn icmp(&mut self, seen: &Seen<'_, '_>, icmp: &Icmp, sent: &Sent<'_>) {
        let pair = (sent.source, sent.destination);
        match (icmp.is_v6, icmp.kind) {
            (false, 8) | (true, 128) => {
                self.echo.request(seen, pair);
                if sent.is_first() {
                    self.contacts.tried(seen, pair, Way::Echo);
                }
            }
            (false, 0) | (true, 129) => {
                let is_asked = sent.side != sent.flow.client;
                self.echo.reply(seen, pair, is_asked);
                if sent.is_first_answer() {
                    self.contacts.answered(sent.asked(), Way::Echo);
                }
            }
            (false, 3) | (true, 1) => self.unreachable(seen),
            _ => {}
        }
    }

    /// An ICMP error that says that a host or a port cannot be reached.
    #[cold]
    fn unreachable(&mut self, seen: &Seen<'_, '_>) {
        let Some(quoted) = seen.headers.quoted() else {
            return;
        };
        let Some((source, target, way)) = tried(&quoted) else {
            return;
        };
        self.contacts.refused((source, target), way);
    }

    /// ARP: who asks for which addresses.
    fn arp(&mut self, seen: &Seen<'_, '_>) {
        const REQUEST: u16 = 1;
        const REPLY: u16 = 2;
        let Some(arp) = &seen.headers.arp else { return };
        // Announcements and probes of one's own address ask for nobody (RFC 5227).
        if arp.sender == arp.target || arp.sender.is_unspecified() {
            return;
        }
        match arp.operation {
            REQUEST => self
                .contacts
                .tried(seen, (arp.sender, arp.target), Way::Arp),
            REPLY => self.contacts.answered((arp.target, arp.sender), Way::Arp),
            _ => {}
        }
    }

    /// A flow that will not be seen again, or that is there at the end.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        match key.protocol {
            TCP => {
                self.syn.flow(key, flow);
                self.logins.flow(key, flow);
            }
            UDP => {
                self.datagrams.flow(key, flow);
                self.amplification.flow(key, flow);
            }
            _ => {}
        }
        self.volumes.flow(key, flow);
        self.talkers.flow(key, flow);
    }

    /// A server says in clear words whether logins worked: `530` of FTP, `535` of SMTP, error 1045 of MySQL, `28P01` of
    /// PostgreSQL, or 401 of HTTP to a request that had credentials (the first one of a browser has none).
    #[cold]
    pub(super) fn logins(&mut self, said: &Said) {
        self.logins.said(said);
    }

    /// The hosts that this capture is compared with.
    pub(super) fn compare_with(&mut self, baseline: Baseline) {
        self.talkers.compare_with(baseline);
    }

    /// The hosts of flows that have ended.
    pub(super) fn baseline(&self) -> Baseline {
        self.talkers.baseline()
    }

    /// Everything that is wrong, and what findings of others it explains.
    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) -> Explained {
        let mut explained = Explained::default();
        let mut all = Vec::new();
        scan::findings(&self.contacts, facts, &mut explained, &mut all);
        self.probes.findings(facts, &mut all);
        self.syn.findings(facts, &mut explained, &mut all);
        self.datagrams.findings(facts, &explained, &mut all);
        self.echo.findings(facts, &mut all);
        self.amplification.findings(facts, &mut all);
        self.logins.findings(facts, &mut explained, &mut all);
        self.beacons.findings(facts, &explained, &mut all);
        self.volumes.findings(facts, &mut all);
        self.talkers.findings(facts, &mut all);
        all.sort_by_key(|finding| finding.code);
        for of_code in all.chunk_by(|one, other| one.code == other.code) {
            findings.extend(at_most(of_code));
        }
        explained
    }
}

/// Who tried what, of a packet that an ICMP error quotes; of the transport only eight bytes may be there (RFC 792).
fn tried(quoted: &Decoded<'_>) -> Option<(Address, Address, Way)> {
    let ip = quoted.ip.as_ref()?;
    let port = match quoted.transport.ports() {
        Some((_, port)) => port,
        None => u16::from_be_bytes(*quoted.payload.get(2..)?.first_chunk::<2>()?),
    };
    let way = match ip.protocol {
        TCP => Way::Tcp(port),
        UDP => Way::Udp(port),
        1 | 58 => Way::Echo,
        _ => return None,
    };
    Some((ip.source, ip.destination, way))
}
