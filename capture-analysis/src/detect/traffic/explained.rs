//! What scans and floods explain: their refusals and silences are no findings of their own.

use std::collections::BTreeSet;

use crate::{address::Address, finding::Finding};

/// What is explained.
#[derive(Clone, Debug, Default)]
pub(crate) struct Explained {
    /// Of a scanner and its target.
    pairs: BTreeSet<(Address, Address)>,
    /// Of a scanner and the port that it tries everywhere.
    sweeps: BTreeSet<(Address, u16)>,
    /// Of a client that guesses passwords of a service.
    guesses: BTreeSet<(Address, Address, u16)>,
    /// Of a service that is flooded.
    services: BTreeSet<(Address, u16)>,
}

impl Explained {
    pub(super) fn pair(&mut self, source: Address, target: Address) {
        self.pairs.insert((source, target));
    }

    pub(super) fn sweep(&mut self, source: Address, port: u16) {
        self.sweeps.insert((source, port));
    }

    pub(super) fn service(&mut self, target: Address, port: u16) {
        self.services.insert((target, port));
    }

    pub(super) fn guess(&mut self, client: Address, server: Address, port: u16) {
        self.guesses.insert((client, server, port));
    }

    /// Whether this client guesses passwords of that service.
    pub(super) fn is_guess(&self, client: Address, server: Address, port: u16) -> bool {
        self.guesses.contains(&(client, server, port))
    }

    /// Whether a scan of this host by that one was found.
    pub(super) fn is_scan(&self, source: Address, target: Address) -> bool {
        self.pairs.contains(&(source, target))
    }

    /// Whether connections that did not come to be are those of a scan or a flood.
    pub(crate) fn explains(&self, finding: &Finding) -> bool {
        let about_setup = matches!(
            finding.code,
            "tcp.refused" | "tcp.no_answer" | "tcp.rejected" | "tcp.backlog" | "tcp.slow_handshake"
        );
        let subject = &finding.subject;
        let (source, target) = (subject.source, subject.destination);
        let port = subject.destination_port;
        let pair = source.zip(target);
        let sweep = source.zip(port);
        let service = target.zip(port);
        about_setup
            && (pair.is_some_and(|pair| self.pairs.contains(&pair))
                || sweep.is_some_and(|sweep| self.sweeps.contains(&sweep))
                || service.is_some_and(|service| self.services.contains(&service)))
    }
}
