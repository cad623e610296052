//! Application protocols, read from the payload of a packet: borrowed, bounded, and without an allocation but for what
//! comes once a connection: certificates, fingerprints, what QUIC encrypts. What a length or a pointer claims is looked
//! up, never believed.

mod ber;
pub mod certificate;
pub mod database;
pub mod dhcp;
pub mod dhcpv6;
pub mod dns;
pub mod http;
pub mod ldap;
pub mod login;
pub mod ndp;
pub mod ntp;
pub mod quic;
pub mod smb;
pub mod snmp;
pub mod ssh;
pub mod tls;

#[cfg(test)]
mod tests;
