//! Certificates that clients should not accept.

use std::{
    cmp::Reverse,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
};

use crate::applications::protocol::{At, Service};
use crate::{
    app::{certificate::Certificate, dns::hash},
    evidence::Evidence,
    finding::{Finding, Subject, time},
    lru::Lru,
    rules::tls as rules,
    text::escaped,
};

/// Most certificates that are remembered, and most of them with something wrong about them.
const MOST: usize = 256;

/// Most findings.
const MOST_FINDINGS: usize = 50;

/// Most characters of a name of a certificate, and most names that are shown.
const MOST_CHARACTERS: usize = 100;
const MOST_NAMES: usize = 3;

/// In seconds.
const DAY: u64 = 86_400;

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Faults {
    is_expired: bool,
    is_early: bool,
    is_self_signed: bool,
    is_of_others: bool,
}

/// A certificate that a service shows for a name, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    service: Service,
    certificate: u64,
    name: u64,
    faults: Faults,
}

#[derive(Clone, Debug)]
struct Shown {
    name: Option<Box<str>>,
    certificate: Certificate,
    packets: Evidence,
}

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    /// By their hash. `None` for what is none.
    parsed: Lru<u64, Option<Certificate>>,
    /// Seeded, so that nobody makes two of the same hash.
    hasher: RandomState,
    faulty: Lru<Key, Shown>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self {
            parsed: Lru::new(MOST),
            hasher: RandomState::new(),
            faulty: Lru::new(MOST),
        }
    }
}

impl Certificates {
    /// A certificate that was shown to a client that asked for `name`.
    pub(super) fn add(&mut self, at: &At, der: &[u8], name: Option<&str>) {
        let id = self.hasher.hash_one(der);
        let parsed = self.parsed.entry(&id, || Certificate::new(der));
        let Some(certificate) = parsed else { return };
        let now = at.ns / 1_000_000_000;
        let faults = Faults {
            is_expired: certificate.not_after < now,
            is_early: certificate.not_before > now,
            is_self_signed: certificate.is_self_signed,
            is_of_others: name.is_some_and(|name| !is_for(certificate, name)),
        };
        if faults == Faults::default() {
            return;
        }
        let key = Key {
            service: at.service(),
            certificate: id,
            name: name.map_or(0, |name| hash(name.as_bytes())),
            faults,
        };
        let shown = self.faulty.entry(&key, || Shown {
            name: name.map(Into::into),
            certificate: certificate.clone(),
            packets: Evidence::default(),
        });
        shown.packets.add(at.number, at.ns);
    }

    pub(super) fn findings(&self, findings: &mut Vec<Finding>) {
        let mut faulty: Vec<_> = self.faulty.iter().collect();
        faulty.sort_by_key(|(key, shown)| {
            let packets = &shown.packets;
            (Reverse(packets.count()), key.service, packets.since_ns())
        });
        for (key, shown) in faulty.into_iter().take(MOST_FINDINGS) {
            findings.push(finding(key, shown));
        }
    }
}

/// Whether it is for a host of this name, or this address: some clients send one though they should not.
fn is_for(certificate: &Certificate, name: &str) -> bool {
    let address: Option<IpAddr> = name.parse().ok();
    address.is_some_and(|address| certificate.addresses.contains(&address))
        || certificate.is_for(name)
}

fn finding(key: &Key, shown: &Shown) -> Finding {
    let service = &key.service;
    let Shown {
        name,
        certificate,
        packets,
    } = shown;
    let now = packets.since_ns() / 1_000_000_000;
    let mut faults = Vec::new();
    if key.faults.is_expired {
        let ago = days(now.saturating_sub(certificate.not_after));
        faults.push(format!(
            "expired on {}, {ago} before",
            date(certificate.not_after)
        ));
    }
    if key.faults.is_early {
        faults.push(format!(
            "is not valid before {}",
            date(certificate.not_before)
        ));
    }
    if key.faults.is_of_others {
        let whom = whom(certificate);
        faults.push(format!(
            "is not for {}, but for {whom}",
            name.as_deref().unwrap_or_default()
        ));
    }
    if key.faults.is_self_signed {
        faults.push("is signed by itself".to_owned());
    }
    let last = faults.pop().unwrap_or_default();
    let faults = match faults.is_empty() {
        true => last,
        false => format!("{} and {last}", faults.join(", ")),
    };
    let times = match packets.count() {
        1 => String::new(),
        count => format!(", shown {count} times,"),
    };
    let asked = match (name, key.faults.is_of_others) {
        (Some(name), false) => format!(" ({name})"),
        _ => String::new(),
    };
    let summary = format!("The certificate of {service}{asked}{times} {faults}.");
    let subject = Subject {
        name: name.as_deref().map(str::to_owned),
        ..service.subject()
    };
    Finding::new(&rules::CERTIFICATE, summary, packets.clone())
        .subject(subject)
        .check(format!(
            "tls.handshake.type == 11 && {}",
            service.filter_from()
        ))
}

/// Whom a certificate is for.
fn whom(certificate: &Certificate) -> String {
    let shown = |name: &str| escaped(name.as_bytes(), MOST_CHARACTERS).to_string();
    let names = certificate.names.iter().map(|name| shown(name));
    let mut all: Vec<_> = names
        .chain(certificate.addresses.iter().map(ToString::to_string))
        .take(MOST_NAMES + 1)
        .collect();
    let others = certificate.names.len() + certificate.addresses.len();
    if all.is_empty() {
        return match &certificate.common_name {
            Some(name) => shown(name),
            None => "nobody".to_owned(),
        };
    }
    all.truncate(MOST_NAMES);
    match others.saturating_sub(MOST_NAMES) {
        0 => all.join(", "),
        others => format!("{} and {others} more", all.join(", ")),
    }
}

/// A day, as `2026-01-31`.
fn date(seconds: u64) -> String {
    let day = time(seconds.saturating_mul(1_000_000_000));
    day.map_or_else(
        || "a day".to_owned(),
        |day| day.strftime("%Y-%m-%d").to_string(),
    )
}

fn days(seconds: u64) -> String {
    match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}
