//! Files for tests, written by hand: what is read is then not judged by what wrote it.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
};

use capture_packet::testing::START;
use etherparse::PacketBuilder;

use crate::Input;

/// A pcapng file in the making, of one interface.
pub(crate) struct Pcapng(Vec<u8>);

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let total = (12 + body.len() + padding.len()) as u32;
    let (kind, total) = (kind.to_le_bytes(), total.to_le_bytes());
    [&kind[..], &total, body, &padding, &total].concat()
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
    let (code, len) = (code.to_le_bytes(), (value.len() as u16).to_le_bytes());
    [&code[..], &len, value, &padding].concat()
}

impl Pcapng {
    /// A file of the task, and of a host's interface, with times in nanoseconds.
    pub(crate) fn new(task: &str, interface: &str) -> Self {
        let words = [0x1a2b_3c4d_u32, 1, u32::MAX, u32::MAX].map(u32::to_le_bytes);
        let header = block(
            0x0a0d_0d0a,
            &[words.concat(), option(1, task.as_bytes())].concat(),
        );
        let options = [option(2, interface.as_bytes()), option(9, &[9])].concat();
        let description = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &options].concat();
        Self([header, block(1, &description)].concat())
    }

    /// A packet so many nanoseconds after the start.
    pub(crate) fn packet(self, after_ns: u64, frame: &[u8]) -> Self {
        self.packet_of(0, after_ns, frame)
    }

    /// A packet of which the file has less than there was.
    pub(crate) fn cut_packet(mut self, after_ns: u64, kept: &[u8], wire_len: usize) -> Self {
        let (ns, len) = (START + after_ns, kept.len() as u32);
        let words = [0, (ns >> 32) as u32, ns as u32, len, wire_len as u32].map(u32::to_le_bytes);
        self.0.extend(block(6, &[&words.concat(), kept].concat()));
        self
    }

    /// Describes one more interface of Ethernet, with times in nanoseconds.
    pub(crate) fn interface(mut self, name: &str) -> Self {
        let options = [option(2, name.as_bytes()), option(9, &[9])].concat();
        let description = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &options].concat();
        self.0.extend(block(1, &description));
        self
    }

    /// A packet of an interface by its number.
    pub(crate) fn packet_of(mut self, interface: u32, after_ns: u64, frame: &[u8]) -> Self {
        let (ns, len) = (START + after_ns, frame.len() as u32);
        let words = [interface, (ns >> 32) as u32, ns as u32, len, len].map(u32::to_le_bytes);
        self.0.extend(block(6, &[&words.concat(), frame].concat()));
        self
    }

    /// How many packets were lost since the capture began.
    pub(crate) fn lost(mut self, packets: u64) -> Self {
        let options = option(7, &packets.to_le_bytes());
        self.0.extend(block(5, &[&[0; 12][..], &options].concat()));
        self
    }

    /// When the capture ended, so many nanoseconds after the start.
    pub(crate) fn ended(mut self, after_ns: u64) -> Self {
        let ns = START + after_ns;
        let words = [(ns >> 32) as u32, ns as u32].map(u32::to_le_bytes);
        let options = option(3, &words.concat());
        self.0.extend(block(5, &[&[0; 12][..], &options].concat()));
        self
    }

    /// Its bytes.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// On disk, as if it were given by name.
    pub(crate) fn file(self, name: &str) -> Input {
        on_disk(name, &self.0)
    }
}

/// A file with these bytes.
pub(crate) fn on_disk(name: &str, bytes: &[u8]) -> Input {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("it is written");
    Input::file(name, file)
}

/// When captures in pcap begin, in seconds since the Unix epoch.
pub(crate) const SECONDS: u64 = 1_700_000_000;

/// A pcap file with nanoseconds, of Ethernet.
#[derive(Clone, Debug)]
pub(crate) struct Pcap(pub(crate) Vec<u8>);

impl Pcap {
    pub(crate) fn new() -> Self {
        let mut out = 0xa1b2_3c4d_u32.to_le_bytes().to_vec();
        for half in [2_u16, 4] {
            out.extend(half.to_le_bytes());
        }
        for word in [0_u32, 0, 65_535, 1] {
            out.extend(word.to_le_bytes());
        }
        Self(out)
    }

    /// A frame, so many milliseconds after the start.
    pub(crate) fn frame(&mut self, ms: u64, frame: &[u8]) {
        let len = frame.len() as u32;
        let seconds = (SECONDS + ms / 1000) as u32;
        let ns = (ms % 1000 * 1_000_000) as u32;
        for word in [seconds, ns, len, len] {
            self.0.extend(word.to_le_bytes());
        }
        self.0.extend(frame);
    }

    /// Connections that nobody answers: a SYN and its two resends for each, then something seconds later.
    pub(crate) fn unanswered(connections: u16) -> Self {
        let mut pcap = Self::new();
        for ms in [0, 1000, 3000] {
            for n in 0..connections {
                pcap.frame(ms + u64::from(n % 500), &syn(n));
            }
        }
        pcap.frame(20_000, &udp());
        pcap
    }

    /// As a file that is read from its beginning.
    pub(crate) fn file(&self) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&self.0).expect("room for it");
        file.rewind().expect("a file");
        file
    }
}

/// The SYN of a connection.
pub(crate) fn syn(n: u16) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, high, low], [10, 1, 0, 1], 64)
        .tcp(20_000, 443, 7, 65_000)
        .syn();
    let mut frame = Vec::new();
    builder.write(&mut frame, &[]).expect("a frame");
    frame
}

/// A datagram that means nothing.
pub(crate) fn udp() -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 9, 9, 9], [10, 1, 0, 1], 64)
        .udp(30_000, 30_001);
    let mut frame = Vec::new();
    builder.write(&mut frame, b"x").expect("a frame");
    frame
}
