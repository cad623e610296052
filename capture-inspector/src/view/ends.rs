//! The two ends of a conversation: addresses, and ports where there are some.

use capture_packet::{
    address::Address,
    decode::{Decoded, Transport},
    frame::Frame,
};

/// The ends of the conversation that a packet is of, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) protocol: Protocol,
    pub(crate) ends: [(Address, u16); 2],
}

/// What the ends talk in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Sctp,
    /// IP without ports.
    Ip,
}

impl Protocol {
    /// The layer's name in filters.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Ip => "ip",
        }
    }
}

impl Ends {
    /// Those of a frame, if it has IP in it: of the innermost header.
    pub(crate) fn of(frame: &Frame<'_>) -> Option<Self> {
        let decoded = Decoded::new(frame.link_type, frame.data, frame.wire_len);
        Self::of_decoded(&decoded)
    }

    /// Those of a packet that was taken apart.
    pub(crate) fn of_decoded(decoded: &Decoded<'_>) -> Option<Self> {
        let ip = decoded.ip?;
        let (protocol, source, destination) = match decoded.transport {
            Transport::Tcp(tcp) => (Protocol::Tcp, tcp.source_port, tcp.destination_port),
            Transport::Udp(udp) => (Protocol::Udp, udp.source_port, udp.destination_port),
            Transport::Sctp(sctp) => (Protocol::Sctp, sctp.source_port, sctp.destination_port),
            Transport::Icmp(_) | Transport::None => (Protocol::Ip, 0, 0),
        };
        let (one, other) = ((ip.source, source), (ip.destination, destination));
        let ends = if one <= other {
            [one, other]
        } else {
            [other, one]
        };
        Some(Self { protocol, ends })
    }

    /// A display filter for its packets, in Wireshark's form.
    pub(crate) fn filter(&self) -> String {
        let [(one, port), (other, other_port)] = self.ends;
        let ip = match one.ip().is_ipv4() {
            true => "ip",
            false => "ipv6",
        };
        let addresses = format!("{ip}.addr == {one} and {ip}.addr == {other}");
        match self.protocol {
            Protocol::Ip => addresses,
            protocol => {
                let word = protocol.word();
                format!("{addresses} and {word}.port == {port} and {word}.port == {other_port}")
            }
        }
    }
}
