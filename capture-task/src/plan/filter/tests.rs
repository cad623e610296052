//! The expression against known texts, and against libpcap: what `tcpdump -d` compiles, run on
//! packets, must agree with a plain matcher.

use std::{
    ops::RangeInclusive,
    process::{Command, Stdio},
};

use proptest::prelude::*;

use super::*;

fn endpoint(address: &str, ports: &[RangeInclusive<u16>]) -> Endpoint {
    Endpoint {
        addresses: (!address.is_empty()).then(|| {
            let nets = address.split(' ').map(|net| net.parse().expect("a prefix"));
            nets.collect()
        }),
        ports: (!ports.is_empty()).then(|| ports.to_vec()),
    }
}

#[test]
fn texts() {
    let none = Endpoint::default();
    let a = endpoint("10.0.0.1/32", &[]);
    let b = endpoint("10.0.0.2/32", &[]);
    let net = endpoint("10.0.0.0/8", &[]);
    let list = endpoint("10.0.0.1/32 10.1.0.0/16 2001:db8::1/128", &[]);
    for (protocol, local, peer, expected) in [
        (Protocol::All, &none, &none, ""),
        (Protocol::Icmp, &none, &none, "(icmp or icmp6)"),
        (Protocol::Udp, &a, &none, "udp and host 10.0.0.1"),
        (Protocol::All, &net, &none, "net 10.0.0.0/8"),
        (
            Protocol::Udp,
            &list,
            &none,
            "udp and (host 10.0.0.1 or net 10.1.0.0/16 or host 2001:db8::1)",
        ),
        (
            Protocol::All,
            &list,
            &b,
            "(host 10.0.0.1 or net 10.1.0.0/16 or host 2001:db8::1) and host 10.0.0.2",
        ),
        (
            Protocol::All,
            &b,
            &endpoint("10.0.0.1/32 10.0.0.2/32", &[]),
            "((src host 10.0.0.2 and (dst host 10.0.0.1 or dst host 10.0.0.2)) or \
             (dst host 10.0.0.2 and (src host 10.0.0.1 or src host 10.0.0.2)))",
        ),
        (
            Protocol::Tcp,
            &endpoint("", &[443..=443]),
            &none,
            "tcp and port 443",
        ),
        (
            Protocol::All,
            &endpoint("", &[443..=443, 8000..=8100]),
            &none,
            "(port 443 or portrange 8000-8100)",
        ),
        (
            Protocol::Udp,
            &endpoint("10.0.0.1/32", &[9..=9]),
            &none,
            "udp and ((src host 10.0.0.1 and src port 9) or (dst host 10.0.0.1 and dst port 9))",
        ),
        (Protocol::All, &a, &b, "host 10.0.0.1 and host 10.0.0.2"),
        (
            Protocol::All,
            &a,
            &net,
            "((src host 10.0.0.1 and dst net 10.0.0.0/8) or (dst host 10.0.0.1 and src net 10.0.0.0/8))",
        ),
        (
            Protocol::All,
            &a,
            &endpoint("10.0.0.2/32", &[53..=53]),
            "((src host 10.0.0.1 and dst host 10.0.0.2 and dst port 53) or \
             (dst host 10.0.0.1 and src host 10.0.0.2 and src port 53))",
        ),
    ] {
        let filter = Filter {
            protocol,
            local: local.clone(),
            peer: peer.clone(),
            icmp_errors: false,
        };
        assert_eq!(filter.to_string(), expected);
    }
}

/// One instruction of classic BPF, as `tcpdump -ddd` prints it.
struct Instruction {
    code: u16,
    jump_true: usize,
    jump_false: usize,
    k: u32,
}

/// Compiles an expression for Ethernet; `None` where it can match nothing.
///
/// Without the optimizer (`-O`): that of libpcap 1.10.3 breaks what an IPv6 pair of overlapping
/// prefixes with ports means, as in `((src net 2001:db8::/120 and dst net 2001:db8::/120 and dst
/// port 1) or (dst net 2001:db8::/120 and src net 2001:db8::/120 and src port 1))`, which it has
/// refuse the second way round.
fn compile(expression: &str) -> Option<Vec<Instruction>> {
    let output = Command::new("tcpdump")
        .args(["-O", "-y", "EN10MB", "-ddd", expression])
        .stdin(Stdio::null())
        .output()
        .expect("tcpdump runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains("expression rejects all packets") {
        return None;
    }
    assert!(output.status.success(), "{expression}: {stderr}");
    let text = String::from_utf8(output.stdout).expect("numbers");
    let instruction = |line: &str| {
        let mut fields = line
            .split(' ')
            .map(|field| field.parse::<u32>().expect("a number"));
        let mut next = || fields.next().expect("four fields");
        Instruction {
            code: next() as u16,
            jump_true: next() as usize,
            jump_false: next() as usize,
            k: next(),
        }
    };
    Some(text.lines().skip(1).map(instruction).collect())
}

/// Runs a program of libpcap's on a frame (the instructions that filters of ours compile to).
fn matches(program: &[Instruction], frame: &[u8]) -> bool {
    let load = |at: usize, size: usize| {
        frame.get(at..at + size).map(|bytes| {
            bytes
                .iter()
                .fold(0_u32, |value, byte| value << 8 | u32::from(*byte))
        })
    };
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    loop {
        let Instruction {
            code,
            jump_true,
            jump_false,
            k,
        } = &program[at];
        at += 1;
        let k = *k;
        let index = k as usize;
        let loaded = match code {
            0x20 => load(index, 4),
            0x28 => load(index, 2),
            0x30 => load(index, 1),
            0x40 => load(index + x as usize, 4),
            0x48 => load(index + x as usize, 2),
            0x50 => load(index + x as usize, 1),
            0xb1 => load(index, 1).map(|byte| (byte & 0xf) * 4),
            _ => Some(0),
        };
        let Some(loaded) = loaded else { return false };
        let jump = |taken: bool| if taken { *jump_true } else { *jump_false };
        match code {
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 => a = loaded,
            0xb1 => x = loaded,
            0x54 => a &= k,
            0x05 => at += index,
            0x15 => at += jump(a == k),
            0x25 => at += jump(a > k),
            0x35 => at += jump(a >= k),
            0x45 => at += jump(a & k != 0),
            0x06 => return k != 0,
            code => panic!("instruction {code:#x} is not expected in a filter of ours"),
        }
    }
}

