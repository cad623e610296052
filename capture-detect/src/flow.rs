//! Flows: packets of one protocol between two addresses and ports, both ways.

use std::hash::{Hash, Hasher};

use crate::{address::Address, decode::Decoded, lru::Lru};

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// Address.
    pub address: Address,
    /// Port; 0 where the protocol has none.
    pub port: u16,
}

/// Which flow: protocol and both ends, the lower first, so that both ways have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// The two ends.
    pub ends: [End; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// VLAN identifier plus one, and how deep in tunnels: the same addresses may be there twice.
    pub place: (u16, u8),
}

/// In as few words as there are: each is a multiplication, for every packet.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [low, high] = &self.ends;
        low.address.hash(state);
        high.address.hash(state);
        let (vlan, tunnels) = self.place;
        let ports = u64::from(low.port) << 48 | u64::from(high.port) << 32;
        let place = u64::from(vlan) << 16 | u64::from(tunnels) << 8;
        state.write_u64(ports | place | u64::from(self.protocol));
    }
}

/// Which end of a [`FlowKey`] a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The lower end.
    Low,
    /// The higher end.
    High,
}

impl Side {
    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

impl FlowKey {
    /// The flow of a packet, and which end it comes from. `None` without IP, or for a fragment that has no ports.
    #[inline]
    pub fn of(headers: &Decoded<'_>) -> Option<(Self, Side)> {
        let ip = headers.ip.as_ref()?;
        let (source_port, destination_port) = match headers.transport.ports() {
            Some(ports) => ports,
            None if ip.fragment.is_some() => return None,
            None => (0, 0),
        };
        let source = End {
            address: ip.source,
            port: source_port,
        };
        let destination = End {
            address: ip.destination,
            port: destination_port,
        };
        let (ends, side) = if source <= destination {
            ([source, destination], Side::Low)
        } else {
            ([destination, source], Side::High)
        };
        let key = Self {
            ends,
            protocol: ip.protocol,
            place: (headers.vlan.map_or(0, |vlan| vlan + 1), headers.tunnels),
        };
        Some((key, side))
    }

    /// The end on this side.
    #[inline]
    pub fn end(&self, side: Side) -> End {
        self.ends[side.index()]
    }
}

/// Flows with what is known of each, the most recent ones.
pub type FlowTable<T> = Lru<FlowKey, T>;
