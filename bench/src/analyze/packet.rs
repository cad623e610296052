//! What a packet of the mixture is, before its bytes are written.

/// Which end of a flow sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

impl From {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A packet, at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) ns: u64,
    /// Index of its flow.
    pub(crate) flow: u32,
    pub(crate) from: From,
    pub(crate) what: What,
}

/// What it carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Tcp(Segment),
    Udp(Payload),
    Echo { sequence: u16 },
    Arp,
}

/// A segment. Sequence numbers count from 0, the SYN being 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) ts: (u32, u32),
    pub(crate) sack: Option<(u32, u32)>,
    pub(crate) payload: Payload,
}

/// `len` bytes of a message of `total`, from `at` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    pub(crate) content: Content,
    pub(crate) total: u32,
    pub(crate) at: u32,
    pub(crate) len: u16,
}

/// What messages say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Noise,
    ClientHello,
    ServerHello,
    Records,
    HttpRequest,
    HttpResponse,
    Query,
    Answer,
    Media,
    Time,
}

impl Payload {
    /// All of a message.
    pub(crate) fn whole(content: Content, len: u16) -> Self {
        Self {
            content,
            total: len.into(),
            at: 0,
            len,
        }
    }

    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::whole(Content::Noise, 0)
    }
}

/// Two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) ends: [([u8; 16], u16); 2],
    pub(crate) v6: bool,
    /// Initial sequence numbers, and what else is random of it.
    pub(crate) isn: [u32; 2],
    /// Time to live of packets from either end.
    pub(crate) ttl: [u8; 2],
}
