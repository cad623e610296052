//! SNMP of versions without encryption: the community is the password.

use crate::{
    app::snmp::{Message, PORT, TRAP_PORT},
    facts::Facts,
    finding::Finding,
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

/// What is known of a flow.
#[derive(Clone, Debug, Default)]
pub(super) struct State {}

/// Measures SNMP.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    weak: Weak,
    communities: Logins,
}

impl protocol::Detector for Detector {
    type State = State;

    const KIND: Kind = Kind {
        name: "SNMP",
        ports: &[PORT, TRAP_PORT],
    };

    fn guess(_first: [&[u8]; 2]) -> Guess {
        Guess::No
    }

    fn guess_datagram(payload: &[u8], ports: (u16, u16)) -> bool {
        let is_port = |port| matches!(port, PORT | TRAP_PORT);
        (is_port(ports.0) || is_port(ports.1)) && Message::new(payload).is_some()
    }

    fn bytes(&mut self, _: &mut State, _: &At, _: Peer, _: &[u8]) -> Step {
        Step::Done
    }

    fn datagram(&mut self, _: &mut State, at: &At, from: Peer, payload: &[u8]) -> Step {
        let Some(message) = Message::new(payload) else {
            return Step::Done;
        };
        if from == Peer::Server || message.version == 3 {
            return Step::Take(0);
        }
        // Everybody knows this one: what is weak then is that there is no other protection.
        match message.community {
            b"public" => self.weak.add(at, &rules::SNMP_2),
            _ => self.communities.sent(at),
        }
        Step::Take(0)
    }

    fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let words = Words {
            protocol: Self::KIND.name,
            secret: ["a community", "communities"],
            transport: "udp",
            filter: "snmp.version < 3",
        };
        self.communities.findings(&words, findings);
        self.weak.findings(facts, findings);
    }
}
