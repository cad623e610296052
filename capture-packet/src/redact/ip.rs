//! IPv4, IPv6 with its extension headers, and tunnels directly within IP.

use super::{
    checksum::{Covered, sum},
    rewriter::{Carried, Next, Rewriter},
};
use crate::decode::{be16, ether_type, protocol};

/// Most extension headers that are followed.
const MAX_EXTENSIONS: usize = 16;

/// What an IP packet carries while its headers are read.
#[derive(Clone, Copy)]
struct Packet {
    is_v6: bool,
    protocol: u8,
    /// Whether it is a part of a packet, and whether it is a part behind the first.
    is_fragment: bool,
    is_later_fragment: bool,
    /// Where the addresses of the pseudo-header stand: with a routing header the destination is the last one.
    source: usize,
    destination: usize,
}

impl Rewriter<'_> {
    pub(super) fn ip(&mut self) -> Next {
        match self.rest().first().map(|first| first >> 4) {
            Some(4) => Next::Ipv4,
            Some(6) => Next::Ipv6,
            _ => Next::End,
        }
    }

    pub(super) fn ipv4(&mut self) -> Next {
        let Some(header) = self.peek::<20>() else {
            return Next::End;
        };
        let len = usize::from(header[0] & 0x0f) * 4;
        let at = self.at();
        if header[0] >> 4 != 4 || len < 20 || self.take(len).is_none() {
            return Next::End;
        }
        let on_wire = self.end.saturating_sub(at);
        let total = match be16(header, 2) {
            0 => on_wire,
            claimed => usize::from(claimed).clamp(len, on_wire.max(len)),
        };
        self.end = at + total;
        self.checksum(Covered {
            field: at + 10,
            start: at,
            len,
            before: 0,
            after: 0,
            is_optional: false,
        });
        self.v4(at + 12);
        self.v4(at + 16);
        self.ipv4_options(at + 20..at + len);
        let flags = be16(header, 6);
        self.carried(Packet {
            is_v6: false,
            protocol: header[9],
            is_fragment: flags & 0x3fff != 0,
            is_later_fragment: flags & 0x1fff != 0,
            source: at + 12,
            destination: at + 16,
        })
    }

    pub(super) fn ipv6(&mut self) -> Next {
        let at = self.at();
        let Some(header) = self.peek::<40>().filter(|header| header[0] >> 4 == 6) else {
            return Next::End;
        };
        self.take(40);
        let on_wire = self.end.saturating_sub(at);
        let total = match be16(header, 4) {
            0 if header[6] != protocol::NO_NEXT => on_wire,
            claimed => (40 + usize::from(claimed)).min(on_wire.max(40)),
        };
        self.end = at + total;
        self.v6(at + 8);
        self.v6(at + 24);
        self.carried(Packet {
            is_v6: true,
            protocol: header[6],
            is_fragment: false,
            is_later_fragment: false,
            source: at + 8,
            destination: at + 24,
        })
    }

    /// Follows extension headers up to what is carried.
    fn carried(&mut self, mut packet: Packet) -> Next {
        for _ in 0..MAX_EXTENSIONS {
            if packet.is_later_fragment {
                return Next::End;
            }
            match self.extension(&mut packet) {
                Some(true) => {}
                Some(false) => return self.inner(&packet),
                None => return Next::End,
            }
        }
        Next::End
    }

    /// Takes one extension header over. False where it is none, `None` where it is not understood.
    fn extension(&mut self, packet: &mut Packet) -> Option<bool> {
        use protocol::{AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};
        // The one that IPv4 has too (RFC 4302).
        let is_one = packet.protocol == AUTHENTICATION
            || packet.is_v6
                && matches!(
                    packet.protocol,
                    HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION
                );
        if !is_one {
            return Some(false);
        }
        let at = self.at();
        let header = self.peek::<8>()?;
        match packet.protocol {
            FRAGMENT => {
                self.take(8)?;
                let position = be16(header, 2);
                packet.is_fragment |= position & 0xfff9 != 0;
                packet.is_later_fragment = position & 0xfff8 != 0;
            }
            AUTHENTICATION => {
                // Its value is a digest of what was there before.
                let len = (usize::from(header[1]) + 2) * 4;
                self.take(12)?;
                self.take_unknown(len.checked_sub(12)?)?;
            }
            ROUTING => {
                let len = (usize::from(header[1]) + 1) * 8;
                if let Some(last) = self.routing(header, len)? {
                    packet.destination = last;
                }
            }
            _ => {
                let taken = self.take((usize::from(header[1]) + 1) * 8)?;
                if let Some(home) = self.ipv6_options(at + 2..taken.end) {
                    packet.source = home;
                }
            }
        }
        packet.protocol = header[0];
        Some(true)
    }

    /// A routing header of a type whose addresses are known. Gives where the last destination stands, where the packet is
    /// on its way to another one.
    fn routing(&mut self, header: &[u8; 8], len: usize) -> Option<Option<usize>> {
        let at = self.at();
        let room = (len - 8) / 16;
        let (addresses, last) = match header[2] {
            // RFC 2460 section 4.4, deprecated; RFC 6275 section 6.4.
            0 | 2 => (room, room.checked_sub(1)?),
            // Segments in reverse order (RFC 8754 section 2), then options.
            4 => ((usize::from(header[4]) + 1).min(room), 0),
            _ => return None,
        };
        self.take(8 + addresses * 16)?;
        for index in 0..addresses {
            self.v6(at + 8 + index * 16);
        }
        self.take_unknown(len - 8 - addresses * 16)?;
        let is_on_the_way = header[3] > 0 && last < addresses;
        Some(is_on_the_way.then_some(at + 8 + last * 16))
    }

    /// What the packet carries behind its headers.
    fn inner(&mut self, packet: &Packet) -> Next {
        let at = self.at();
        let len = self.end.saturating_sub(at);
        let address_len = if packet.is_v6 { 16 } else { 4 };
        let pseudo = |bytes: &[u8]| {
            let of = |at: usize| bytes.get(at..at + address_len).map_or(0, sum);
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            of(packet.source)
                + of(packet.destination)
                + sum(&len.to_be_bytes())
                + u32::from(packet.protocol)
        };
        let carried = Carried {
            is_v6: packet.is_v6,
            protocol: packet.protocol,
            is_fragment: packet.is_fragment,
            at,
            len,
            before: pseudo(self.frame),
            after: pseudo(self.out),
        };
        match packet.protocol {
            protocol::IPV4 | protocol::IPV6 => self.enter(Next::Ip),
            protocol::GRE => self.gre(),
            _ => Next::Transport(carried),
        }
    }

    /// GRE with its optional fields (RFC 2784, 2890).
    fn gre(&mut self) -> Next {
        let at = self.at();
        let Some(header) = self.peek::<4>() else {
            return Next::End;
        };
        let flags = be16(header, 0);
        if flags & 0x4007 != 0 {
            return Next::End;
        }
        let optional = [0x8000, 0x2000, 0x1000];
        let optional = optional.iter().filter(|bit| flags & **bit != 0).count();
        if self.take(4 + optional * 4).is_none() {
            return Next::End;
        }
        if flags & 0x8000 != 0 {
            self.checksum(Covered {
                field: at + 4,
                start: at,
                len: self.end.saturating_sub(at),
                before: 0,
                after: 0,
                is_optional: false,
            });
        }
        let kind = be16(header, 2);
        // Headers of ERSPAN as in `decode`.
        let (more, inner) = match kind {
            ether_type::TRANSPARENT_BRIDGING => (0, Next::Ethernet),
            ether_type::ERSPAN if flags & 0x1000 != 0 => (8, Next::Ethernet),
            ether_type::ERSPAN => (0, Next::Ethernet),
            ether_type::ERSPAN_III => {
                let has_platform = self.peek::<12>().is_some_and(|header| header[11] & 1 != 0);
                (if has_platform { 20 } else { 12 }, Next::Ethernet)
            }
            _ => (0, Next::EtherType(kind)),
        };
        match self.take(more) {
            Some(_) => self.enter(inner),
            None => Next::End,
        }
    }
}
