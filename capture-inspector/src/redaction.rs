//! A copy of capture files, as one pcapng, without what another must not see. It is made piece by piece, as somebody takes
//! the pieces; no more than one is in memory.

use std::{borrow::Cow, fmt, io};

use capture_file::{
    CopiedPacket, CopyEncoder,
    read::{Interface, Item, Packet, Section, Statistics},
};
use capture_packet::redact::{KEY_LEN, Pseudonyms, Redactor};
use serde::{Deserialize, Serialize};

use crate::input::{AnyReader, Input};

/// Bytes of a piece, but for the packet that is the last of it.
const PIECE_BYTES: usize = 256 * 1024;

/// Most interfaces of a copy. A file with more of them is damaged.
const MOST_INTERFACES: usize = 65_536;

/// What is left out of a copy. Names of the machine, comments, and keys for decryption always are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Redaction {
    /// Nothing else.
    None,
    /// What is behind the headers.
    Payload,
    /// What is behind the headers, and addresses: pseudonyms of this key take their place. Names of interfaces and capture
    /// filters, which may hold addresses, go too.
    Addresses(PseudonymKey),
}

/// The key of pseudonyms. It does not show in debug output.
#[derive(Clone, Deserialize, Serialize)]
pub struct PseudonymKey(pub [u8; KEY_LEN]);

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey")
    }
}

/// A copy in the making.
pub(crate) struct RedactedCopy {
    inputs: std::vec::IntoIter<Input>,
    /// The file that is read, and the numbers that its interfaces have in the copy.
    reading: Option<(AnyReader, Vec<u32>)>,
    encoder: CopyEncoder,
    redactor: Option<Redactor>,
    is_anonymous: bool,
    interfaces: Vec<Interface>,
    last_ns: u64,
    packets: u64,
    damage: Option<String>,
    frame: Vec<u8>,
}

impl RedactedCopy {
    /// Of these files, one behind the other.
    pub(crate) fn new(inputs: Vec<Input>, redaction: Redaction) -> io::Result<Self> {
        let section = Section {
            application: Some(concat!("capture-agent ", env!("CARGO_PKG_VERSION")).to_owned()),
            ..Section::default()
        };
        let (redactor, comment) = match &redaction {
            Redaction::None => (None, ""),
            Redaction::Payload => (Some(Redactor::stripping()), "payload left out"),
            Redaction::Addresses(PseudonymKey(key)) => (
                Some(Redactor::anonymising(Pseudonyms::new(key))),
                "payload left out, addresses are pseudonyms",
            ),
        };
        Ok(Self {
            inputs: inputs.into_iter(),
            reading: None,
            encoder: CopyEncoder::new(&section, comment).map_err(io::Error::other)?,
            redactor,
            is_anonymous: matches!(redaction, Redaction::Addresses(_)),
            interfaces: Vec::new(),
            last_ns: 0,
            packets: 0,
            damage: None,
            frame: Vec::new(),
        })
    }

    /// The next piece; an empty one is the end. A damaged file is copied up to the damage.
    ///
    /// # Errors
    /// What is wrong with the first file that cannot be read, where no packet of any could be.
    pub(crate) fn next(&mut self) -> Result<Vec<u8>, String> {
        while self.encoder.len() < PIECE_BYTES && self.open() {
            let Some((mut reader, mut numbers)) = self.reading.take() else {
                break;
            };
            if self.some_of(&mut reader, &mut numbers) {
                self.reading = Some((reader, numbers));
            }
        }
        match self
            .damage
            .take_if(|_| self.packets == 0 && self.reading.is_none())
        {
            Some(damage) => Err(damage),
            None => Ok(self.encoder.take()),
        }
    }

    /// Whether there is a file to read.
    fn open(&mut self) -> bool {
        while self.reading.is_none() {
            let Some(mut input) = self.inputs.next() else {
                return false;
            };
            match input.reader() {
                Ok(reader) => self.reading = Some((reader, Vec::new())),
                Err(error) => self.damaged(&error),
            }
        }
        true
    }

    fn damaged(&mut self, error: &dyn fmt::Display) {
        self.damage.get_or_insert_with(|| error.to_string());
    }

