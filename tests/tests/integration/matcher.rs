//! The parser and the matcher of the kernel programs, as plain functions on bytes, against the
//! reference: generated, damaged and cut frames, and sets of as many tasks as there are slots, each
//! through the product's own validation. The tables are filled by brute force here; the kernel's
//! are compared where they are made, in the agent's `kernel::differential`.
//! `CAPTURE_TEST_SEED` repeats or varies a run.

use std::{collections::HashMap, net::IpAddr};

use capture_common::{Address, AddressMasks, Control, LinkLayer, MAX_SLOTS, PortMasks};
use capture_ebpf::{
    Fragment, Frame, Headers, Tables, classify, have_addresses, parse, parse_quoted,
};
use capture_task::{
    plan,
    plan::{Plan, Protocol, RequestOrigin},
    task::TaskSpec,
};
use capture_tests::{
    generate,
    random::Random,
    reference::{Filter, Matcher, Reading, read, read_raw_ip},
};

/// A frame in memory.
struct Bytes<'a>(&'a [u8]);

impl Frame for Bytes<'_> {
    type HeaderBytes<const N: usize> = [u8; N];

    fn window<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let bytes = self.0.get(offset..offset.checked_add(N)?)?;
        bytes.try_into().ok()
    }
}

/// Tables that ask every plan anew.
struct Plans(Vec<Plan>);

impl Plans {
    /// The tasks, by slot, for which something holds.
    fn mask(&self, holds: impl Fn(&Plan) -> bool) -> u64 {
        let bits = self.0.iter().enumerate();
        bits.filter(|(_, plan)| holds(plan))
            .fold(0, |mask, (slot, _)| mask | 1 << slot)
    }

    fn address(&self, address: IpAddr) -> AddressMasks {
        let has = |endpoint: &plan::Endpoint| {
            let mut nets = endpoint.addresses.iter().flatten();
            nets.any(|net| net.contains(&address))
        };
        AddressMasks {
            local: self.mask(|plan| has(&plan.filter.local)),
            peer: self.mask(|plan| has(&plan.filter.peer)),
        }
    }

    fn control(&self) -> Control {
        let mut control = Control {
            active: self.mask(|_| true),
            ..Control::default()
        };
        control.wildcard.local_address = self.mask(|plan| plan.filter.local.addresses.is_none());
        control.wildcard.peer_address = self.mask(|plan| plan.filter.peer.addresses.is_none());
        control.wildcard.local_port = self.mask(|plan| plan.filter.local.ports.is_none());
        control.wildcard.peer_port = self.mask(|plan| plan.filter.peer.ports.is_none());
        let classes = [
            None,
            Some(Protocol::Tcp),
            Some(Protocol::Udp),
            Some(Protocol::Icmp),
        ];
        control.protocols = classes.map(|class| {
            self.mask(|plan| {
                plan.filter.protocol == Protocol::All || Some(plan.filter.protocol) == class
            })
        });
        control.icmp_errors = self.mask(|plan| plan.filter.icmp_errors);
        control
    }
}

impl Tables for Plans {
    fn address_v4(&self, [address, _]: &Address, _: u64) -> AddressMasks {
        self.address((*address as u32).to_ne_bytes().into())
    }

    fn address_v6(&self, address: &Address, _: u64) -> AddressMasks {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address[0].to_ne_bytes());
        bytes[8..].copy_from_slice(&address[1].to_ne_bytes());
        self.address(bytes.into())
    }

    fn port(&self, port: u16) -> PortMasks {
        let has = |ports: &Option<Vec<std::ops::RangeInclusive<u16>>>| {
            let ranges = ports.iter().flatten();
            ranges.into_iter().any(|range| range.contains(&port))
        };
        PortMasks {
            local: self.mask(|plan| has(&plan.filter.local.ports)),
            peer: self.mask(|plan| has(&plan.filter.peer.ports)),
        }
    }
}

/// What a first fragment left, by all that identifies its datagram.
type Datagrams = HashMap<(Address, Address, u32, u8, bool), u64>;

/// A set of tasks on both sides.
struct Comparison {
    filters: Vec<Filter>,
    matchers: Vec<Matcher>,
    plans: Plans,
    control: Control,
    datagrams: Datagrams,
    /// Tasks that ask for something: the others match whatever comes, and prove nothing.
    choosy: u64,
    decisions: usize,
    matches: usize,
}

impl Comparison {
    fn new(random: &mut Random, tasks: usize) -> Self {
        let filters: Vec<_> = (0..tasks).map(|_| generate::filter(random)).collect();
        let plans: Vec<_> = filters.iter().map(resolve).collect();
        let plans = Plans(plans);
        Self {
            matchers: filters.iter().cloned().map(Matcher::new).collect(),
            filters,
            control: plans.control(),
            choosy: plans.mask(|plan| plan.filter != plan::Filter::default()),
            plans,
            datagrams: HashMap::new(),
            decisions: 0,
            matches: 0,
        }
    }

