//! Versions and ciphers that no longer protect.

use std::cmp::Reverse;

use crate::applications::protocol::{At, Service};
use crate::{
    address::Address,
    app::tls::{suite_name, version, version_name, weakness},
    evidence::Evidence,
    finding::{Finding, Subject},
    lru::Lru,
    rules::application as rules,
};

/// Most services, versions and ciphers that are told apart.
const MOST: usize = 512;

/// Most findings.
const MOST_FINDINGS: usize = 50;

/// What a service agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    service: Service,
    version: u16,
    cipher: u16,
}

#[derive(Clone, Debug)]
struct Agreed {
    name: Option<Box<str>>,
    client: Address,
    has_others: bool,
    packets: Evidence,
}

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Weak(Lru<Key, Agreed>);

impl Default for Weak {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Weak {
    /// What a server took.
    pub(super) fn add(&mut self, at: &At, version: u16, cipher: u16, name: Option<&str>) {
        let weakness = weakness(cipher);
        if weakness.is_none() && version >= version::TLS_1_2 {
            return;
        }
        let key = Key {
            service: at.service(),
            version,
            // A cipher that is good enough does not matter.
            cipher: weakness.map_or(0xffff, |_| cipher),
        };
        let agreed = self.0.entry(&key, || Agreed {
            name: name.map(Into::into),
            client: at.client,
            has_others: false,
            packets: Evidence::default(),
        });
        agreed.has_others |= agreed.client != at.client;
        agreed.packets.add(at.number, at.ns);
    }

    pub(super) fn findings(&self, findings: &mut Vec<Finding>) {
        let mut agreed: Vec<_> = self.0.iter().collect();
        agreed.sort_by_key(|(key, agreed)| (Reverse(agreed.packets.count()), **key));
        for (key, agreed) in agreed.into_iter().take(MOST_FINDINGS) {
            findings.push(finding(key, agreed));
        }
    }
}

fn finding(key: &Key, agreed: &Agreed) -> Finding {
    let Key {
        service,
        version,
        cipher,
    } = key;
    let version = version_name(*version).unwrap_or("an old version");
    let what = match (suite_name(*cipher), weakness(*cipher)) {
        (Some(suite), Some(weakness)) => {
            format!("{version} with {suite}, {}", weakness.words())
        }
        _ => version.to_owned(),
    };
    let client = match agreed.has_others {
        true => "several clients".to_owned(),
        false => agreed.client.to_string(),
    };
    let connections = match agreed.packets.count() {
        1 => "a connection".to_owned(),
        count => format!("{count} connections"),
    };
    let name = agreed.name.as_deref();
    let name = name.map_or_else(String::new, |name| format!(" ({name})"));
    let summary = format!("In {connections}, {service}{name} agreed with {client} to {what}.");
    let mut check = format!("tls.handshake.type == 2 && {}", service.filter_from());
    if weakness(*cipher).is_some() {
        check = format!("{check} && tls.handshake.ciphersuite == {cipher:#06x}");
    }
    let subject = Subject {
        source: (!agreed.has_others).then_some(agreed.client),
        name: agreed.name.as_deref().map(str::to_owned),
        ..service.subject()
    };
    Finding::new(&rules::WEAK_CRYPTO, summary, agreed.packets.clone())
        .subject(subject)
        .check(check)
}
