//! Application protocols, read from the payload of a packet: borrowed, bounded, and without an allocation. What a length
//! or a pointer claims is looked up, never believed.

pub mod dhcp;
pub mod dhcpv6;
pub mod dns;
pub mod ndp;

#[cfg(test)]
mod tests;
