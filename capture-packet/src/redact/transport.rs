//! TCP, UDP, SCTP, and the tunnels within UDP.

use super::{
    checksum::Covered,
    rewriter::{Carried, Next, Rewriter},
};
use crate::decode::{be16, ether_type, protocol};

impl Rewriter<'_> {
    pub(super) fn transport(&mut self, carried: &Carried) -> Next {
        match carried.protocol {
            protocol::TCP => self.tcp(carried),
            protocol::UDP | protocol::UDP_LITE => self.udp(carried),
            protocol::ICMP if !carried.is_v6 => self.icmpv4(carried),
            protocol::ICMPV6 if carried.is_v6 => self.icmpv6(carried),
            protocol::SCTP => self.sctp(),
            _ => Next::End,
        }
    }

    fn tcp(&mut self, carried: &Carried) -> Next {
        let Some(header) = self.peek::<20>() else {
            // Routers of old quote eight bytes: ports and the sequence number.
            if self.is_quote {
                self.take(8);
            }
            return Next::End;
        };
        let len = usize::from(header[12] >> 4) * 4;
        self.checksum(carried.covered(16));
        self.take(20);
        let options = self.at();
        // All of them or none.
        if len > 20 && self.take(len - 20).is_some() {
            self.tcp_options(options..options + len - 20);
        }
        Next::End
    }

    fn udp(&mut self, carried: &Carried) -> Next {
        let Some(header) = self.peek::<8>() else {
            return Next::End;
        };
        let (destination, claimed) = (be16(header, 2), usize::from(be16(header, 4)));
        let mut covered = Covered {
            is_optional: carried.protocol == protocol::UDP,
            ..carried.covered(6)
        };
        // 0 is a jumbogram (RFC 2675). UDP-Lite has the coverage of the checksum there, 0 for all (RFC 3828).
        if claimed >= 8 && claimed <= carried.len && !carried.is_fragment {
            covered.len = claimed;
            if carried.protocol == protocol::UDP {
                self.end = carried.at + claimed;
            }
        }
        self.checksum(covered);
        self.take(8);
        if carried.is_fragment || carried.protocol != protocol::UDP {
            return Next::End;
        }
        self.udp_tunnel(destination)
    }

    /// VXLAN, Geneve and GTP-U, where the first bytes are theirs too.
    fn udp_tunnel(&mut self, port: u16) -> Next {
        let Some(header) = self.peek::<8>() else {
            return Next::End;
        };
        let inner = match port {
            4789 | 8472 if header[..4] == [0x08, 0, 0, 0] => Next::Ethernet,
            6081 if header[0] >> 6 == 0 => match be16(header, 2) {
                ether_type::TRANSPARENT_BRIDGING => Next::Ethernet,
                kind => Next::EtherType(kind),
            },
            2152 if header[0] & 0xf0 == 0x30 && header[1] == 0xff => Next::Ip,
            _ => return Next::End,
        };
        self.take(8);
        let options = match port {
            6081 => self
                .take_unknown(usize::from(header[0] & 0x3f) * 4)
                .map(|_| ()),
            2152 if header[0] & 0x07 != 0 => self.gtp_options(header[0] & 0x04 != 0),
            _ => Some(()),
        };
        match options {
            Some(()) => self.enter(inner),
            None => Next::End,
        }
    }

    /// The optional fields of GTP-U, and its extension headers (TS 29.281 section 5.2).
    fn gtp_options(&mut self, has_extensions: bool) -> Option<()> {
        /// Most extension headers that are followed.
        const MOST: usize = 16;

        let fields = self.peek::<4>()?;
        self.take(4)?;
        let mut next = if has_extensions { fields[3] } else { 0 };
        for _ in 0..MOST {
            if next == 0 {
                return Some(());
            }
            let len = usize::from(*self.rest().first()?) * 4;
            self.take(1)?;
            self.take_unknown(len.checked_sub(2)?)?;
            let last = self.take(1)?;
            next = self.out[last.start];
        }
        None
    }

    /// Ports and tag, and the kind of the first chunk. What chunks hold may be addresses, and the checksum, a CRC over all
    /// (RFC 9260 section 6.8), would tell one of them.
    fn sctp(&mut self) -> Next {
        if let Some(header) = self.take(12) {
            self.out[header.start + 8..header.end].fill(0);
            self.take(4);
        }
        Next::End
    }
}
