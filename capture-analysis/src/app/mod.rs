//! Application protocols, read from the payload of a packet: borrowed, bounded, and without an allocation. What a length
//! or a pointer claims is looked up, never believed.

pub(crate) mod dhcp;
pub(crate) mod dhcpv6;
pub(crate) mod dns;
pub(crate) mod ndp;

#[cfg(test)]
mod tests;