    /// Copies until a piece is full; false at the end of the file.
    fn some_of(&mut self, reader: &mut AnyReader, numbers: &mut Vec<u32>) -> bool {
        while self.encoder.len() < PIECE_BYTES {
            let copied = match reader.next() {
                Ok(Some(Item::Packet(packet))) => self.packet(&packet, numbers),
                Ok(Some(Item::Interface(interface))) => self.interface(*interface, numbers),
                Ok(Some(Item::Statistics(statistics))) => self.statistics(*statistics, numbers),
                Ok(Some(_)) => Ok(()),
                Ok(None) => return false,
                Err(error) => {
                    self.damaged(&error);
                    return false;
                }
            };
            if let Err(error) = copied {
                self.damaged(&error);
                return false;
            }
        }
        true
    }

    /// An interface, which is the same as one of an earlier file where all that is said of it is.
    fn interface(&mut self, interface: Interface, numbers: &mut Vec<u32>) -> io::Result<()> {
        let mut copied = Interface {
            id: 0,
            description: None,
            comment: None,
            ..interface
        };
        if self.is_anonymous {
            // Told apart by their order in the file.
            copied.name = Some(format!("if{}", numbers.len()));
            copied.filter = None;
        }
        let known = self.interfaces.iter().position(|known| *known == copied);
        let is_taken = |at: usize| numbers.contains(&(at as u32));
        let number = match known.filter(|at| !is_taken(*at)) {
            Some(at) => at,
            None if self.interfaces.len() >= MOST_INTERFACES => {
                return Err(io::Error::other("too many interfaces"));
            }
            None => {
                self.encoder.interface(&copied).map_err(io::Error::other)?;
                self.interfaces.push(copied);
                self.interfaces.len() - 1
            }
        };
        numbers.push(number as u32);
        Ok(())
    }

    fn packet(&mut self, packet: &Packet<'_>, numbers: &[u32]) -> io::Result<()> {
        let (interface, link_type) = self.of(packet.interface, numbers)?;
        self.last_ns = packet.timestamp_ns.unwrap_or(self.last_ns);
        self.packets += 1;
        let original_len = packet.original_len.max(packet.data.len() as u32);
        let data = match &mut self.redactor {
            None => packet.data,
            Some(redactor) => {
                redactor.redact(link_type, packet.data, original_len, &mut self.frame);
                &self.frame
            }
        };
        let copied = CopiedPacket {
            interface,
            timestamp_ns: self.last_ns,
            direction: packet.direction,
            original_len,
            lost_before: packet.lost_before,
            data,
        };
        let comments = std::iter::empty::<Cow<'_, str>>();
        let written = self.encoder.packet(&copied, comments);
        written.map_err(io::Error::other)
    }

    fn statistics(&mut self, statistics: Statistics, numbers: &[u32]) -> io::Result<()> {
        let (interface, _) = self.of(statistics.interface, numbers)?;
        let copied = Statistics {
            interface,
            ..statistics
        };
        self.encoder.statistics(&copied).map_err(io::Error::other)
    }

