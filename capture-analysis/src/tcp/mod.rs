//! TCP as the packets show it, judged by where they were captured. A [`Connection`] has two [`Stream`](stream::Stream)s, one for each
//! direction of data; each says of a segment what it is ([`Kind`]), and counts. What the counts mean is judged by `detect`.
//!
//! An old sequence number that leaves the host it was captured on is a resend. One that arrives is a resend, was
//! overtaken, or was doubled by the network: TSval (RFC 7323) and IP identification (RFC 6864) tell which.

mod connection;
mod figures;
mod fingerprints;
mod holes;
mod resend;
mod sequence;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
mod vantage;
mod wireshark;
#[cfg(test)]
mod wireshark_tests;

use capture_common::Direction;

pub(crate) use self::{
    connection::{Connection, Outcome},
    figures::{Figures, Kind},
    fingerprints::Fingerprints,
    resend::Stuck,
    wireshark::Conversation,
};
pub use self::{vantage::SeenFrom, wireshark::WiresharkClasses};
use crate::{
    address::Address,
    decode::{Decoded, Tcp, TcpFlags},
};

/// A segment, and what its packet says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'s> {
    /// Number of the packet.
    pub(crate) number: u64,
    /// Its time.
    pub(crate) ns: u64,
    /// Whether the capturing host received or sent it.
    pub(crate) direction: Option<Direction>,
    /// From where, and where to.
    pub(crate) addresses: (Address, Address),
    /// The header.
    pub(crate) tcp: &'s Tcp,
    /// Bytes of payload on the wire.
    pub(crate) len: u32,
    /// Sequence number behind it, SYN and FIN included.
    pub(crate) end: u32,
    /// IP identification, where it says something: IPv4, and not 0.
    pub(crate) ip_id: Option<u16>,
    /// Time to live.
    pub(crate) ttl: u8,
}

impl<'s> Segment<'s> {
    /// The segment in a packet.
    #[inline]
    pub(crate) fn of(
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
        let ip_id = ip.identification.filter(|id| *id != 0 && ip.is_v4());
        Some(Self {
            number,
            ns,
            direction,
            addresses: (ip.source, ip.destination),
            tcp,
            len,
            end: tcp.sequence.wrapping_add(len).wrapping_add(control),
            ip_id: ip_id.map(|id| id as u16),
            ttl: ip.ttl,
        })
    }

    /// Sequence number of its first byte.
    #[inline]
    pub(crate) fn seq(&self) -> u32 {
        self.tcp.sequence
    }

    /// Whether it has any of these control bits.
    #[inline]
    pub(crate) fn is(&self, bits: u16) -> bool {
        self.tcp.flags.any(bits)
    }

    /// TSval.
    #[inline]
    pub(crate) fn tsval(&self) -> Option<u32> {
        self.tcp.timestamps.map(|(value, _)| value)
    }
}