    /// The next frame of the interface.
    fn frame(&mut self, link: LinkLayer, frame: &[u8]) {
        let reading = match link {
            LinkLayer::Ethernet => read(frame),
            LinkLayer::None => read_raw_ip(frame),
        };
        let expected = self.expected(&reading);
        let mut headers = Headers::EMPTY;
        parse(&Bytes(frame), link, &mut headers);
        let taken = self.taken(&Bytes(frame), &headers);
        if taken != expected {
            let slot = (taken ^ expected).trailing_zeros() as usize;
            panic!(
                "slot {slot}, {:?}: taken by {}\n{link:?} {frame:02x?}\nproduct   {headers:?}\nreference {reading:?}",
                generate::options(&self.filters[slot]),
                if taken >> slot & 1 != 0 {
                    "the product alone"
                } else {
                    "the reference alone"
                },
            );
        }
        assert_eq!(
            headers.malformed, reading.malformed,
            "malformed: {link:?} {frame:02x?}\nproduct   {headers:?}\nreference {reading:?}"
        );
        self.decisions += self.choosy.count_ones() as usize;
        self.matches += (taken & self.choosy).count_ones() as usize;
    }

    fn expected(&mut self, reading: &Reading) -> u64 {
        let matchers = self.matchers.iter_mut().enumerate();
        matchers
            .map(|(slot, matcher)| u64::from(matcher.takes_reading(reading)) << slot)
            .sum()
    }

    /// Parsed headers to tasks, with the memory that the kernel keeps in a map.
    fn taken(&mut self, frame: &Bytes<'_>, headers: &Headers) -> u64 {
        let Control { active, .. } = self.control;
        let mut taken = classify(&self.plans, &self.control, active, headers);
        let mut quoted = Headers::EMPTY;
        if headers.icmp != 0
            && parse_quoted(frame, headers.icmp.into(), headers.network, &mut quoted)
        {
            let asking = active & self.control.icmp_errors;
            taken |= classify(&self.plans, &self.control, asking, &quoted);
        }
        let key = (
            headers.source,
            headers.destination,
            headers.identification,
            headers.fragment_protocol,
            headers.network == capture_ebpf::Network::V6,
        );
        match headers.fragment {
            Fragment::No => taken,
            Fragment::First => {
                self.datagrams.insert(key, taken);
                taken
            }
            Fragment::Later => {
                let first = self.datagrams.get(&key).copied().unwrap_or(0);
                let possible = self.control.icmp_errors
                    | have_addresses(&self.plans, &self.control, active, headers);
                taken | first & possible
            }
        }
    }
}

/// The filter as the product understands the request for it.
fn resolve(filter: &Filter) -> Plan {
    let request = generate::request(filter);
    let spec: TaskSpec = serde_json::from_value(request.clone())
        .unwrap_or_else(|error| panic!("{request}: {error}"));
    Plan::resolve(&spec, RequestOrigin::Run)
        .unwrap_or_else(|faults| panic!("{request}: {faults:?}"))
}

/// Puts so many frames to each of so many sets of tasks, and wants a share of matches, in percent,
/// of all decisions for tasks that do not take everything anyway.
fn compare(
    random: &mut Random,
    (sets, frames): (usize, u32),
    share: std::ops::RangeInclusive<usize>,
    mut next: impl FnMut(&mut Random, u32) -> (LinkLayer, Vec<u8>),
) {
    let (mut decisions, mut matches) = (0, 0);
    for set in 0..sets {
        // Every third set leaves slots free.
        let tasks = if set % 3 == 2 {
            1 + random.below(MAX_SLOTS)
        } else {
            MAX_SLOTS
        };
        let mut comparison = Comparison::new(random, tasks);
        for number in 0..frames {
            let (link, frame) = next(random, number);
            comparison.frame(link, &frame);
        }
        decisions += comparison.decisions;
        matches += comparison.matches;
    }
    let percent = matches * 100 / decisions;
    println!("{decisions} decisions, {matches} matches: {percent} %");
    assert!(
        share.contains(&percent),
        "{percent} % of {decisions} decisions are matches: the frames miss the filters, or the other way round"
    );
}

#[test]
fn frames() {
    compare(
        &mut Random::from_env(11),
        (12, 1500),
        4..=50,
        |random, number| (LinkLayer::Ethernet, generate::frame(random, number)),
    );
}

#[test]
fn packets_without_link_layer() {
    compare(
        &mut Random::from_env(12),
        (6, 1500),
        4..=50,
        |random, number| (LinkLayer::None, generate::raw_ip(random, number)),
    );
}

#[test]
fn ports_behind_long_headers() {
    compare(
        &mut Random::from_env(13),
        (3, 200),
        8..=50,
        |random, number| {
            let distance = random.below(12_000);
            let packet = generate::far_ports(random, number, distance);
            (LinkLayer::None, packet)
        },
    );
}

#[test]
fn noise() {
    compare(&mut Random::from_env(14), (3, 1000), 0..=10, |random, _| {
        let link = *random.pick(&[LinkLayer::Ethernet, LinkLayer::None]);
        (link, generate::noise(random, 0))
    });
}

#[test]
fn frames_cut_at_every_byte() {
    let mut random = Random::from_env(15);
    let (mut decisions, mut matches) = (0, 0);
    for _ in 0..4 {
        let mut comparison = Comparison::new(&mut random, MAX_SLOTS);
        for number in 0..25 {
            let frame = generate::frame(&mut random, number);
            for end in 0..=frame.len().min(120) {
                comparison.frame(LinkLayer::Ethernet, &frame[..end]);
            }
            let packet = generate::raw_ip(&mut random, number);
            for end in 0..=packet.len().min(120) {
                comparison.frame(LinkLayer::None, &packet[..end]);
            }
        }
        decisions += comparison.decisions;
        matches += comparison.matches;
    }
    println!("{decisions} decisions, {matches} matches");
    assert!(matches * 100 > decisions * 2, "{matches} of {decisions}");
}