    /// The number of an interface in the copy, and how its packets begin.
    fn of(&self, interface: u32, numbers: &[u32]) -> io::Result<(u32, u16)> {
        let number = numbers.get(interface as usize).copied();
        let known = number.and_then(|number| Some((number, self.interfaces.get(number as usize)?)));
        let (number, interface) = known.ok_or_else(|| io::Error::other("no such interface"))?;
        Ok((number, interface.link_type))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use capture_file::read::Reader;
    use capture_packet::testing::{START, icmp, ip, tshark, udp, udp_frame};

    use super::*;
    use crate::testing::{Pcapng, on_disk};

    const KEY: PseudonymKey = PseudonymKey([3; KEY_LEN]);

    fn copy(inputs: Vec<Input>, redaction: Redaction) -> Result<Vec<u8>, String> {
        let mut copy = RedactedCopy::new(inputs, redaction).expect("it begins");
        let mut whole = Vec::new();
        loop {
            let piece = copy.next()?;
            assert!(piece.len() < PIECE_BYTES + 70_000, "{}", piece.len());
            if piece.is_empty() {
                return Ok(whole);
            }
            whole.extend(piece);
        }
    }

    fn frame(n: u8) -> Vec<u8> {
        udp_frame(
            ("198.51.100.77", 5000 + u16::from(n)),
            ("10.83.97.211", 53),
            b"a secret",
        )
    }

    fn files() -> Vec<Input> {
        let first = Pcapng::new("198.51.100.77's task", "of-alice")
            .packet(0, &frame(0))
            .packet(9, &frame(1));
        let second = Pcapng::new("198.51.100.77's task", "of-alice")
            .packet(20, &frame(2))
            .lost(4);
        vec![first.file("a"), second.file("b")]
    }

    fn found(whole: &[u8], text: &[u8]) -> bool {
        whole.windows(text.len()).any(|part| part == text)
    }

    #[test]
    fn files_become_one_without_what_was_to_go() {
        for (redaction, has_payload, has_addresses) in [
            (Redaction::None, true, true),
            (Redaction::Payload, false, true),
            (Redaction::Addresses(KEY), false, false),
        ] {
            let whole = copy(files(), redaction).expect("a copy");
            assert_eq!(found(&whole, b"a secret"), has_payload);
            assert_eq!(found(&whole, &[198, 51, 100, 77]), has_addresses);
            assert_eq!(found(&whole, b"of-alice"), has_addresses);
            assert!(!found(&whole, b"198.51.100.77"), "the comment");
            let mut reader = Reader::new(&whole[..]);
            let (mut times, mut interfaces, mut lost) = (Vec::new(), 0, None);
            while let Some(item) = reader.next().expect("it is whole") {
                match item {
                    Item::Packet(packet) => {
                        assert_eq!(packet.original_len as usize, frame(0).len());
                        times.push(packet.timestamp_ns.expect("a time") - START);
                    }
                    Item::Interface(_) => interfaces += 1,
                    Item::Statistics(statistics) => lost = statistics.system_dropped,
                    _ => {}
                }
            }
            assert_eq!((times, interfaces, lost), (vec![0, 9, 20], 1, Some(4)));
        }
    }

    #[test]
    fn a_damaged_file_is_copied_up_to_the_damage() {
        let mut bytes = Pcapng::new("t", "i").packet(0, &frame(0)).bytes();
        let whole = bytes.len();
        bytes.extend(&Pcapng::new("t", "i").packet(1, &frame(1)).bytes()[..20]);
        let copied = copy(vec![on_disk("a", &bytes)], Redaction::Addresses(KEY)).expect("a copy");
        let as_whole = copy(
            vec![on_disk("a", &bytes[..whole])],
            Redaction::Addresses(KEY),
        );
        assert_eq!(copied, as_whole.expect("a copy"));
        let none = copy(vec![on_disk("a", b"no capture")], Redaction::Payload);
        assert!(!none.expect_err("no packets").is_empty());
    }

    #[test]
    fn a_long_capture_comes_in_pieces() {
        let mut pcapng = Pcapng::new("t", "i");
        for n in 0..20_000 {
            pcapng = pcapng.packet(n, &frame(0));
        }
        let whole = copy(vec![pcapng.file("a")], Redaction::Payload).expect("a copy");
        assert!(whole.len() > 3 * PIECE_BYTES);
        let mut reader = Reader::new(&whole[..]);
        while reader.next().expect("it is whole").is_some() {}
        assert_eq!(reader.packets(), 20_000);
    }

    /// tshark reads a copy as it does the original: the same protocols and lengths, and nothing malformed.
    #[test]
    fn tshark_reads_the_copy() {
        if tshark(1, &[], &["-c", "1"]).is_none() {
            return;
        }
        let inner = ip(
            "10.83.97.211",
            "198.51.100.77",
            17,
            &udp(5, 6, b"a secret of 30 bytes, or so it seems"),
        );
        let error = ip("203.0.113.201", "10.83.97.211", 1, &icmp(3, 3, 0, &inner));
        let ping = ip(
            "203.0.113.201",
            "10.83.97.211",
            1,
            &icmp(8, 0, 7, b"a secret"),
        );
        let on_wire = |packet: &[u8]| capture_packet::testing::framed(packet);
        let mut pcapng = Pcapng::new("t", "i");
        for (n, frame) in (0..).zip([frame(0), on_wire(&error), on_wire(&ping), on_wire(&inner)]) {
            pcapng = pcapng.packet(n, &frame);
        }
        let bytes = pcapng.bytes();
        let copied = copy(vec![on_disk("a", &bytes)], Redaction::Addresses(KEY)).expect("a copy");
        let says = |bytes: &[u8], fields: &[&str]| {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(bytes).expect("room");
            let mut command = std::process::Command::new("tshark");
            command.arg("-nr").arg(file.path()).args(["-T", "fields"]);
            let fields = fields.iter().flat_map(|field| ["-e", field]);
            let output = command.args(fields).output().expect("tshark");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("text")
        };
        let same = [
            "frame.len",
            "ip.proto",
            "ip.len",
            "udp.srcport",
            "icmp.type",
            "icmp.ident",
        ];
        assert_eq!(says(&copied, &same), says(&bytes, &same));
        assert_eq!(says(&copied, &["_ws.malformed"]).trim(), "");
        assert_ne!(says(&copied, &["ip.src"]), says(&bytes, &["ip.src"]));
    }
}
