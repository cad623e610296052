//! Numbers of streams, as Wireshark counts them: `tcp.stream` and `udp.stream`, each from 0 in the order of their first
//! packets. A SYN with another sequence number begins another stream between the same ports.

use std::collections::HashMap;

use capture_packet::decode::{Decoded, TcpFlags};

use super::ends::{Ends, Protocol};

/// Most pairs of ends that are known, and most streams beyond their first ones. Streams that begin later have no number.
const MOST: usize = 131_072;

/// The streams of a capture so far.
#[derive(Default)]
pub(super) struct Numbering {
    pairs: HashMap<Ends, Pair>,
    /// Streams of TCP, and of UDP.
    counts: [u32; 2],
    /// Streams that are not the first ones of their pairs.
    again: usize,
}

/// The streams between two ends.
struct Pair {
    first: u32,
    /// Where others have begun, and their numbers.
    again: Vec<(u64, u32)>,
    /// The sequence number of the last SYN of each side.
    sequences: [Option<u32>; 2],
}

impl Numbering {
    /// Takes the next packet of the capture, which is at this position.
    pub(super) fn packet(&mut self, position: u64, link_type: u16, frame: &[u8], wire_len: u32) {
        let decoded = Decoded::new(link_type, frame, wire_len);
        let Some(ends) = Ends::of_decoded(&decoded) else {
            return;
        };
        let count = match ends.protocol {
            Protocol::Tcp => &mut self.counts[0],
            Protocol::Udp => &mut self.counts[1],
            Protocol::Sctp | Protocol::Ip => return,
        };
        let syn = decoded.tcp().filter(|tcp| tcp.flags.has(TcpFlags::SYN));
        let syn = syn.map(|tcp| (tcp.sequence, tcp.flags.has(TcpFlags::ACK)));
        let is_of_first = decoded.ip.is_some_and(|ip| {
            ends.ends[0].0 == ip.source
                && decoded
                    .tcp()
                    .is_none_or(|tcp| tcp.source_port == ends.ends[0].1)
        });
        let side = usize::from(!is_of_first);
        let is_full = self.pairs.len() >= MOST || self.again >= MOST;
        let Some(pair) = self.pairs.get_mut(&ends) else {
            // From then on nobody can tell which are new.
            if !is_full {
                let mut sequences = [None; 2];
                sequences[side] = syn.map(|(sequence, _)| sequence);
                let pair = Pair {
                    first: *count,
                    again: Vec::new(),
                    sequences,
                };
                *count += 1;
                self.pairs.insert(ends, pair);
            }
            return;
        };
        let Some((sequence, is_answer)) = syn else {
            return;
        };
        let before = pair.sequences[side].replace(sequence);
        if !is_full && !is_answer && before.is_some_and(|before| before != sequence) {
            self.again += 1;
            pair.again.push((position, *count));
            *count += 1;
        }
    }

    /// The stream of a packet at a position: `tcp 3`.
    pub(super) fn stream(&self, position: u64, ends: &Ends) -> Option<String> {
        let pair = self.pairs.get(ends)?;
        let begun = pair.again.partition_point(|(from, _)| *from <= position);
        let number = match begun.checked_sub(1).and_then(|last| pair.again.get(last)) {
            Some((_, number)) => *number,
            None => pair.first,
        };
        Some(format!("{} {number}", ends.protocol.word()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_streams_are_bounded() {
        let mut numbering = Numbering::default();
        let [early, late] = [0, MOST as u32 + 5].map(|number| {
            let mut frame = crate::testing::syn(number as u16);
            frame[27] = (number >> 16) as u8;
            frame
        });
        for number in 0..MOST as u32 + 10 {
            let mut frame = crate::testing::syn(number as u16);
            frame[27] = (number >> 16) as u8;
            numbering.packet(number.into(), 1, &frame, frame.len() as u32);
        }
        assert_eq!(numbering.pairs.len(), MOST);
        let stream = |frame: &[u8]| {
            let decoded = Decoded::new(1, frame, frame.len() as u32);
            let ends = Ends::of_decoded(&decoded).expect("TCP");
            numbering.stream(1 << 40, &ends)
        };
        assert_eq!(stream(&early).as_deref(), Some("tcp 0"));
        assert_eq!(stream(&late), None);
    }
}
