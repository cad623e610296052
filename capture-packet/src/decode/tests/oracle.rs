//! Random frames, as etherparse reads them.

use etherparse::{
    IpNumber, Ipv4Header, Ipv4Options, Ipv6Header, LaxPacketHeaders, NetHeaders, TcpHeader,
    TcpOptionElement, TransportHeader,
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::testing::{ethernet, mac, tshark};

#[derive(Clone, Debug)]
enum Carried {
    Tcp {
        ports: (u16, u16),
        numbers: (u32, u32),
        flags: u16,
        window: u16,
        options: Vec<u8>,
    },
    Udp {
        ports: (u16, u16),
    },
    Icmp {
        kind: u8,
        code: u8,
        rest: u32,
    },
}

#[derive(Clone, Debug)]
struct Shape {
    tags: Vec<u16>,
    is_v4: bool,
    addresses: [[u8; 16]; 2],
    ttl: u8,
    class: u8,
    id: u16,
    fragment: Option<(u16, bool)>,
    ip_options: usize,
    extensions: Vec<(u8, usize)>,
    carried: Carried,
    payload: Vec<u8>,
    padding: usize,
}

fn tcp_option() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![1]),
        any::<[u8; 2]>().prop_map(|v| [&[2, 4], &v[..]].concat()),
        (0u8..15).prop_map(|v| vec![3, 3, v]),
        Just(vec![4, 2]),
        vec(any::<[u8; 8]>(), 1..3)
            .prop_map(|v| [&[5, 2 + 8 * v.len() as u8], &v.concat()[..]].concat()),
        any::<[u8; 8]>().prop_map(|v| [&[8, 10], &v[..]].concat()),
    ]
}

fn carried() -> impl Strategy<Value = Carried> {
    // No port of a tunnel, which etherparse does not look into.
    let port = || prop_oneof![Just(53u16), Just(443), 1024u16..2000, 50_000u16..];
    let ports = || (port(), port());
    prop_oneof![
        (
            ports(),
            any::<(u32, u32)>(),
            0u16..512,
            any::<u16>(),
            vec(tcp_option(), 0..4)
        )
            .prop_map(|(ports, numbers, flags, window, options)| {
                let mut all = Vec::new();
                for option in options {
                    if all.len() + option.len() <= 40 {
                        all.extend(option);
                    }
                }
                all.resize(all.len().next_multiple_of(4), 0);
                Carried::Tcp {
                    ports,
                    numbers,
                    flags,
                    window,
                    options: all,
                }
            }),
        ports().prop_map(|ports| Carried::Udp { ports }),
        any::<(u8, u8, u32)>().prop_map(|(kind, code, rest)| Carried::Icmp { kind, code, rest }),
    ]
}

prop_compose! {
    fn shape()(
        tags in vec(0u16..4096, 0..3),
        is_v4: bool,
        addresses: [[u8; 16]; 2],
        (ttl, class, id) in any::<(u8, u8, u16)>(),
        fragment in prop::option::weighted(0.2, (0u16..100, any::<bool>())),
        ip_options in 0usize..=10,
        extensions in prop::sample::subsequence(vec![0u8, 60, 43, 51], 0..=4),
        lengths in vec(0usize..4, 4),
        carried in carried(),
        payload in vec(any::<u8>(), 0..64),
        padding in 0usize..20,
    ) -> Shape {
        let extensions = extensions.into_iter().zip(lengths).collect();
        Shape { tags, is_v4, addresses, ttl, class, id, fragment, ip_options, extensions, carried, payload, padding }
    }
}

