//! Where addresses mean something.

use crate::seen::Seen;

/// The link that a packet was on: the same addresses may be there on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Link {
    interface: u32,
    vlan: Option<u16>,
    tunnels: u8,
}

impl Link {
    pub(super) fn of(seen: &Seen<'_, '_>) -> Self {
        Self {
            interface: seen.interface,
            vlan: seen.headers.vlan,
            tunnels: seen.headers.tunnels,
        }
    }
}
