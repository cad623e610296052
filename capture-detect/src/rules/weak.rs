//! Versions and algorithms that are weak, each with its reason and source.

/// A version or an algorithm that is weak.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// Of which protocol.
    pub protocol: &'static str,
    /// As it is called.
    pub name: &'static str,
    /// Why it is weak, as the end of a sentence.
    pub reason: &'static str,
    /// The part of a display filter that tells its packets from others of the server.
    pub filter: &'static str,
    /// `tcp` or `udp`.
    pub transport: &'static str,
}

const fn ssh(name: &'static str, reason: &'static str) -> Choice {
    Choice {
        protocol: "SSH",
        name,
        reason,
        filter: "tcp.len > 0",
        transport: "tcp",
    }
}

const SHA_1: &str = "SHA-1 is broken (RFC 9142 section 4)";
const SMALL_GROUP: &str = "its group of 1024 bits can be computed by states (RFC 9142 section 4)";
const RC4: &str = "RC4 is broken (RFC 8758)";
const SMALL_BLOCKS: &str = "its blocks are so short that long sessions leak (NIST SP 800-131A)";
const NOTHING: &str = "it protects nothing";
const MD5: &str = "MD5 is broken (RFC 6151)";

/// Key exchanges of SSH that should not be used (RFC 9142, table 12).
pub static WEAK_KEY_EXCHANGES: &[Choice] = &[
    ssh("diffie-hellman-group1-sha1", SMALL_GROUP),
    ssh("diffie-hellman-group-exchange-sha1", SHA_1),
    ssh("rsa1024-sha1", SHA_1),
];

/// Keys of servers of SSH.
pub static WEAK_HOST_KEYS: &[Choice] = &[ssh(
    "ssh-dss",
    "its keys have 1024 bits, and it needs SHA-1",
)];

/// Ciphers of SSH.
pub static WEAK_CIPHERS: &[Choice] = &[
    ssh("none", NOTHING),
    ssh("arcfour", RC4),
    ssh("arcfour128", RC4),
    ssh("arcfour256", RC4),
    ssh("3des-cbc", SMALL_BLOCKS),
    ssh("blowfish-cbc", SMALL_BLOCKS),
    ssh("cast128-cbc", SMALL_BLOCKS),
    ssh("des-cbc", SMALL_BLOCKS),
];

/// Message authentication of SSH.
pub static WEAK_MACS: &[Choice] = &[
    ssh("none", NOTHING),
    ssh("hmac-md5", MD5),
    ssh("hmac-md5-96", MD5),
    ssh("hmac-md5-etm@openssh.com", MD5),
    ssh("hmac-md5-96-etm@openssh.com", MD5),
];

pub static SSH_1: Choice = Choice {
    protocol: "SSH",
    name: "protocol version 1",
    reason: "it has had no integrity since 1998",
    filter: "tcp.len > 0",
    transport: "tcp",
};

pub static SMB_1: Choice = Choice {
    protocol: "SMB",
    name: "version 1",
    reason: "it has no encryption, weak signatures, and known worms",
    filter: "tcp.payload[4:4] == ff:53:4d:42",
    transport: "tcp",
};

pub static SNMP_2: Choice = Choice {
    protocol: "SNMP",
    name: "version 1 or 2c",
    reason: "anybody can read it, and change what is on its way",
    filter: "snmp.version < 3",
    transport: "udp",
};