/// A packet as the reference matcher sees it, from small sets so that criteria often hold.
#[derive(Clone, Debug)]
struct Packet {
    protocol: u8,
    v6: bool,
    source: (u8, u16),
    destination: (u8, u16),
}

impl Packet {
    fn address(&self, last: u8) -> IpNet {
        let text = if self.v6 {
            format!("2001:db8::{last:x}/128")
        } else {
            format!("10.0.0.{last}/32")
        };
        text.parse().expect("an address")
    }

    fn frame(&self) -> Vec<u8> {
        let mut frame = vec![0; 12];
        let octets = |last| match self.address(last).addr() {
            std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
            std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, self.protocol, 64]);
        } else {
            frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, self.protocol, 0, 0]);
        }
        frame.extend(octets(self.source.0));
        frame.extend(octets(self.destination.0));
        frame.extend(self.source.1.to_be_bytes());
        frame.extend(self.destination.1.to_be_bytes());
        frame.extend([0; 16]);
        frame
    }

    /// The rule of the contract, word for word.
    fn matched_by(&self, filter: &Filter) -> bool {
        let icmp = if self.v6 { 58 } else { 1 };
        let protocol = match filter.protocol {
            Protocol::All => true,
            Protocol::Tcp => self.protocol == 6,
            Protocol::Udp => self.protocol == 17,
            Protocol::Icmp => self.protocol == icmp,
        };
        let has_ports = [6, 17, 132].contains(&self.protocol);
        let is_in = |(last, port): (u8, u16), endpoint: &Endpoint| {
            let addresses = endpoint.addresses.as_ref();
            addresses.is_none_or(|nets| nets.iter().any(|net| net.contains(&self.address(last))))
                && endpoint.ports.as_ref().is_none_or(|ranges| {
                    has_ports && ranges.iter().any(|range| range.contains(&port))
                })
        };
        let (local, peer) = (&filter.local, &filter.peer);
        protocol
            && ((is_in(self.source, local) && is_in(self.destination, peer))
                || (is_in(self.destination, local) && is_in(self.source, peer)))
    }
}

fn any_ports() -> impl Strategy<Value = Option<Vec<RangeInclusive<u16>>>> {
    prop_oneof![
        Just(None),
        Just(Some(vec![1..=1])),
        Just(Some(vec![1..=2])),
        Just(Some(vec![0..=0, 2..=3, 9..=9])),
        Just(Some(vec![0..=65535])),
    ]
}

fn any_net(v6: bool) -> impl Strategy<Value = IpNet> {
    let lengths = if v6 {
        vec![128, 127, 126, 120, 0]
    } else {
        vec![32, 31, 30, 24, 0]
    };
    (0_u8..4, prop::sample::select(lengths)).prop_map(move |(last, length)| {
        let text = if v6 {
            format!("2001:db8::{last:x}/{length}")
        } else {
            format!("10.0.0.{last}/{length}")
        };
        text.parse::<IpNet>().expect("a prefix").trunc()
    })
}

/// Addresses of one family at least, and others of any.
fn any_endpoint(v6: bool) -> impl Strategy<Value = Endpoint> {
    let more = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<bool>().prop_flat_map(any_net), 1..4),
    ];
    let addresses = (any_net(v6), more).prop_map(|(first, mut nets)| {
        nets.push(first);
        nets
    });
    (prop::option::weighted(0.7, addresses), any_ports())
        .prop_map(|(addresses, ports)| Endpoint { addresses, ports })
}

fn any_filter() -> impl Strategy<Value = Filter> {
    use Protocol::{All, Icmp, Tcp, Udp};
    any::<bool>()
        .prop_flat_map(|v6| {
            (
                prop::sample::select(vec![All, Tcp, Udp, Icmp]),
                any_endpoint(v6),
                any_endpoint(v6),
            )
        })
        .prop_map(|(protocol, mut local, mut peer)| {
            // The shapes that a plan can have.
            if local.addresses.is_none() || peer.addresses.is_none() {
                peer = Endpoint::default();
            }
            if protocol == Icmp {
                local.ports = None;
                peer.ports = None;
            }
            Filter {
                protocol,
                local,
                peer,
                icmp_errors: false,
            }
        })
}

prop_compose! {
    fn any_packet()(
        protocol in prop::sample::select(vec![1_u8, 6, 17, 47, 58, 132]),
        v6 in any::<bool>(),
        source in (0_u8..4, 0_u16..4),
        destination in (0_u8..4, 0_u16..4),
    ) -> Packet {
        Packet { protocol, v6, source, destination }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn libpcap_understands_the_same(
        filter in any_filter(),
        packets in prop::collection::vec(any_packet(), 200),
    ) {
        let expression = filter.to_string();
        let program = compile(&expression);
        for packet in packets {
            let theirs = program.as_ref().is_some_and(|program| matches(program, &packet.frame()));
            prop_assert_eq!(theirs, packet.matched_by(&filter), "{}: {:?}", &expression, packet);
        }
    }
}