fn transport(shape: &Shape) -> (u8, Vec<u8>) {
    match &shape.carried {
        Carried::Tcp {
            ports,
            numbers,
            flags,
            window,
            options,
        } => {
            let mut bytes = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
            bytes.extend(numbers.0.to_be_bytes());
            bytes.extend(numbers.1.to_be_bytes());
            let words = (20 + options.len() as u16) / 4;
            bytes.extend((words << 12 | flags).to_be_bytes());
            bytes.extend(window.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(options);
            (6, bytes)
        }
        Carried::Udp { ports } => (
            17,
            testing::udp(ports.0, ports.1, &shape.payload)[..8].to_vec(),
        ),
        Carried::Icmp { kind, code, rest } => {
            let number = if shape.is_v4 { 1 } else { 58 };
            (number, testing::icmp(*kind, *code, *rest, &[]))
        }
    }
}

fn build(shape: &Shape) -> Vec<u8> {
    let (number, header) = transport(shape);
    let payload = [header, shape.payload.clone()].concat();
    let [source, destination] = shape.addresses;
    let (kind, packet) = if shape.is_v4 {
        let v4 = |bytes: [u8; 16]| *bytes.first_chunk::<4>().expect("4 of 16");
        let options = vec![1; shape.ip_options * 4];
        let mut header = Ipv4Header {
            time_to_live: shape.ttl,
            identification: shape.id,
            protocol: IpNumber(number),
            source: v4(source),
            destination: v4(destination),
            options: Ipv4Options::try_from(&options[..]).expect("at most 40 bytes"),
            ..Ipv4Header::default()
        };
        header.total_len = (header.header_len() + payload.len()) as u16;
        let mut bytes = header.to_bytes().to_vec();
        bytes[1] = shape.class;
        if let Some((offset, more)) = shape.fragment {
            bytes[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
        }
        (0x0800, [bytes, payload].concat())
    } else {
        let mut next = number;
        let mut rest = payload;
        if let Some((offset, more)) = shape.fragment {
            let position = (offset << 3 | u16::from(more)).to_be_bytes();
            let id = u32::from(shape.id).to_be_bytes();
            rest = [&[next, 0, position[0], position[1]], &id[..], &rest].concat();
            next = 44;
        }
        for (kind, len) in shape.extensions.iter().rev() {
            // Routing type 99: a known one would have to make sense.
            let extension = match kind {
                51 => [vec![next, *len as u8 + 1, 0, 0], vec![0; 8 + 4 * len]].concat(),
                _ => [vec![next, *len as u8, 99, 0], vec![0; 4 + 8 * len]].concat(),
            };
            rest = [extension, rest].concat();
            next = *kind;
        }
        let header = Ipv6Header {
            payload_length: rest.len() as u16,
            next_header: IpNumber(next),
            hop_limit: shape.ttl,
            traffic_class: shape.class,
            source,
            destination,
            ..Ipv6Header::default()
        };
        (0x86dd, [header.to_bytes().to_vec(), rest].concat())
    };
    let mut bytes = Vec::new();
    for (place, tag) in shape.tags.iter().enumerate() {
        bytes.extend(tag.to_be_bytes());
        let is_last = place + 1 == shape.tags.len();
        bytes.extend((if is_last { kind } else { 0x8100u16 }).to_be_bytes());
    }
    bytes.extend(packet);
    bytes.extend(vec![0xee; shape.padding]);
    ethernet(
        mac(1),
        mac(2),
        if shape.tags.is_empty() { kind } else { 0x8100 },
        &bytes,
    )
}

fn compare_tcp(ours: &Tcp, theirs: &TcpHeader) {
    assert_eq!(
        (ours.source_port, ours.destination_port),
        (theirs.source_port, theirs.destination_port)
    );
    assert_eq!(
        (ours.sequence, ours.acknowledgement),
        (theirs.sequence_number, theirs.acknowledgment_number)
    );
    let flags = [
        theirs.fin, theirs.syn, theirs.rst, theirs.psh, theirs.ack, theirs.urg, theirs.ece,
        theirs.cwr, theirs.ns,
    ];
    for (bit, flag) in flags.into_iter().enumerate() {
        assert_eq!(ours.flags.has(1 << bit), flag, "flag {bit}");
    }
    assert_eq!(ours.window, theirs.window_size);
    assert_eq!(usize::from(ours.header_len), theirs.header_len());
    // Of an option that is there twice the last counts, here and there.
    let mut expected = (None, None, false, None);
    let mut sack = Vec::new();
    for option in theirs.options_iterator() {
        match option.expect("a good option") {
            TcpOptionElement::MaximumSegmentSize(mss) => expected.0 = Some(mss),
            TcpOptionElement::WindowScale(shift) => expected.1 = Some(shift),
            TcpOptionElement::SelectiveAcknowledgementPermitted => expected.2 = true,
            TcpOptionElement::Timestamp(value, echo) => expected.3 = Some((value, echo)),
            TcpOptionElement::SelectiveAcknowledgement(first, others) => {
                sack = [first]
                    .into_iter()
                    .chain(others.into_iter().flatten())
                    .collect();
            }
            TcpOptionElement::Noop => {}
        }
    }
    assert_eq!(
        (
            ours.mss,
            ours.window_scale,
            ours.sack_permitted,
            ours.timestamps
        ),
        expected
    );
    assert_eq!(ours.sack.as_slice(), sack);
}

fn compare(frame: &[u8], shape: &Shape) {
    let ours = decode(frame);
    let theirs = LaxPacketHeaders::from_ethernet(frame).expect("a frame");
    assert_eq!(theirs.stop_err, None);
    let tags: Vec<_> = theirs.vlan_ids().iter().map(|id| id.value()).collect();
    assert_eq!(ours.vlan, tags.first().copied());
    let ip = ours.ip.expect("IP");
    let addresses: [std::net::IpAddr; 2] = match &theirs.net {
        Some(NetHeaders::Ipv4(header, _)) => {
            assert_eq!(
                (ip.ttl, ip.protocol),
                (header.time_to_live, header.protocol.0)
            );
            assert_eq!(ip.identification, Some(header.identification.into()));
            let class = header.dscp.value() << 2 | header.ecn.value();
            assert_eq!(ip.traffic_class, class);
            assert_eq!(ip.total_len, u32::from(header.total_len));
            let fragment = header.is_fragmenting_payload().then_some(Fragment {
                offset: u32::from(header.fragment_offset.value()) * 8,
                more: header.more_fragments,
            });
            assert_eq!(ip.fragment, fragment);
            [header.source.into(), header.destination.into()]
        }
        Some(NetHeaders::Ipv6(header, extensions)) => {
            assert_eq!(
                (ip.ttl, ip.traffic_class),
                (header.hop_limit, header.traffic_class)
            );
            assert_eq!(ip.total_len, 40 + u32::from(header.payload_length));
            let fragment = extensions
                .fragment
                .as_ref()
                .filter(|header| header.is_fragmenting_payload());
            let fragment = fragment.map(|header| Fragment {
                offset: u32::from(header.fragment_offset.value()) * 8,
                more: header.more_fragments,
            });
            assert_eq!(ip.fragment, fragment);
            [header.source.into(), header.destination.into()]
        }
        other => panic!("{other:?}"),
    };
    assert_eq!([ip.source.ip(), ip.destination.ip()], addresses);
    match (&ours.transport, &theirs.transport) {
        (Transport::Tcp(ours), Some(TransportHeader::Tcp(theirs))) => compare_tcp(ours, theirs),
        (Transport::Udp(ours), Some(TransportHeader::Udp(theirs))) => assert_eq!(
            (ours.source_port, ours.destination_port),
            (theirs.source_port, theirs.destination_port)
        ),
        (Transport::Icmp(_), Some(TransportHeader::Icmpv4(_) | TransportHeader::Icmpv6(_))) => {}
        // etherparse decodes no transport of a fragment, not even of the first.
        (_, None) if ip.fragment.is_some() => return,
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
    assert_eq!(ours.payload, shape.payload);
    assert_eq!(ours.payload_len as usize, shape.payload.len());
    if let (Transport::Icmp(icmp), Carried::Icmp { kind, code, rest }) =
        (&ours.transport, &shape.carried)
    {
        assert_eq!((icmp.kind, icmp.code, icmp.rest), (*kind, *code, *rest));
    }
    assert!(ours.problems.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn as_etherparse(shape in shape()) {
        compare(&build(&shape), &shape);
    }

    /// What a cut frame still shows is what the whole one says.
    #[test]
    fn cut_frames_show_the_same(shape in shape()) {
        let frame = build(&shape);
        let whole = decode(&frame);
        for len in 0..frame.len() {
            let cut = Decoded::new(1, &frame[..len], frame.len() as u32);
            check_bounds(&cut);
            prop_assert!(cut.problems.is_empty());
            prop_assert!(whole.payload.starts_with(cut.payload) || cut.transport == Transport::None);
        }
    }
}

/// Fields of random frames as tshark prints them.
#[test]
fn as_tshark() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let frames: Vec<_> = (0..300)
        .filter_map(|_| {
            let shape = shape().new_tree(&mut runner).expect("a shape").current();
            // Without reassembly, and without quotes, whose fields come second.
            let is_plain =
                shape.fragment.is_none() && !matches!(shape.carried, Carried::Icmp { .. });
            is_plain.then(|| (0, build(&shape)))
        })
        .collect();
    let fields = [
        "ip.src",
        "ip.dst",
        "ipv6.src",
        "ipv6.dst",
        "ip.ttl",
        "ipv6.hlim",
        "ip.len",
        "tcp.srcport",
        "tcp.dstport",
        "tcp.flags",
        "tcp.len",
        "tcp.seq_raw",
        "tcp.ack_raw",
        "tcp.window_size_value",
        "udp.srcport",
        "udp.dstport",
        "udp.length",
    ];
    let mut args = vec![
        "-o",
        "tcp.desegment_tcp_streams:FALSE",
        "-T",
        "fields",
        "-E",
        "separator=;",
        "-E",
        "occurrence=f",
    ];
    args.extend(fields.iter().flat_map(|field| ["-e", *field]));
    let Some(lines) = tshark(1, &frames, &args) else {
        return;
    };
    assert_eq!(lines.len(), frames.len());
    for ((_, frame), line) in frames.iter().zip(lines) {
        let ours = decode(frame);
        let ip = ours.ip.expect("IP");
        let addresses = [ip.source.to_string(), ip.destination.to_string()];
        let [mut v4, mut v6] = [(); 2].map(|()| [String::new(), String::new()]);
        *(if ip.is_v4() { &mut v4 } else { &mut v6 }) = addresses;
        let of = |is: bool, number: u64| {
            if is {
                number.to_string()
            } else {
                String::new()
            }
        };
        let (tcp, udp) = (ours.tcp(), ours.udp());
        let of_tcp = |field: fn(&Tcp) -> u64| of(tcp.is_some(), tcp.map_or(0, field));
        let of_udp = |field: fn(&Udp) -> u64| of(udp.is_some(), udp.map_or(0, field));
        let [s4, d4] = v4;
        let [s6, d6] = v6;
        let expected = [
            s4,
            d4,
            s6,
            d6,
            of(ip.is_v4(), ip.ttl.into()),
            of(!ip.is_v4(), ip.ttl.into()),
            of(ip.is_v4(), ip.total_len.into()),
            of_tcp(|tcp| tcp.source_port.into()),
            of_tcp(|tcp| tcp.destination_port.into()),
            tcp.map_or(String::new(), |tcp| format!("0x{:04x}", tcp.flags.0)),
            of(tcp.is_some(), ours.payload_len.into()),
            of_tcp(|tcp| tcp.sequence.into()),
            of_tcp(|tcp| tcp.acknowledgement.into()),
            of_tcp(|tcp| tcp.window.into()),
            of_udp(|udp| udp.source_port.into()),
            of_udp(|udp| udp.destination_port.into()),
            of(udp.is_some(), (ours.payload_len + 8).into()),
        ];
        assert_eq!(
            line.split(';').collect::<Vec<_>>(),
            expected,
            "{frame:02x?}"
        );
    }
}
