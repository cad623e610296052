//! From the bytes of a frame to its headers: link layer, tags, MPLS, PPPoE, ARP, IP with extension headers and fragments, ICMP,
//! TCP with options, UDP, SCTP, and the packet inside of tunnels. One pass, nothing is copied, and no input is too odd:
//! what a header claims beyond the captured bytes is a [`Problem`], never a read.
//!
//! Application protocols are decoded from [`Decoded::payload`] by the modules that judge them.

mod bytes;
mod ip;
mod link;
mod problem;
mod transport;

pub(crate) use self::bytes::{Cursor, be16, be32};
pub use self::{
    ip::{Fragment, Ip},
    link::{Arp, Ethernet},
    problem::{Problem, Problems},
    transport::{Icmp, SackBlocks, Sctp, Tcp, TcpFlags, Transport, Udp},
};

/// Most packets within packets that are looked into.
pub const MAX_TUNNELS: u8 = 4;

/// How a packet is carried inside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// IPv4 or IPv6 directly within IP (RFC 2003, 4213, 2473).
    Ip,
    /// RFC 2784, 2890.
    Gre,
    /// RFC 7348, UDP port 4789, or 8472 as Linux had it before.
    Vxlan,
    /// RFC 8926, UDP port 6081.
    Geneve,
    /// GTP-U, UDP port 2152 (3GPP TS 29.281).
    Gtp,
}

/// The headers of one frame. Of a tunnel they are the inner ones; `tunnels` says that there were others around them.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    /// The captured bytes of the frame.
    pub frame: &'a [u8],
    /// Length on the wire in bytes.
    pub wire_len: u32,
    /// The outermost Ethernet header.
    pub ethernet: Option<Ethernet>,
    /// EtherType of what the innermost link layer carries, 0 where there is none.
    pub ether_type: u16,
    /// VLAN identifier of the outermost tag.
    pub vlan: Option<u16>,
    /// How many tunnels are around the headers below.
    pub tunnels: u8,
    /// The innermost tunnel.
    pub tunnel: Option<Tunnel>,
    /// An ARP message.
    pub arp: Option<Arp>,
    /// IPv4 or IPv6.
    pub ip: Option<Ip>,
    /// What IP carries. Nothing of a fragment but the first is decoded.
    pub transport: Transport,
    /// Bytes of the payload of `transport` that were captured; without a transport, of IP.
    pub payload: &'a [u8],
    /// Length of that payload on the wire, as the headers say.
    pub payload_len: u32,
    /// What is wrong with the headers.
    pub problems: Problems,
}

impl<'a> Decoded<'a> {
    /// Decodes a frame that begins as the LINKTYPE_ number says; of an unknown one only the length is known.
    #[inline]
    pub fn new(link_type: u16, frame: &'a [u8], wire_len: u32) -> Self {
        let mut decoded = Self {
            frame,
            wire_len,
            ethernet: None,
            ether_type: 0,
            vlan: None,
            tunnels: 0,
            tunnel: None,
            arp: None,
            ip: None,
            transport: Transport::None,
            payload: &[],
            payload_len: 0,
            problems: Problems::default(),
        };
        link::decode(link_type, Cursor::new(frame), &mut decoded);
        decoded
    }

    /// Whether less was captured than was on the wire.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.frame.len() < self.wire_len as usize
    }

    /// The TCP header.
    #[inline]
    pub fn tcp(&self) -> Option<&Tcp> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// The UDP header.
    #[inline]
    pub fn udp(&self) -> Option<&Udp> {
        match &self.transport {
            Transport::Udp(udp) => Some(udp),
            _ => None,
        }
    }

    /// The ICMP or ICMPv6 header.
    #[inline]
    pub fn icmp(&self) -> Option<&Icmp> {
        match &self.transport {
            Transport::Icmp(icmp) => Some(icmp),
            _ => None,
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
        let mut quoted = Decoded::new(link::LINKTYPE_RAW, self.payload, wire_len);
        quoted.problems = Problems::default();
        quoted.transport = transport::quoted(&quoted).unwrap_or(quoted.transport);
        quoted.ip.is_some().then_some(quoted)
    }
}

#[cfg(test)]
mod tests;
