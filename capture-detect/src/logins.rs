//! What servers say about logins in clear words: told by the protocols in `app`, judged in `traffic`.

use crate::address::Address;

/// Results of logins of a client, said in one packet.
#[derive(Clone, Copy, Debug)]
pub struct Logins {
    /// Who wants to log in.
    pub client: Address,
    /// Where.
    pub server: Address,
    /// Port of the server.
    pub port: u16,
    /// Name of the protocol.
    pub service: &'static str,
    /// Number of the packet.
    pub number: u64,
    /// Its time.
    pub ns: u64,
    /// What was said.
    pub results: Results,
}

/// What a server says about logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// How many were refused.
    pub refused: u16,
    /// Whether the last one worked.
    pub is_accepted: bool,
}
