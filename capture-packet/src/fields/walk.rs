//! From layer to layer, as `decode` goes.

use super::{
    field::{Field, Value},
    table::{self, Show, Spec},
};
use crate::{
    address::{Address, Mac},
    decode::{MAX_TUNNELS, be16},
};

/// Most layers of a packet. Each tunnel has a handful, and each tag is one.
pub(super) const MOST_LAYERS: usize = 48;

/// The way through a frame.
pub(super) struct Walk<'a> {
    /// The frame up to where the packets around this place end.
    pub(super) frame: &'a [u8],
    pub(super) at: usize,
    /// Where they end as their headers say, which may be beyond what was captured.
    pub(super) claimed_end: Option<usize>,
    tunnels: u8,
    pub(super) layers: Vec<Field>,
}

/// Bytes as a number in network byte order; of more than eight the last ones.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Spec {
    /// The field in a frame whose header begins at `header`; `None` where the capture ends before.
    fn read(&self, frame: &[u8], header: usize) -> Option<Field> {
        let at = header + self.at;
        let bytes = frame.get(at..at + self.len)?;
        let raw = match self.is_little {
            true => bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
            false => number(bytes),
        };
        let number = match self.mask {
            0 => raw,
            mask => (raw & mask) >> mask.trailing_zeros(),
        };
        let value = match self.show {
            Show::Number => Value::Number(number),
            Show::Times(unit) => Value::Number(number * unit),
            Show::Hex => Value::Hex(number, self.len * 2),
            Show::Flag => Value::Flag(number != 0),
            Show::V4 => Value::Address(Address::v4(*bytes.first_chunk()?)),
            Show::V6 => Value::Address(Address::v6(*bytes.first_chunk()?)),
            Show::Mac => Value::Mac(Mac(*bytes.first_chunk()?)),
        };
        let fields = self.fields.iter();
        Some(Field {
            name: self.name,
            value,
            offset: at as u32,
            len: self.len as u32,
            fields: fields.filter_map(|spec| spec.read(frame, header)).collect(),
        })
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(frame: &'a [u8]) -> Self {
        Self {
            frame,
            at: 0,
            claimed_end: None,
            tunnels: 0,
            layers: Vec::new(),
        }
    }

    /// What lies ahead.
    pub(super) fn rest(&self) -> (usize, &'a [u8]) {
        (self.at, &self.frame[self.at..])
    }

    /// The bytes of a header of this length, where they are all there.
    pub(super) fn header(&self, len: usize) -> Option<&'a [u8]> {
        self.frame.get(self.at..self.at + len)
    }

    /// Adds a layer, of which not all may have been captured, and goes on behind it.
    pub(super) fn layer(
        &mut self,
        name: &'static str,
        title: &'static str,
        len: usize,
        specs: &[Spec],
    ) {
        let len = len.min(self.frame.len() - self.at);
        let end = &self.frame[..self.at + len];
        let fields = specs.iter().filter_map(|spec| spec.read(end, self.at));
        let field = Field {
            name,
            value: Value::Title(title),
            offset: self.at as u32,
            len: len as u32,
            fields: fields.collect(),
        };
        self.layers.push(field);
        self.at += len;
    }

    /// Adds a field to the layer that was added last, `offset` from the start of the frame.
    pub(super) fn add(&mut self, name: &'static str, value: Value, offset: usize, len: usize) {
        if let Some(layer) = self.layers.last_mut() {
            layer.fields.push(Field {
                name,
                value,
                offset: offset as u32,
                len: len as u32,
                fields: Vec::new(),
            });
        }
    }

    /// Forgets what lies behind `len` bytes from here.
    pub(super) fn truncate(&mut self, len: usize) {
        let claimed = self.at.saturating_add(len);
        self.claimed_end = Some(self.claimed_end.map_or(claimed, |end| end.min(claimed)));
        self.frame = &self.frame[..claimed.min(self.frame.len())];
    }

    /// Bytes ahead, those included that were not captured.
    pub(super) fn claimed_len(&self) -> usize {
        self.claimed_end
            .unwrap_or(self.frame.len())
            .saturating_sub(self.at)
    }

    pub(super) fn link(&mut self, link_type: u16) {
        match link_type {
            1 => self.ethernet(),
            101 | 12 | 14 | 228 | 229 => self.ip(),
            113 => {
                let kind = self.header(16).map(|header| be16(header, 14));
                self.layer("sll", "Linux cooked capture v1", 16, table::SLL);
                self.by_ether_type(kind);
            }
            0 | 108 => {
                // Of the family before IP there are several numbers for IPv6; the version of IP says enough.
                self.layer("null", "Null/Loopback", 4, &[]);
                self.ip();
            }
            9 => self.ppp(),
            276 => {
                let kind = self.header(20).map(|header| be16(header, 0));
                self.layer("sll", "Linux cooked capture v2", 20, table::SLL2);
                self.by_ether_type(kind);
            }
            _ => self.data(),
        }
    }

    pub(super) fn data(&mut self) {
        let len = self.frame.len() - self.at;
        if len > 0 {
            self.layer("data", "Data", len, &[]);
            self.add("data.data", Value::Bytes, self.at - len, len);
        }
    }

    pub(super) fn ethernet(&mut self) {
        let kind = self.header(14).map(|header| be16(header, 12));
        match kind {
            Some(len @ 0..=1500) => {
                self.layer("eth", "IEEE 802.3 Ethernet", 14, &table::ETHERNET[..2]);
                self.add("eth.len", Value::Number(len.into()), self.at - 2, 2);
                self.truncate(len.into());
                let snap = self
                    .header(8)
                    .filter(|header| header[..3] == [0xaa, 0xaa, 3]);
                if let Some(header) = snap {
                    self.layer("llc", "Logical-Link Control", 8, table::LLC);
                    return self.by_ether_type(Some(be16(header, 6)));
                }
                self.data();
            }
            kind => {
                self.layer("eth", "Ethernet II", 14, table::ETHERNET);
                self.by_ether_type(kind);
            }
        }
    }

    fn by_ether_type(&mut self, kind: Option<u16>) {
        if self.layers.len() >= MOST_LAYERS {
            return self.data();
        }
        let next = |walk: &Self| walk.header(4).map(|tag| be16(tag, 2));
        match kind {
            Some(0x8100 | 0x9100 | 0x9200) => {
                let next = next(self);
                self.layer("vlan", "802.1Q Virtual LAN", 4, table::VLAN);
                self.by_ether_type(next);
            }
            Some(0x88a8) => {
                let next = next(self);
                self.layer("ieee8021ad", "IEEE 802.1ad", 4, table::SERVICE_VLAN);
                self.by_ether_type(next);
            }
            Some(0x0800 | 0x86dd) => self.ip(),
            Some(0x0806) => self.layer("arp", "Address Resolution Protocol", 28, table::ARP),
            Some(0x8847 | 0x8848) => self.mpls(),
            Some(0x8864) => self.pppoe(),
            _ => self.data(),
        }
    }

    fn mpls(&mut self) {
        while self.layers.len() < MOST_LAYERS {
            let Some(label) = self.header(4) else { break };
            self.layer(
                "mpls",
                "MultiProtocol Label Switching Header",
                4,
                table::MPLS,
            );
            if label[2] & 1 != 0 {
                return match self.frame.get(self.at).map(|first| first >> 4) {
                    Some(4 | 6) => self.ip(),
                    // RFC 4385: Ethernet behind a control word.
                    Some(0) => {
                        self.layer("pwethcw", "PW Ethernet Control Word", 4, &[]);
                        self.ethernet();
                    }
                    _ => self.data(),
                };
            }
        }
        self.data();
    }

    fn pppoe(&mut self) {
        let len = self.header(6).map(|header| be16(header, 4));
        self.layer("pppoes", "PPP-over-Ethernet Session", 6, table::PPPOE);
        self.truncate(len.unwrap_or(0).into());
        self.ppp();
    }

    /// RFC 1661; address and control (RFC 1662) may be left out, and of a small protocol number the first byte.
    fn ppp(&mut self) {
        let bytes = self.rest().1;
        let start = match bytes {
            [0xff, 0x03, ..] => 2,
            _ => 0,
        };
        let (protocol, len) = match bytes.get(start..) {
            Some([odd, ..]) if odd & 1 == 1 => (Some(u16::from(*odd)), 1),
            Some([first, second, ..]) => (Some(u16::from_be_bytes([*first, *second])), 2),
            _ => (None, 2),
        };
        self.layer("ppp", "Point-to-Point Protocol", start + len, &[]);
        if let Some(protocol) = protocol {
            let value = Value::Hex(protocol.into(), 4);
            self.add("ppp.protocol", value, self.at - len, len);
        }
        match protocol {
            Some(0x0021 | 0x0057) => self.ip(),
            Some(0x0281) => self.mpls(),
            _ => self.data(),
        }
    }

    pub(super) fn ip(&mut self) {
        match self.frame.get(self.at).map(|first| first >> 4) {
            Some(4) => self.ipv4(),
            Some(6) => self.ipv6(),
            _ => self.data(),
        }
    }

    fn ipv4(&mut self) {
        let title = "Internet Protocol Version 4";
        let Some(header) = self.header(20) else {
            return self.layer("ip", title, 20, table::IPV4);
        };
        let header_len = usize::from(header[0] & 15) * 4;
        if let len @ 20.. = usize::from(be16(header, 2)) {
            self.truncate(len);
        }
        self.layer("ip", title, header_len.max(20), table::IPV4);
        match be16(header, 6) & 0x1fff {
            0 => self.transport(header[9], false),
            _ => self.data(),
        }
    }

    fn ipv6(&mut self) {
        let title = "Internet Protocol Version 6";
        let Some(header) = self.header(40) else {
            return self.layer("ipv6", title, 40, table::IPV6);
        };
        if let len @ 1.. = usize::from(be16(header, 4)) {
            self.truncate(40 + len);
        }
        self.layer("ipv6", title, 40, table::IPV6);
        let mut next = header[6];
        while let (0 | 43 | 44 | 60, Some(header)) = (next, self.header(8)) {
            if self.layers.len() >= MOST_LAYERS {
                return self.data();
            }
            let (name, title, specs) = match next {
                0 => ("ipv6.hopopts", "IPv6 Hop-by-Hop Option", table::HOP_BY_HOP),
                43 => ("ipv6.routing", "Routing Header for IPv6", table::ROUTING),
                44 => ("ipv6.fraghdr", "Fragment Header for IPv6", table::FRAGMENT),
                _ => (
                    "ipv6.dstopts",
                    "Destination Options for IPv6",
                    table::DESTINATION,
                ),
            };
            let len = if next == 44 {
                8
            } else {
                (usize::from(header[1]) + 1) * 8
            };
            self.layer(name, title, len, specs);
            if next == 44 && be16(header, 2) & 0xfff8 != 0 {
                return self.data();
            }
            next = header[0];
        }
        self.transport(next, true);
    }

    pub(super) fn tunnel(&mut self, inner: impl FnOnce(&mut Self)) {
        if self.tunnels >= MAX_TUNNELS {
            return self.data();
        }
        self.tunnels += 1;
        inner(self);
    }
}
