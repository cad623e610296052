//! TCP as the packets show it, judged by where they were captured. A [`Connection`] has two `Stream`s, one for each
//! direction of data; each says of a segment what it is ([`Kind`]), and counts. What the counts mean is judged by `detect`.
//!
//! An old sequence number that leaves the host it was captured on is a resend. One that arrives is a resend, was
//! overtaken, or was doubled by the network: TSval (RFC 7323) and IP identification (RFC 6864) tell which.

mod connection;
mod figures;
mod fingerprints;
mod holes;
mod identification;
mod recoveries;
mod recovery_id;
mod resend;
mod sequence;
mod shared;
mod stream;
mod vantage;
mod wireshark;

use capture_common::Direction;

pub use self::{
    connection::{Connection, Outcome},
    figures::{Figures, Kind},
    resend::Stuck,
    shared::Shared,
    wireshark::Conversation,
};
pub use self::{vantage::SeenFrom, wireshark::WiresharkClasses};
use crate::decode::{Decoded, Tcp, TcpFlags};

/// A segment, and what its packet says.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'s> {
    /// Number of the packet.
    pub number: u64,
    /// Its time.
    pub ns: u64,
    /// Whether the capturing host received or sent it.
    pub direction: Option<Direction>,
    /// The header.
    pub tcp: &'s Tcp,
    /// Bytes of payload on the wire.
    pub len: u32,
    /// Sequence number behind it, SYN and FIN included.
    pub end: u32,
    /// IP identification, where it says something: IPv4, and not 0.
    pub ip_id: Option<u16>,
    /// Time to live.
    pub ttl: u8,
}

impl<'s> Segment<'s> {
    /// The segment in a packet.
    #[inline]
    pub fn of(
        number: u64,
        ns: u64,
        direction: Option<Direction>,
        headers: &'s Decoded<'_>,
    ) -> Option<Self> {
        let (tcp, ip) = (headers.tcp()?, headers.ip.as_ref()?);
        // What the other fragments hold is not known.
        if ip.fragment.is_some() {
            return None;
        }
        // No connection begins like this: `proto.malformed` tells of it.
        let is_land = ip.source == ip.destination && tcp.source_port == tcp.destination_port;
        let opens = tcp.flags.has(TcpFlags::SYN);
        if opens && (is_land || tcp.flags.any(TcpFlags::FIN | TcpFlags::RST)) {
            return None;
        }
        let len = headers.payload_len;
        let control =
            u32::from(tcp.flags.any(TcpFlags::SYN)) + u32::from(tcp.flags.any(TcpFlags::FIN));
        Some(Self {
            number,
            ns,
            direction,
            tcp,
            len,
            end: tcp.sequence.wrapping_add(len).wrapping_add(control),
            ip_id: identification::ip_id(ip),
            ttl: ip.ttl,
        })
    }

    /// Sequence number of its first byte.
    #[inline]
    pub fn seq(&self) -> u32 {
        self.tcp.sequence
    }

    /// Whether it has any of these control bits.
    #[inline]
    pub fn is(&self, bits: u16) -> bool {
        self.tcp.flags.any(bits)
    }

    /// TSval.
    #[inline]
    pub fn tsval(&self) -> Option<u32> {
        self.tcp.timestamps.map(|(value, _)| value)
    }
}
