//! Who speaks TLS with whom, for the report.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    app::{
        dns::hash,
        tls::{Ja4, Transport, version_name},
    },
    lru::Lru,
    report::{TlsClient, TlsName, TlsReport},
};

/// Most names and fingerprints that are counted at once, and most of each that the report has.
const MOST: usize = 1024;
const TOP: usize = 20;

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    connections: u64,
    over_quic: u64,
    versions: BTreeMap<&'static str, u64>,
    names: Lru<u64, (Box<str>, u64)>,
    fingerprints: Lru<Ja4, u64>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            connections: 0,
            over_quic: 0,
            versions: BTreeMap::new(),
            names: Lru::new(MOST),
            fingerprints: Lru::new(MOST),
        }
    }
}

impl Clients {
    /// A client said hello.
    pub(super) fn hello(&mut self, name: Option<&str>, fingerprint: Ja4, transport: Transport) {
        self.connections += 1;
        self.over_quic += u64::from(transport == Transport::Quic);
        *self.fingerprints.entry(&fingerprint, || 0) += 1;
        if let Some(name) = name {
            let new = || (name.into(), 0);
            self.names.entry(&hash(name.as_bytes()), new).1 += 1;
        }
    }

    /// A server took a version.
    pub(super) fn answer(&mut self, version: u16) {
        let name = version_name(version).unwrap_or("other");
        *self.versions.entry(name).or_default() += 1;
    }

    /// The figures; `None` without TLS.
    pub(super) fn report(&self) -> Option<TlsReport> {
        if self.connections == 0 {
            return None;
        }
        let names = self.names.iter();
        let mut names: Vec<_> = names
            .map(|(_, (name, connections))| TlsName {
                name: name.to_string(),
                connections: *connections,
            })
            .collect();
        names.sort_by(|a, b| {
            (Reverse(a.connections), &a.name).cmp(&(Reverse(b.connections), &b.name))
        });
        names.truncate(TOP);
        let fingerprints = self.fingerprints.iter();
        let mut fingerprints: Vec<_> = fingerprints.collect();
        fingerprints
            .sort_by_key(|(fingerprint, connections)| (Reverse(**connections), **fingerprint));
        let fingerprints = fingerprints.into_iter().take(TOP);
        Some(TlsReport {
            connections: self.connections,
            over_quic: self.over_quic,
            versions: self.versions.clone(),
            names,
            clients: fingerprints
                .map(|(fingerprint, connections)| TlsClient {
                    ja4: fingerprint.to_string(),
                    connections: *connections,
                })
                .collect(),
        })
    }
}
