//! Captures that tests make, packet by packet, and tshark to look at them with.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use capture_common::Direction;
use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, PacketBuilder, TcpHeader,
    TcpOptionElement::{
        MaximumSegmentSize, SelectiveAcknowledgement, SelectiveAcknowledgementPermitted, Timestamp,
        WindowScale,
    },
};

use crate::{Analyzer, Finding, Options, Packet, Report, WiresharkClasses};

/// A packet of a capture.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) ns: u64,
    pub(crate) direction: Option<Direction>,
    pub(crate) frame: Vec<u8>,
}

/// A capture, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture {
    pub(crate) packets: Vec<Captured>,
}

impl Capture {
    /// Adds a packet.
    pub(crate) fn push(&mut self, ns: u64, direction: Option<Direction>, frame: Vec<u8>) {
        self.packets.push(Captured {
            ns,
            direction,
            frame,
        });
    }

    /// What the analyzer says, and what it says Wireshark says of each packet.
    pub(crate) fn analyze_each(&self) -> (Report, Vec<WiresharkClasses>) {
        let mut analyzer = Analyzer::new(Options {
            wireshark_classes: true,
            ..Options::default()
        });
        let mut classes = Vec::new();
        for (index, packet) in self.packets.iter().enumerate() {
            analyzer.packet(&Packet {
                number: index as u64 + 1,
                timestamp_ns: packet.ns,
                interface: 0,
                direction: packet.direction,
                original_len: packet.frame.len() as u32,
                lost_before: 0,
                data: &packet.frame,
            });
            classes.push(analyzer.wireshark_classes());
        }
        (analyzer.finish(), classes)
    }

    /// What the analyzer says.
    pub(crate) fn analyze(&self) -> Report {
        self.analyze_each().0
    }

    /// Writes a pcap file with nanoseconds, Ethernet (draft-ietf-opsawg-pcap).
    pub(crate) fn write(&self) -> TemporaryFile {
        let mut file = Vec::new();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        for packet in &self.packets {
            let len = packet.frame.len() as u32;
            let stamp = [packet.ns / 1_000_000_000, packet.ns % 1_000_000_000];
            for word in [stamp[0] as u32, stamp[1] as u32, len, len] {
                file.extend_from_slice(&word.to_le_bytes());
            }
            file.extend_from_slice(&packet.frame);
        }
        TemporaryFile::new(&file)
    }

    /// Fields of tshark of the packets that pass a filter, a row each; `None` where it is not installed.
    pub(crate) fn tshark(&self, filter: &str, fields: &[&str]) -> Option<Vec<Vec<String>>> {
        let file = self.write();
        let mut command = Command::new("tshark");
        command
            .args(["-n", "-T", "fields", "-Y", filter, "-r"])
            .arg(&file.0);
        for field in fields {
            command.args(["-e", field]);
        }
        let Ok(done) = command.output() else {
            eprintln!("skipped: tshark is not installed");
            return None;
        };
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "tshark -Y '{filter}': {error}");
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        Some(
            text.lines()
                .map(|line| line.split('\t').map(str::to_owned).collect())
                .collect(),
        )
    }

    /// Checks that the filter of a finding shows all packets that it cites.
    pub(crate) fn check(&self, finding: &Finding) {
        assert!(!finding.check.is_empty(), "{} has a filter", finding.code);
        let Some(shown) = self.tshark(&finding.check, &["frame.number"]) else {
            return;
        };
        for number in finding.packets.packets() {
            let text = number.to_string();
            let is_shown = shown.iter().any(|row| row.first() == Some(&text));
            assert!(
                is_shown,
                "{}: packet {number} is not shown by {}",
                finding.code, finding.check
            );
        }
    }
}

/// A file that goes with its name.
#[derive(Debug)]
pub(crate) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("capture-analysis-{}-{number}.pcap", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("a temporary file is written");
        Self(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A TCP packet over IPv4, field by field.
#[derive(Clone, Debug)]
pub(crate) struct TcpPacket {
    pub(crate) from: (Ipv4Addr, u16),
    pub(crate) to: (Ipv4Addr, u16),
    pub(crate) seq: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) window: u16,
    pub(crate) len: usize,
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<u8>,
    pub(crate) timestamps: Option<(u32, u32)>,
    pub(crate) sack_permitted: bool,
    pub(crate) sack: Option<(u32, u32)>,
    pub(crate) id: u16,
    pub(crate) ttl: u8,
}

impl TcpPacket {
    /// An empty one.
    pub(crate) fn new(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Self {
        Self {
            from,
            to,
            seq: 0,
            ack: None,
            syn: false,
            fin: false,
            rst: false,
            window: 500,
            len: 0,
            mss: None,
            scale: None,
            timestamps: None,
            sack_permitted: false,
            sack: None,
            id: 0,
            ttl: 64,
        }
    }

    /// As an Ethernet frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut tcp = TcpHeader::new(self.from.1, self.to.1, self.seq, self.window);
        (tcp.syn, tcp.fin, tcp.rst) = (self.syn, self.fin, self.rst);
        tcp.ack = self.ack.is_some();
        tcp.acknowledgment_number = self.ack.unwrap_or(0);
        let options: Vec<_> = [
            self.mss.map(MaximumSegmentSize),
            self.sack_permitted
                .then_some(SelectiveAcknowledgementPermitted),
            self.timestamps.map(|(value, echo)| Timestamp(value, echo)),
            self.scale.map(WindowScale),
            self.sack
                .map(|block| SelectiveAcknowledgement(block, [None; 3])),
        ]
        .into_iter()
        .flatten()
        .collect();
        tcp.set_options(&options).expect("the options fit");
        ethernet(
            self.from.0,
            self.to.0,
            IpNumber::TCP,
            self.id,
            self.ttl,
            |builder| {
                let mut frame = Vec::new();
                let payload = vec![b'x'; self.len];
                builder
                    .tcp_header(tcp)
                    .write(&mut frame, &payload)
                    .expect("a frame");
                frame
            },
        )
    }
}

type Builder = etherparse::PacketBuilderStep<IpHeaders>;

/// A frame of Ethernet and IPv4.
pub(crate) fn ethernet(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: IpNumber,
    id: u16,
    ttl: u8,
    finish: impl FnOnce(Builder) -> Vec<u8>,
) -> Vec<u8> {
    let mut ip = Ipv4Header::new(0, ttl, protocol, from.octets(), to.octets()).expect("a header");
    ip.identification = id;
    ip.dont_fragment = true;
    ip.fragment_offset = IpFragOffset::ZERO;
    let (source, destination) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    finish(
        PacketBuilder::ethernet2(source, destination).ip(IpHeaders::Ipv4(ip, Default::default())),
    )
}
