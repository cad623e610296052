//! What an application protocol has to bring to be followed.

use std::fmt;

use crate::application::Kind;
use crate::{
    address::Address,
    facts::Facts,
    finding::{Finding, Subject},
    logins::Results,
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// Who opened the flow.
    Client,
    /// The other one.
    Server,
}

impl Peer {
    /// As an index.
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// Where something was seen: a packet of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// Number of the packet.
    pub(super) number: u64,
    /// Its time.
    pub(super) ns: u64,
    /// Who opened the flow.
    pub(super) client: Address,
    /// The other end.
    pub(super) server: Address,
    /// Its port.
    pub(super) port: u16,
    /// Whether it is TCP, and not UDP.
    pub(super) is_tcp: bool,
}

/// A port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Service {
    pub(super) server: Address,
    pub(super) port: u16,
    pub(super) is_tcp: bool,
}

impl Service {
    fn protocol(&self) -> &'static str {
        if self.is_tcp { "tcp" } else { "udp" }
    }

    /// As what a finding is about.
    pub(super) fn subject(&self) -> Subject {
        Subject {
            destination: Some(self.server),
            destination_port: Some(self.port),
            protocol: Some(self.protocol()),
            ..Subject::default()
        }
    }

    /// A display filter of its packets in both directions.
    pub(super) fn filter(&self) -> String {
        let ip = self.ip();
        format!(
            "{ip}.addr == {} && {}.port == {}",
            self.server,
            self.protocol(),
            self.port
        )
    }

    /// A display filter of what it sends.
    pub(super) fn filter_from(&self) -> String {
        let ip = self.ip();
        format!(
            "{ip}.src == {} && {}.srcport == {}",
            self.server,
            self.protocol(),
            self.port
        )
    }

    fn ip(&self) -> &'static str {
        if self.server.is_v4() { "ip" } else { "ipv6" }
    }
}

/// "192.0.2.1 port 443", as people say.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.server, self.port)
    }
}

impl At {
    /// The server.
    pub(super) fn service(&self) -> Service {
        Service {
            server: self.server,
            port: self.port,
            is_tcp: self.is_tcp,
        }
    }
}

/// What the first bytes of a flow look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// Not like this protocol.
    No,
    /// There are too few of them to tell.
    Maybe,
    /// Like this protocol.
    Yes,
}

impl Guess {
    /// Whether the bytes begin with `prefix`, as far as they go.
    pub(super) fn prefix(bytes: &[u8], prefix: &[u8]) -> Self {
        let common = bytes.len().min(prefix.len());
        match bytes[..common] == prefix[..common] {
            true if common == prefix.len() => Self::Yes,
            true => Self::Maybe,
            false => Self::No,
        }
    }
}

impl Guess {
    /// Like one of two things.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
            (Self::No, Self::No) => Self::No,
        }
    }
}

/// What a protocol made of the bytes that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It has to see more than these. It is given them again together with what comes.
    More,
    /// It is done with so many of them. A number beyond those that are there leaves out what comes, and whether that was
    /// captured does not matter.
    Take(usize),
    /// These bytes begin another protocol, which is to be found out: that of STARTTLS, or behind a proxy. There is no call
    /// of [`Detector::end`].
    Restart,
    /// It wants to see nothing more of the flow.
    Done,
}

/// Why no more of a flow comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Both ends said that they are done, this one first.
    Closed(Peer),
    /// This end reset it.
    Reset(Peer),
    /// Bytes are missing or were cut off, or there are too many flows at once: nothing can be said of what comes after.
    Lost,
    /// The capture ended, or the flow was quiet for so long that others took its place.
    Open {
        /// Whether the server acknowledged all that the client said, and said nothing itself.
        is_unanswered: bool,
    },
}

/// A protocol: measures all of its flows.
pub(super) trait Detector: Default {
    /// What is kept of one flow.
    type State: Default;

    /// What it is. A server on another than its ports is `service.odd_port`.
    const KIND: Kind;

    /// Whether the first bytes of a TCP connection, of the client and of the server, are of this protocol.
    fn guess(first: [&[u8]; 2]) -> Guess;

    /// Whether the first datagram of a flow over UDP is of this protocol, by what it says and the ports of its source and
    /// destination.
    fn guess_datagram(_payload: &[u8], _ports: (u16, u16)) -> bool {
        false
    }

    /// Looks at the bytes of one end that come next, without a hole, at least one.
    fn bytes(&mut self, state: &mut Self::State, at: &At, from: Peer, bytes: &[u8]) -> Step;

    /// Looks at a datagram, which is not given again. Only [`Step::Done`] means something.
    fn datagram(
        &mut self,
        _state: &mut Self::State,
        _at: &At,
        _from: Peer,
        _payload: &[u8],
    ) -> Step {
        Step::Done
    }

    /// What a flow is, where that is told apart within the protocol.
    fn kind(_state: &Self::State) -> &'static Kind {
        &Self::KIND
    }

    /// Memory of a state beside itself, where that depends on what is sent. Together with the bytes that wait it has a
    /// bound.
    fn held(_state: &Self::State) -> usize {
        0
    }

    /// Whether the server too has spoken the protocol, asked after it said something.
    fn is_confirmed(_state: &Self::State) -> bool {
        true
    }

    /// What servers said about logins since the last call.
    #[inline]
    fn logins(&mut self) -> Option<Results> {
        None
    }

    /// A flow that ended before [`Step::Done`]. `at` is its latest packet.
    fn end(&mut self, _state: &mut Self::State, _at: &At, _ending: Ending) {}

    /// Everything that is wrong.
    fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>);
}
