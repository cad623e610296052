//! Where a connection was captured: on the host at one of its ends, or in between. What an old sequence number means depends
//! on it: leaving its host it is a resend; arriving it may have been overtaken or doubled.

use capture_common::Direction;
use serde::Serialize;
use utoipa::ToSchema;

use crate::flow::Side;

/// Where a direction of data was seen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeenFrom {
    /// On the host that sent it.
    Sender,
    /// On the host that received it.
    Receiver,
    /// On the way, or nothing tells.
    Between,
}

/// Where a connection was captured, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing tells yet.
    #[default]
    Unknown,
    /// On the host at this end.
    At(Side),
    /// On the way.
    Between,
    /// Both ends are on one host.
    Loopback,
}

/// Time to live with which hosts send: most systems, Windows, network devices.
fn is_initial(ttl: u8) -> bool {
    matches!(ttl, 64 | 128 | 255)
}

/// A handshake this many times slower on one side than on the other was captured on the fast one.
const FAR: u64 = 4;

impl Place {
    /// What the packets of each side say so far: direction and time to live.
    pub(super) fn of_packets(
        self,
        side: Side,
        direction: Option<Direction>,
        ttls: [Option<u8>; 2],
    ) -> Self {
        if self != Self::Unknown {
            return self;
        }
        let own = ttls[side.index()];
        match (direction, own) {
            (Some(Direction::Egress), Some(ttl)) if is_initial(ttl) => Self::At(side),
            (Some(Direction::Egress), Some(_)) => Self::Between,
            (Some(_), _) => Self::Unknown,
            (None, _) => {
                let [Some(low), Some(high)] = ttls else {
                    return Self::Unknown;
                };
                match (is_initial(low), is_initial(high)) {
                    (true, false) => Self::At(Side::Low),
                    (false, true) => Self::At(Side::High),
                    (false, false) => Self::Between,
                    (true, true) => Self::Unknown,
                }
            }
        }
    }

    /// What a handshake says, where packets do not: from SYN to SYN/ACK, and on to the ACK.
    pub(super) fn of_handshake(self, client: Side, to_answer_ns: u64, to_ack_ns: u64) -> Self {
        if self != Self::Unknown {
            return self;
        }
        if to_answer_ns >= to_ack_ns.saturating_mul(FAR) {
            Self::At(client)
        } else if to_ack_ns >= to_answer_ns.saturating_mul(FAR) {
            Self::At(client.other())
        } else {
            Self::Between
        }
    }

    /// Where data from this side was seen from.
    #[inline]
    pub(super) fn seen_from(self, side: Side) -> SeenFrom {
        match self {
            Self::At(here) if here == side => SeenFrom::Sender,
            Self::Loopback => SeenFrom::Sender,
            Self::At(_) => SeenFrom::Receiver,
            Self::Between | Self::Unknown => SeenFrom::Between,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_counts_where_the_host_sends_itself() {
        let place = Place::default();
        let of = |ttl| place.of_packets(Side::High, Some(Direction::Egress), [None, Some(ttl)]);
        assert_eq!(of(64), Place::At(Side::High));
        assert_eq!(of(63), Place::Between);
        let arriving = place.of_packets(Side::High, Some(Direction::Ingress), [None, Some(64)]);
        assert_eq!(arriving, Place::Unknown);
        assert_eq!(of(128).seen_from(Side::Low), SeenFrom::Receiver);
    }

    #[test]
    fn without_direction_the_time_to_live_and_the_handshake_tell() {
        let of = |low, high| Place::Unknown.of_packets(Side::Low, None, [Some(low), Some(high)]);
        assert_eq!(of(64, 57), Place::At(Side::Low));
        assert_eq!(of(50, 128), Place::At(Side::High));
        assert_eq!(of(50, 49), Place::Between);
        assert_eq!(of(64, 64), Place::Unknown);
        let handshake = |a, b| Place::Unknown.of_handshake(Side::Low, a, b);
        assert_eq!(handshake(20_000_000, 50_000), Place::At(Side::Low));
        assert_eq!(handshake(50_000, 20_000_000), Place::At(Side::High));
        assert_eq!(handshake(9_000_000, 11_000_000), Place::Between);
    }
}
