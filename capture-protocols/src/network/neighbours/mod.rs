//! Neighbours: addresses that two stations claim, and stations that claim the addresses of others, by ARP (RFC 826, RFC 5227)
//! and by neighbour discovery of IPv6 (RFC 4861, RFC 4862).

mod claims;
mod detector;
mod judge;

pub(super) use self::{detector::Detector, judge::findings};
