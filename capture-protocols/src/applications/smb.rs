//! SMB: servers that still take version 1, and refused logins.

use crate::{
    app::smb::{Message, SESSION_HEADER},
    facts::Facts,
    finding::Finding,
    logins::Results,
    rules::weak as rules,
};
use crate::{
    application::Kind,
    applications::{
        credentials::{Logins, Words},
        protocol::{self, At, Guess, Peer, Step},
        weak::Weak,
    },
};

/// Bytes of a message that are looked at.
const HEAD: usize = SESSION_HEADER + 72;

/// Most messages of a connection that are looked at: versions and logins come early.
const MOST_MESSAGES: u8 = 100;

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    messages: u8,
}

/// Measures SMB.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    weak: Weak,
    logins: Logins,
}

impl protocol::Detector for Detector {
    type State = State;

    const KIND: Kind = Kind {
        name: "SMB",
        ports: &[139, 445],
    };

    fn guess([client, server]: [&[u8]; 2]) -> Guess {
        let first = if client.is_empty() { server } else { client };
        let Some(message) = first.get(SESSION_HEADER..) else {
            let is_open = [0, SESSION_REQUEST[0]].contains(first.first().unwrap_or(&0));
            return if is_open { Guess::Maybe } else { Guess::No };
        };
        Guess::prefix(message, b"\xffSMB")
            .or(Guess::prefix(message, b"\xfeSMB"))
            .or(Guess::prefix(first, &SESSION_REQUEST))
    }

    fn bytes(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
        let Some([kind, len @ ..]) = bytes.first_chunk::<SESSION_HEADER>() else {
            return Step::More;
        };
        let len = len
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte));
        let whole = SESSION_HEADER + len;
        // Of NetBIOS: a session is asked for, or granted.
        if matches!(kind, 0x81 | 0x82 | 0x85) && len <= 256 {
            return Step::Take(whole);
        }
        if bytes.len() < whole.min(HEAD) {
            return Step::More;
        }
        state.messages += 1;
        let Some(message) = Message::new(bytes).filter(|_| state.messages < MOST_MESSAGES) else {
            return Step::Done;
        };
        if from == Peer::Server && message.is_version_1_agreed() {
            self.weak.add(at, &rules::SMB_1);
        }
        if message.is_failed_login() {
            self.logins.refused();
        } else if message.is_login() && message.is_response && message.status == 0 {
            self.logins.accepted();
            return Step::Done;
        }
        Step::Take(whole)
    }

    fn logins(&mut self) -> Option<Results> {
        self.logins.take_results()
    }

    fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let words = Words::of_passwords(Self::KIND.name, "");
        self.weak.findings(facts, findings);
        self.logins.findings(&words, findings);
    }
}

/// A session of NetBIOS with two names is asked for (RFC 1002 section 4.3.2).
const SESSION_REQUEST: [u8; 4] = [0x81, 0, 0, 0x44];
