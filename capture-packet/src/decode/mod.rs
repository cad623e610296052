//! From the bytes of a frame to its headers: link layer, tags, MPLS, PPPoE, ARP, IP with extension headers and fragments, ICMP,
//! TCP with options, UDP, SCTP, and the packet inside of tunnels. One pass, nothing is copied, and no input is too odd:
//! what a header claims beyond the captured bytes is a [`Problem`], never a read.
//!
//! Application protocols are decoded from [`Decoded::payload`] by the modules that judge them.

mod bytes;
mod decoded;
mod headers;
mod ip;
mod link;
mod problem;
mod transport;

use self::decoded::Next;
pub(crate) use self::{
    bytes::{Cursor, be16, be32},
    ip::protocol,
    link::{ether_type, link_type},
};
pub use self::{
    decoded::{Decoded, MAX_TUNNELS},
    headers::{
        Arp, Ethernet, Fragment, Icmp, Ip, SackBlocks, Sctp, Tcp, TcpFlags, Transport, Tunnel, Udp,
    },
    problem::{Problem, Problems},
};

impl<'a> Decoded<'a> {
    /// Decodes a frame that begins as the LINKTYPE_ number says; of an unknown one only the length is known.
    #[inline]
    pub fn new(link_type: u16, frame: &'a [u8], wire_len: u32) -> Self {
        let mut decoded = Self::undecoded(frame, wire_len);
        decoded.decode(link_type);
        decoded
    }

    /// Decodes a frame of which nothing is decoded yet, in place: what comes out is some hundred bytes.
    #[inline]
    pub fn decode(&mut self, link_type: u16) {
        let into = self;
        let mut next = link::decode(link_type, Cursor::new(into.frame), into);
        loop {
            next = match next {
                Next::End => break,
                Next::Ethernet(cursor) => link::ethernet(cursor, into),
                Next::EtherType(kind, cursor) => link::by_ether_type(kind, cursor, into),
                Next::Ip(cursor) => ip::any(cursor, into),
                Next::Ipv4(cursor) => ip::v4(cursor, into),
                Next::Ipv6(cursor) => ip::v6(cursor, into),
                Next::Transport(cursor) => transport::decode(cursor, into),
            };
        }
    }

    /// The packet that an ICMP or ICMPv6 error quotes, as far as the quote goes. Routers of old quote eight bytes behind the
    /// IP header (RFC 792): of TCP these are the ports and the sequence number, and the rest of its header is zero. `None` where this is no error.
    pub fn quoted(&self) -> Option<Decoded<'a>> {
        let icmp = self.icmp()?;
        if !icmp.is_error() {
            return None;
        }
        // A quote is cut by nature: its own header says how long the packet was.
        let wire_len = match *self.payload {
            [first, _, high, low, ..] if first >> 4 == 4 => u16::from_be_bytes([high, low]).into(),
            [first, _, _, _, high, low, ..] if first >> 4 == 6 => {
                40 + u32::from(u16::from_be_bytes([high, low]))
            }
            _ => 0,
        };
        let wire_len = wire_len.max(self.payload.len() as u32);
        let mut quoted = Decoded::new(link_type::RAW, self.payload, wire_len);
        quoted.problems = Problems::default();
        quoted.transport = transport::quoted(&quoted).unwrap_or(quoted.transport);
        quoted.ip.is_some().then_some(quoted)
    }
}

#[cfg(test)]
mod tests;
