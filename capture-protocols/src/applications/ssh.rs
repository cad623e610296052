//! SSH: which version and which algorithms the two ends agree on.

use crate::{
    app::ssh::{Banner, KexInit, list},
    facts::Facts,
    finding::Finding,
    rules::weak as rules,
};
use crate::{
    application::Kind,
    applications::{
        protocol::{self, At, Guess, Peer, Step},
        weak::Weak,
    },
};

/// Most bytes of what an end offers that are kept for the other one.
const MOST_OFFER: usize = 8192;

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Whether an end has said its version.
    is_greeted: [bool; 2],
    /// What an end offers, until the other one does.
    offer: Option<(Peer, Box<[u8]>)>,
}

/// Measures SSH.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    weak: Weak,
}

impl protocol::Detector for Detector {
    type State = State;

    const KIND: Kind = Kind {
        name: "SSH",
        ports: &[22, 2222],
    };

    fn guess([client, server]: [&[u8]; 2]) -> Guess {
        match Guess::prefix(server, b"SSH-") {
            Guess::Maybe if server.is_empty() => Guess::prefix(client, b"SSH-"),
            found => found,
        }
    }

    fn bytes(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
        if !state.is_greeted[from.index()] {
            return self.banner(state, at, from, bytes);
        }
        let Some(offer) = KexInit::new(bytes) else {
            let is_first = bytes.len() < 6 || bytes[5] == 20;
            return match is_first && bytes.len() < MOST_OFFER {
                true => Step::More,
                false => Step::Done,
            };
        };
        match &state.offer {
            Some((first, _)) if *first == from => Step::Done,
            None => {
                state.offer = Some((from, bytes[..offer.len].into()));
                Step::Take(offer.len)
            }
            Some((_, other)) => {
                if let Some(other) = KexInit::new(other) {
                    match from {
                        Peer::Client => self.agreed(at, &offer, &other),
                        Peer::Server => self.agreed(at, &other, &offer),
                    }
                }
                Step::Done
            }
        }
    }

    fn is_confirmed(state: &State) -> bool {
        state.is_greeted[Peer::Server.index()]
    }

    fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        self.weak.findings(facts, findings);
    }
}

impl Detector {
    fn banner(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
        let Some(banner) = Banner::new(bytes) else {
            // Other lines may come before that of a server (RFC 4253 section 4.2).
            let line = bytes.iter().position(|byte| *byte == b'\n');
            return match line {
                _ if bytes.starts_with(b"SSH-") && bytes.len() < 256 => Step::More,
                Some(end) if !bytes.starts_with(b"SSH-") => Step::Take(end + 1),
                None if bytes.len() < 256 => Step::More,
                _ => Step::Done,
            };
        };
        state.is_greeted[from.index()] = true;
        if banner.is_version_1() && from == Peer::Server {
            self.weak.add(at, &rules::SSH_1);
            return Step::Done;
        }
        Step::Take(banner.len)
    }

    /// Both ends have said what they offer.
    fn agreed(&mut self, at: &At, client: &KexInit<'_>, server: &KexInit<'_>) {
        let places = [
            (list::KEX, rules::WEAK_KEY_EXCHANGES),
            (list::HOST_KEY, rules::WEAK_HOST_KEYS),
            (list::CIPHER, rules::WEAK_CIPHERS),
            (list::MAC, rules::WEAK_MACS),
        ];
        let cipher = client.chosen(server, list::CIPHER).unwrap_or_default();
        // These bring an authentication of their own.
        let has_own_mac = cipher.ends_with(b"-poly1305@openssh.com")
            || cipher.windows(4).any(|part| part == b"-gcm");
        for (place, weak) in places {
            let Some(chosen) = client.chosen(server, place) else {
                continue;
            };
            if place == list::MAC && has_own_mac {
                continue;
            }
            if let Some(choice) = weak.iter().find(|weak| weak.name.as_bytes() == chosen) {
                self.weak.add(at, choice);
            }
        }
    }
}
