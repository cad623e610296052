//! HTTP/1: messages one after the other, of which the bodies are left out; what servers answer, passwords without
//! encryption, and requests that try known weaknesses.

mod messages;
mod probes;
mod servers;

use self::{
    messages::{Half, Seen},
    probes::Probes,
    servers::Servers,
};
use crate::{
    app::http::{Request, Response},
    facts::Facts,
    finding::Finding,
    logins::Results,
};
use crate::{
    application::Kind,
    applications::{
        credentials::{Logins, Words},
        protocol::{self, At, Guess, Peer, Step},
    },
};

/// Most requests whose responses are waited for.
const MOST_OPEN: u32 = 64;

/// As people write it.
pub(super) const NAME: &str = "HTTP";

/// The Web, its alternatives, CUPS, and what proxies use.
const PORTS: &[u16] = &[80, 81, 82, 88, 280, 591, 593, 631, 808, 888];

/// Ports from here on are for anybody's servers.
const FIRST_FREE_PORT: u16 = 1024;

/// Ports above those that other protocols are known by.
const PORTS_OF_OTHERS: [u16; 16] = [
    1433, 1521, 1723, 1883, 2049, 3306, 3389, 4444, 5060, 5222, 5432, 5900, 6379, 6667, 11211,
    27017,
];

/// Whether servers of HTTP are usual on a port.
pub(super) fn is_usual(port: u16) -> bool {
    match port {
        0..FIRST_FREE_PORT => PORTS.contains(&port),
        _ => !PORTS_OF_OTHERS.contains(&port),
    }
}

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    halves: [Half; 2],
    /// Requests without a response yet: how many, and a bit for each, the latest the lowest: whether it was HEAD, whether
    /// it had a login.
    open: u32,
    heads: u64,
    logins: u64,
    /// Whether the last request was for a tunnel, and whether there is one now.
    asks_for_tunnel: bool,
    is_tunnel: bool,
}

/// Measures HTTP.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    servers: Servers,
    logins: Logins,
    probes: Probes,
}

impl protocol::Detector for Detector {
    type State = State;

    const KIND: Kind = Kind {
        name: NAME,
        ports: PORTS,
    };

    fn guess([client, server]: [&[u8]; 2]) -> Guess {
        if Request::new(client).is_some() {
            return Guess::Yes;
        }
        // The capture began in the middle of a request.
        match Response::new(server).is_some() && client.is_empty() {
            true => Guess::Yes,
            false => messages::may_become_request(client),
        }
    }

    fn bytes(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
        // Of a tunnel whose response was not captured TLS tells: no request begins like this.
        if state.is_tunnel || (from == Peer::Client && bytes.starts_with(&[22])) {
            return Step::Restart;
        }
        let half = &mut state.halves[from.index()];
        let (seen, step) = half.bytes(from, bytes, at.number);
        match (seen, from) {
            (Seen::Nothing, _) | (Seen::Text(_), Peer::Server) => step,
            (Seen::Text(text), Peer::Client) => {
                self.probes.look(at, text);
                step
            }
            (Seen::Head(len), Peer::Client) => self.request(state, at, len),
            (Seen::Head(len), Peer::Server) => self.response(state, at, len),
        }
    }

    fn logins(&mut self) -> Option<Results> {
        self.logins.take_results()
    }

    fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let words = Words::of_passwords(
            Self::KIND.name,
            "tcp.payload matches \"(?i)authorization: *basic \"",
        );
        self.logins.findings(&words, findings);
        self.servers.findings(facts, findings);
        self.probes.findings(findings);
    }
}

impl Detector {
    /// The head of a request is whole.
    fn request(&mut self, state: &mut State, at: &At, len: usize) -> Step {
        let half = &mut state.halves[Peer::Client.index()];
        let request = half.message();
        if request.has_basic {
            self.logins.sent(at);
        }
        self.servers.request(at);
        if state.open >= MOST_OPEN {
            return Step::Done;
        }
        state.open += 1;
        state.asks_for_tunnel = request.is_tunnel;
        state.heads = state.heads << 1 | u64::from(request.is_head);
        state.logins = state.logins << 1 | u64::from(request.has_login);
        half.body(Peer::Client, len, false)
    }

    /// The head of a response is whole.
    fn response(&mut self, state: &mut State, at: &At, len: usize) -> Step {
        let half = &mut state.halves[Peer::Server.index()];
        let message = half.message();
        let status = message.status;
        match status {
            // Another protocol follows.
            101 => return Step::Done,
            // 100 Continue, 103 Early Hints: the response is yet to come.
            ..200 => return half.body(Peer::Server, len, true),
            _ => {}
        }
        let bit = |bits: u64| state.open > 0 && bits >> (state.open - 1) & 1 != 0;
        let (is_head, has_login) = (bit(state.heads), bit(state.logins));
        state.open = state.open.saturating_sub(1);
        match status {
            401 | 407 if has_login => self.logins.refused(),
            200..=399 if has_login => self.logins.accepted(),
            _ => {}
        }
        let start = At {
            number: message.number,
            ..*at
        };
        self.servers.response(&start, status);
        state.is_tunnel = state.asks_for_tunnel && matches!(status, 200..300);
        let is_empty = is_head || state.is_tunnel || matches!(status, 204 | 304);
        half.body(Peer::Server, len, is_empty)
    }
}
