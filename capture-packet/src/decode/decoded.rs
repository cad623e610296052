//! The result of decoding, and what comes next while it is under way.

use super::{
    bytes::Cursor,
    headers::{Arp, Ethernet, Icmp, Ip, Tcp, Transport, Tunnel, Udp},
    problem::{Problem, Problems},
};

/// Most packets within packets that are looked into.
pub const MAX_TUNNELS: u8 = 4;

/// What lies ahead of a cursor. Each layer tells, and the loop of [`Decoded::new`] goes there, so that no layer
/// calls another and packets within packets take no stack.
#[derive(Clone, Copy)]
pub(super) enum Next<'a> {
    /// Nothing that is decoded.
    End,
    /// An Ethernet header.
    Ethernet(Cursor<'a>),
    /// What this EtherType announces.
    EtherType(u16, Cursor<'a>),
    /// IP of either version.
    Ip(Cursor<'a>),
    /// IPv4.
    Ipv4(Cursor<'a>),
    /// IPv6.
    Ipv6(Cursor<'a>),
    /// What the IP header that was decoded last says that it carries.
    Transport(Cursor<'a>),
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
    /// A frame of which nothing is decoded yet.
    #[inline]
    pub fn undecoded(frame: &'a [u8], wire_len: u32) -> Self {
        Self {
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
        }
    }

    /// Goes into a tunnel, in which `inner` comes first, unless there are too many around it already.
    pub(super) fn enter(&mut self, tunnel: Tunnel, inner: Next<'a>) -> Next<'a> {
        if self.tunnels >= MAX_TUNNELS {
            return self.stop(Problem::TooDeep);
        }
        self.tunnels += 1;
        self.tunnel = Some(tunnel);
        inner
    }

    /// Notes what is wrong, and ends there.
    pub(super) fn stop(&mut self, problem: Problem) -> Next<'a> {
        self.problems.add(problem);
        Next::End
    }

    /// The frame ends within a header: where all of it was captured, the sender is to blame.
    #[cold]
    pub(super) fn short(&mut self) -> Next<'a> {
        if !self.is_cut() {
            self.problems.add(Problem::ShortHeader);
        }
        Next::End
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
}
