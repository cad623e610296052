//! Link layers, ARP, and what lies between them and IP.

use super::rewriter::{Next, Rewriter};
use crate::decode::{be16, be32, ether_type, link_type};

/// Most tags, and most MPLS labels, that are followed.
const MAX_TAGS: usize = 8;

/// Below the lowest EtherType this is the length of an IEEE 802.3 frame.
const MAX_802_3_LEN: u16 = 1500;

/// The layer that a frame begins with.
pub(super) fn first(kind: u16, frame: &mut Rewriter<'_>) -> Next {
    match kind {
        link_type::ETHERNET => Next::Ethernet,
        link_type::RAW | link_type::IPV4 | link_type::IPV6 => Next::Ip,
        raw if link_type::DLT_RAW.contains(&raw) => Next::Ip,
        link_type::LINUX_SLL => {
            let Some(header) = frame.peek::<16>() else {
                return Next::End;
            };
            let len = be16(header, 4);
            frame.cooked(16, 6, len);
            Next::EtherType(be16(header, 14))
        }
        link_type::LINUX_SLL2 => {
            let Some(header) = frame.peek::<20>() else {
                return Next::End;
            };
            let len = u16::from(header[11]);
            frame.cooked(20, 12, len);
            Next::EtherType(be16(header, 0))
        }
        link_type::NULL | link_type::LOOP => frame.take(4).map_or(Next::End, |_| Next::Ip),
        link_type::PPP => {
            if frame.peek::<2>() == Some(&[0xff, 0x03]) {
                frame.take(2);
            }
            frame.ppp()
        }
        _ => Next::End,
    }
}

fn is_vlan(kind: u16) -> bool {
    matches!(kind, ether_type::VLAN | ether_type::SERVICE_VLAN)
        || ether_type::OLD_SERVICE_VLAN.contains(&kind)
}

impl Rewriter<'_> {
    /// The header of a cooked capture, with an address of up to eight bytes of which `len` are used.
    fn cooked(&mut self, header_len: usize, address: usize, len: u16) {
        let at = self.at();
        self.take(header_len);
        if !self.is_anonymising() {
            return;
        }
        // Of other lengths are addresses of IP tunnels, of InfiniBand, of IEEE 1394.
        let known = if len == 6 { 6 } else { 0 };
        self.out[at + address + known..at + address + 8].fill(0);
        if known > 0 {
            self.mac(at + address);
        }
    }

    pub(super) fn ethernet(&mut self) -> Next {
        let (Some(header), at) = (self.peek::<14>(), self.at()) else {
            return Next::End;
        };
        self.take(14);
        self.mac(at);
        self.mac(at + 6);
        Next::EtherType(be16(header, 12))
    }

    pub(super) fn by_ether_type(&mut self, mut kind: u16) -> Next {
        for _ in 0..MAX_TAGS {
            if !is_vlan(kind) {
                break;
            }
            let Some(tag) = self.peek::<4>() else {
                return Next::End;
            };
            self.take(4);
            kind = be16(tag, 2);
        }
        match kind {
            ether_type::IPV4 => Next::Ipv4,
            ether_type::IPV6 => Next::Ipv6,
            ether_type::ARP => self.arp(),
            ether_type::MPLS | ether_type::MPLS_MULTICAST => self.mpls(),
            ether_type::PPPOE_SESSION => self.pppoe(),
            len if len <= MAX_802_3_LEN => self.snap(len),
            _ => Next::End,
        }
    }

    /// LLC with SNAP (RFC 1042). Other LLC is not understood.
    fn snap(&mut self, len: u16) -> Next {
        self.end = self.end.min(self.at() + usize::from(len));
        let Some([0xaa, 0xaa, 0x03, 0, 0, 0, high, low]) = self.peek::<8>() else {
            return Next::End;
        };
        let kind = u16::from_be_bytes([*high, *low]);
        if kind <= MAX_802_3_LEN {
            return Next::End;
        }
        self.take(8);
        Next::EtherType(kind)
    }

    fn mpls(&mut self) -> Next {
        for _ in 0..MAX_TAGS {
            let Some(label) = self.peek::<4>() else {
                return Next::End;
            };
            self.take(4);
            if label[2] & 1 == 0 {
                continue;
            }
            return match self.rest().first().map(|first| first >> 4) {
                Some(4 | 6) => Next::Ip,
                // A control word (RFC 4385).
                Some(0) => self.take(4).map_or(Next::End, |_| Next::Ethernet),
                _ => Next::End,
            };
        }
        Next::End
    }

    fn pppoe(&mut self) -> Next {
        let Some(header) = self.peek::<6>() else {
            return Next::End;
        };
        self.take(6);
        self.end = self.end.min(self.at() + usize::from(be16(header, 4)));
        self.ppp()
    }

    fn ppp(&mut self) -> Next {
        let protocol = match *self.rest() {
            [odd, ..] if odd & 1 == 1 => {
                self.take(1);
                u16::from(odd)
            }
            [first, second, ..] => {
                self.take(2);
                u16::from_be_bytes([first, second])
            }
            _ => return Next::End,
        };
        match protocol {
            0x0021 => Next::Ipv4,
            0x0057 => Next::Ipv6,
            0x0281 => self.mpls(),
            _ => Next::End,
        }
    }

    /// IPv4 over Ethernet (RFC 826), and nothing else.
    fn arp(&mut self) -> Next {
        let at = self.at();
        let is_known = self
            .peek::<28>()
            .is_some_and(|message| be32(message, 0) == 0x0001_0800 && be16(message, 4) == 0x0604);
        if is_known {
            self.take(28);
            for mac in [8, 18] {
                self.mac(at + mac);
                self.v4(at + mac + 6);
            }
        }
        Next::End
    }
}
