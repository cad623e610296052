//! What the report says of protocols.

mod dns;
mod tls;

pub use self::{
    dns::{DnsLatency, DnsName, DnsReport},
    tls::{TlsClient, TlsName, TlsReport},
};
