//! IP identification, where it says something.

use crate::decode::Ip;

/// Of IPv4, and not 0, which some systems send in every packet that must not be fragmented.
#[inline]
pub(super) fn ip_id(ip: &Ip) -> Option<u16> {
    let id = ip.identification.filter(|id| *id != 0 && ip.is_v4());
    id.map(|id| id as u16)
}
