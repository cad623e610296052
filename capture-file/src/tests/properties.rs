//! Any packets, snap lengths, tags and losses: what is read back is what a plain reference computes.

use std::iter;

use proptest::prelude::*;

use super::*;
use crate::encode::{Encoder, MAX_SNAP_LEN, OutputFrame, WholeRecords, count_whole_records};

/// What should be in the file, computed the slow and plain way.
fn expected(packet: &Packet<'_>, snap: Option<u16>) -> (u32, Vec<u8>) {
    let mut data = packet.data.to_vec();
    let mut original_len = packet.original_len;
    if packet.vlan.protocol != 0 {
        original_len += 4;
        if data.len() >= 12 {
            let VlanTag { protocol, control } = packet.vlan;
            let tag = protocol
                .to_be_bytes()
                .into_iter()
                .chain(control.to_be_bytes());
            data.splice(12..12, tag);
        }
    }
    data.truncate(usize::from(snap.unwrap_or(u16::MAX)));
    (original_len, data)
}

fn arbitrary_packet() -> impl Strategy<Value = (Vec<u8>, u32, bool, u64, u64)> {
    let len = prop_oneof![0..20_usize, 20..300_usize];
    let data = len.prop_flat_map(|len| proptest::collection::vec(any::<u8>(), len));
    (data, 0..2000_u32, any::<bool>(), 0..5_u64, 0..3_u64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_packets_are_read_back(
        packets in proptest::collection::vec(arbitrary_packet(), 0..40),
        snap in proptest::option::of(1..200_u16),
        flush_every in 1..10_usize,
    ) {
        for (format, name) in [(Format::Pcapng, "a.pcapng"), (Format::Pcap, "a.pcap")] {
            let mut output = Output::new(&Plan { max_bytes: snap, ..plan(format) }, name);
            let mut wanted = Vec::new();
            let mut time = START_NS;
            for (n, (data, more, tagged, step, drops)) in packets.iter().enumerate() {
                time += step;
                let packet = Packet {
                    timestamp_ns: time,
                    original_len: data.len() as u32 + more,
                    vlan: if *tagged { TAG } else { NO_TAG },
                    ..packet(n as u64, data)
                };
                output.sink.note_drops(*drops);
                prop_assert_eq!(output.give(&packet), None);
                if n % flush_every == 0 {
                    output.sink.flush();
                }
                let (original_len, data) = expected(&packet, snap);
                let pcapng = format == Format::Pcapng;
                wanted.push(Found {
                    timestamp_ns: time,
                    interface: 0,
                    original_len,
                    data,
                    flags: pcapng.then_some(1 + (n as u32) % 2),
                    drops: (pcapng && *drops > 0).then_some(*drops),
                });
            }
            let path = output.path(name);
            let (report, counters, _directory) = output.finish();
            prop_assert!(report.error.is_none(), "{:?}", report.error);
            let bytes: usize = wanted.iter().map(|found| found.data.len()).sum();
            prop_assert_eq!(counters.bytes(), bytes as u64);
            prop_assert_eq!(counters.captured(), wanted.len() as u64);
            prop_assert_eq!(read(&path).0, wanted);
        }
    }

    /// The announced length is the real one, and a walk over a cut finds just the whole records.
    #[test]
    fn records_are_found_again(
        packets in proptest::collection::vec(arbitrary_packet(), 1..10),
        cut in any::<proptest::sample::Index>(),
    ) {
        for format in [Format::Pcapng, Format::Pcap] {
            let encoder = Encoder::new(&plan(format), "id", 1).expect("an encoder");
            let mut data = encoder.file_header().to_vec();
            let start = WholeRecords { len: data.len(), packets: 0, bytes: 0 };
            let mut ends = vec![start];
            for (bytes, _, _, _, drops) in &packets {
                let packet = packet(0, bytes);
                let frame = OutputFrame::new(&packet, 1, MAX_SNAP_LEN);
                let len = encoder.record_len(&frame, *drops);
                let before = data.len();
                encoder.record(&frame, 0, *drops, &mut data);
                prop_assert_eq!(data.len() - before, len);
                let last = ends[ends.len() - 1];
                ends.push(WholeRecords {
                    len: data.len(),
                    packets: last.packets + 1,
                    bytes: last.bytes + bytes.len() as u64,
                });
            }
            let cut = cut.index(data.len() + 1);
            let whole = iter::once(WholeRecords::default()).chain(ends).rfind(|end| end.len <= cut);
            prop_assert_eq!(Some(count_whole_records(format, &data[..cut], true)), whole);
        }
    }
}
