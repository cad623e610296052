//! The traffic of a host, from a seed: thousands of flows at once, each kind with its share of the packets.

use capture_tests::random::Random;

use super::{
    packet::{Content, Flow, From, Packet, Payload, What},
    session::Session,
};

const MILLISECOND: u64 = 1_000_000;

/// Packets a second.
const RATE: u64 = 2_000;

/// Kinds of flows and their shares of all packets in percent.
const SHARES: [(Kind, u64); 9] = [
    (Kind::Tls, 44),
    (Kind::Http, 15),
    (Kind::RandomPorts, 14),
    (Kind::Upload, 5),
    (Kind::Dns, 8),
    (Kind::Quic, 7),
    (Kind::Media, 4),
    (Kind::Ping, 2),
    (Kind::Arp, 1),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tls,
    Http,
    RandomPorts,
    Upload,
    Dns,
    Quic,
    Media,
    Ping,
    Arp,
}

/// Packets in the order of time, and their flows.
pub(crate) struct Mixture {
    pub(crate) packets: Vec<Packet>,
    pub(crate) flows: Vec<Flow>,
}

impl Mixture {
    /// A mixture of at least so many packets.
    pub(crate) fn new(seed: u64, packets: usize) -> Self {
        let mut random = Random::new(seed);
        let duration_ns = packets as u64 * 1_000_000_000 / RATE;
        let mut mixture = Self {
            packets: Vec::with_capacity(packets + packets / 8),
            flows: Vec::new(),
        };
        let mut counts = [0u64; SHARES.len()];
        while mixture.packets.len() < packets {
            // What is farthest behind its share.
            let behind = |index: &usize| counts[*index] * 1000 / SHARES[*index].1;
            let Some(next) = (0..SHARES.len()).min_by_key(behind) else {
                break;
            };
            let ns = 1 + random.below(duration_ns as usize) as u64;
            let before = mixture.packets.len();
            mixture.add(SHARES[next].0, ns, &mut random);
            counts[next] += (mixture.packets.len() - before) as u64;
        }
        mixture.packets.sort_by_key(|packet| packet.ns);
        mixture
    }

    /// So many connections of eight packets, all open at the end.
    pub(crate) fn of_flows(seed: u64, flows: usize) -> Self {
        let mut random = Random::new(seed);
        let mut mixture = Self {
            packets: Vec::new(),
            flows: Vec::new(),
        };
        for index in 0..flows {
            let flow = mixture.flow(&mut random, 443);
            let ns = 1 + index as u64 * 100_000;
            let mut session = Session::open(&mut mixture.packets, &mut random, flow, ns);
            session.send(From::Client, Content::Noise, 200);
            session.send(From::Server, Content::Noise, 300);
        }
        mixture.packets.sort_by_key(|packet| packet.ns);
        mixture
    }

    fn flow(&mut self, random: &mut Random, port: u16) -> u32 {
        let v6 = random.one_in(5);
        let host = address(v6, 10);
        let other = address(v6, 1000 + random.below(3000) as u16);
        let ephemeral = 32_768 + random.below(28_000) as u16;
        // Now and then the host serves.
        let ends = match random.one_in(6) {
            true => [(other, ephemeral), (host, port)],
            false => [(host, ephemeral), (other, port)],
        };
        let word = random.bits();
        self.flows.push(Flow {
            ends,
            v6,
            isn: [word as u32, (word >> 32) as u32],
            ttl: [64, 48 + random.below(12) as u8],
        });
        self.flows.len() as u32 - 1
    }

    fn add(&mut self, kind: Kind, ns: u64, random: &mut Random) {
        let port = match kind {
            Kind::Tls | Kind::Upload | Kind::Quic => 443,
            Kind::Http => 80,
            Kind::Dns => 53,
            Kind::RandomPorts | Kind::Media => 1024 + random.below(60_000) as u16,
            Kind::Ping | Kind::Arp => 0,
        };
        let flow = self.flow(random, port);
        match kind {
            Kind::Tls | Kind::Http | Kind::RandomPorts | Kind::Upload => {
                let session = Session::open(&mut self.packets, random, flow, ns);
                talk(kind, session, ns ^ u64::from(flow));
            }
            _ => self.datagrams(kind, flow, ns, random),
        }
    }

    fn datagrams(&mut self, kind: Kind, flow: u32, mut ns: u64, random: &mut Random) {
        let mut push = |ns, from, what| {
            self.packets.push(Packet {
                ns,
                flow,
                from,
                what,
            })
        };
        let udp = |content, len| What::Udp(Payload::whole(content, len));
        match kind {
            Kind::Dns => {
                push(ns, From::Client, udp(Content::Query, 0));
                let later = (1 + random.below(30) as u64) * MILLISECOND;
                push(ns + later, From::Server, udp(Content::Answer, 0));
            }
            Kind::Quic => {
                for index in 0..20 + random.below(200) {
                    let (from, len) = match index % 3 {
                        0 => (From::Client, 40 + random.below(60) as u16),
                        _ => (From::Server, 1200 + random.below(150) as u16),
                    };
                    push(ns, from, udp(Content::Noise, len));
                    ns += (50 + random.below(3000) as u64) * 1000;
                }
            }
            Kind::Media => {
                for _ in 0..50 + random.below(300) {
                    push(ns, From::Client, udp(Content::Media, 172));
                    push(ns + 3 * MILLISECOND, From::Server, udp(Content::Media, 172));
                    ns += 20 * MILLISECOND;
                }
                push(ns, From::Client, udp(Content::Time, 48));
            }
            Kind::Ping => {
                for sequence in 0..10 {
                    push(ns, From::Client, What::Echo { sequence });
                    push(ns + 12 * MILLISECOND, From::Server, What::Echo { sequence });
                    ns += 1000 * MILLISECOND;
                }
            }
            _ => {
                push(ns, From::Client, What::Arp);
                push(ns + MILLISECOND / 5, From::Server, What::Arp);
            }
        }
    }
}

/// What the ends of a connection say.
fn talk(kind: Kind, mut session: Session<'_>, seed: u64) {
    let mut random = Random::new(seed);
    // A few long messages and many short ones.
    let mut len = |most: usize| {
        let part = 1 + random.below(1000);
        (most / part).max(120) as u32
    };
    match kind {
        Kind::Tls => {
            session.send(From::Client, Content::ClientHello, 517);
            session.send(From::Server, Content::ServerHello, 3600);
            session.send(From::Client, Content::Records, 80);
            for _ in 0..3 {
                session.send(From::Client, Content::Records, 300);
                session.send(From::Server, Content::Records, len(4_000_000));
                session.wait(2000);
            }
        }
        Kind::Http => {
            for _ in 0..4 {
                session.send(From::Client, Content::HttpRequest, 180);
                session.wait(30);
                session.send(From::Server, Content::HttpResponse, len(1_000_000).max(400));
                session.wait(500);
            }
        }
        Kind::Upload => {
            session.send(From::Client, Content::ClientHello, 517);
            session.send(From::Server, Content::ServerHello, 3600);
            session.send(From::Client, Content::Records, len(8_000_000));
            session.send(From::Server, Content::Records, 200);
        }
        _ => {
            for _ in 0..4 {
                session.send(From::Client, Content::Noise, 60 + len(20_000) % 700);
                session.wait(8);
                session.send(From::Server, Content::Noise, len(60_000));
                session.wait(900);
            }
        }
    }
    session.close();
}

fn address(v6: bool, host: u16) -> [u8; 16] {
    let [high, low] = host.to_be_bytes();
    match v6 {
        true => [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low],
        false => [10, 20, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    }
}
