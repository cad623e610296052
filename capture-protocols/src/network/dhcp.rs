//! DHCP and DHCPv6: several servers, refusals, and clients that nobody answers.

use std::fmt::Write as _;

use crate::network::link::Link;
use crate::{
    address::{Address, Mac},
    app::{dhcp, dhcpv6},
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::link as rules,
    seen::Seen,
    severity::Severity,
    text,
};

/// Most clients that are remembered.
const MOST_CLIENTS: usize = 4096;

/// Most servers that are told apart.
const MOST_SERVERS: usize = 32;

/// A client: VLAN, version, hardware address or a number for its DUID.
type Who = (Option<u16>, Version, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    V4,
    V6,
}

#[derive(Clone, Debug, Default)]
struct Client {
    mac: Option<Mac>,
    /// Searches since the last answer.
    searches: Evidence,
    /// Refusals since it last got an address.
    refusals: Evidence,
    refused_by: Option<Address>,
    requested: Option<Address>,
    /// The transaction in which it got an address, until it asks again.
    acknowledged: Option<u32>,
}

/// What a server tells its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    mask: Option<Address>,
    router: Option<Address>,
    name_server: Option<Address>,
}

#[derive(Clone, Debug)]
struct Server {
    /// Link, relay and version: servers of one network.
    network: (Link, Option<Address>, Version),
    address: Address,
    mac: Option<Mac>,
    settings: Option<Settings>,
    offers: Evidence,
}

/// Measures who asks for addresses and who gives them.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    clients: Lru<Who, Client>,
    servers: Vec<Server>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            clients: Lru::new(MOST_CLIENTS),
            servers: Vec::new(),
        }
    }
}

impl Detector {
    pub(super) fn v4(&mut self, seen: &Seen<'_, '_>) {
        let Some(message) = dhcp::Message::new(seen.headers.payload) else {
            return;
        };
        let [a, b, c, d, e, f] = message.client.0;
        let id = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let who = (seen.headers.vlan, Version::V4, id);
        let client = self.clients.entry(&who, Client::default);
        client.mac = Some(message.client);
        let source = seen.headers.ip.map(|ip| ip.source);
        match message.kind {
            dhcp::kind::DISCOVER => client.searches.add(seen.number, seen.ns),
            dhcp::kind::REQUEST => {
                client.requested = message.requested.or(client.requested);
                client.acknowledged = None;
            }
            dhcp::kind::OFFER | dhcp::kind::ACK => {
                client.answered();
                if message.kind == dhcp::kind::ACK {
                    client.refusals = Evidence::default();
                    client.acknowledged = Some(message.transaction);
                }
                let network = (Link::of(seen), Some(message.relay), Version::V4);
                let settings = Settings {
                    mask: message.mask,
                    router: message.router,
                    name_server: message.name_server,
                };
                // What answers DHCPINFORM, or offers a boot file alone, gives no address.
                let server = message.server.or(source);
                if let Some(address) = server.filter(|_| !message.given.is_unspecified()) {
                    self.server(seen, network, address, Some(settings));
                }
            }
            // Another server refuses what its rival has just given: the client has its address.
            dhcp::kind::NAK if client.acknowledged == Some(message.transaction) => {}
            dhcp::kind::NAK => {
                client.refusals.add(seen.number, seen.ns);
                client.refused_by = message.server.or(source);
            }
            _ => {}
        }
    }

    pub(super) fn v6(&mut self, seen: &Seen<'_, '_>) {
        let Some(message) = dhcpv6::Message::new(seen.headers.payload) else {
            return;
        };
        let Some(id) = message.client else { return };
        let who = (seen.headers.vlan, Version::V6, id);
        let client = self.clients.entry(&who, Client::default);
        match message.kind {
            dhcpv6::kind::SOLICIT => client.searches.add(seen.number, seen.ns),
            dhcpv6::kind::ADVERTISE | dhcpv6::kind::REPLY => {
                client.answered();
                let is_relayed = seen.headers.transport.ports() == Some((547, 547));
                if let (Some(ip), false) = (seen.headers.ip, is_relayed) {
                    let network = (Link::of(seen), None, Version::V6);
                    self.server(seen, network, ip.source, None);
                }
            }
            _ => {}
        }
    }

    fn server(
        &mut self,
        seen: &Seen<'_, '_>,
        network: (Link, Option<Address>, Version),
        address: Address,
        settings: Option<Settings>,
    ) {
        let mac = seen.headers.ethernet.map(|ethernet| ethernet.source);
        // A station that serves several networks of one link has an address in each. What a relay hands on comes from
        // the router, whichever server it is of.
        let is_direct = network.1.is_none_or(Address::is_unspecified);
        let is_same = |one: &&mut Server| {
            let is_station = is_direct && mac.is_some() && one.mac == mac;
            one.network == network && (one.address == address || is_station)
        };
        if let Some(server) = self.servers.iter_mut().find(is_same) {
            server.settings = server.settings.or(settings);
            server.offers.add(seen.number, seen.ns);
        } else if self.servers.len() < MOST_SERVERS {
            self.servers.push(Server {
                network,
                address,
                mac,
                settings,
                offers: Evidence::of(seen.number, seen.ns),
            });
        }
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        self.several_servers(facts, findings);
        self.refusals(findings);
        self.unanswered(facts, findings);
    }

    fn several_servers(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        for (index, first) in self.servers.iter().enumerate() {
            let is_of_network = |server: &&Server| server.network == first.network;
            if self.servers[..index]
                .iter()
                .any(|server| is_of_network(&server))
            {
                continue;
            }
            let servers: Vec<_> = self.servers[index..].iter().filter(is_of_network).collect();
            if let [_, .., last] = servers[..] {
                findings.push(several(&servers, last, facts));
            }
        }
    }

    /// Refusals, of each server one finding.
    fn refusals(&self, findings: &mut Vec<Finding>) {
        let refused = |client: &Client| client.refusals.count() >= rules::REFUSALS.count();
        let mut clients: Vec<_> = self.clients.iter().map(|(_, client)| client).collect();
        clients.retain(|client| refused(client));
        clients.sort_by_key(|client| (client.refused_by, client.refusals.since_ns(), client.mac));
        for clients in clients.chunk_by(|one, other| one.refused_by == other.refused_by) {
            let mut packets = Evidence::default();
            for client in clients {
                packets.merge(&client.refusals);
            }
            let server = clients[0].refused_by;
            let mut summary = "A DHCP server".to_owned();
            if let Some(server) = server {
                let _ = write!(summary, ", {server},");
            }
            let _ = write!(summary, " refused ");
            let _ = match clients {
                [client] => write!(summary, "{}", client.mac.unwrap_or_default()),
                more => write!(summary, "{} clients", more.len()),
            };
            if let ([client], Some(address)) = (clients, clients[0].requested) {
                let _ = (client, write!(summary, " the address {address}"));
            }
            let _ = write!(
                summary,
                " {}, without an address afterwards.",
                text::several(packets.count(), "time")
            );
            findings.push(
                Finding::new(&rules::DHCP_NAK, summary, packets)
                    .subject(Subject {
                        destination: server,
                        mac: clients[0].mac,
                        protocol: Some("udp"),
                        ..Subject::default()
                    })
                    .check("dhcp.option.dhcp == 6".to_owned()),
            );
        }
    }

    /// Clients without an answer, of each version one finding.
    fn unanswered(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        for version in [Version::V4, Version::V6] {
            let is_unanswered = |who: &Who, client: &Client| {
                who.1 == version
                    && client.searches.count() >= rules::SEARCHES.count()
                    && facts.may_claim_absence(client.searches.until_ns())
            };
            let clients = self
                .clients
                .iter()
                .filter(|(who, client)| is_unanswered(who, client));
            let mut clients: Vec<_> = clients.map(|(_, client)| client).collect();
            clients.sort_by_key(|client| (client.searches.since_ns(), client.mac));
            let Some(first) = clients.first() else {
                continue;
            };
            let mut packets = Evidence::default();
            for client in &clients {
                packets.merge(&client.searches);
            }
            let (name, check) = match version {
                Version::V4 => ("DHCP", "dhcp.option.dhcp == 1"),
                Version::V6 => ("DHCPv6", "dhcpv6.msgtype == 1"),
            };
            let who = match (clients.len(), first.mac) {
                (1, Some(mac)) => mac.to_string(),
                (1, None) => "A client".to_owned(),
                (more, _) => format!("{more} clients"),
            };
            let summary = format!(
                "{who} searched for a {name} server {} times, and none made an offer.",
                packets.count()
            );
            // Offers to others show that they would have been seen.
            let are_offers_seen = self
                .servers
                .iter()
                .any(|server| server.network.2 == version);
            findings.push(
                Finding::new(&rules::DHCP_NO_OFFER, summary, packets)
                    .confidence(match are_offers_seen {
                        true => Confidence::High,
                        false => Confidence::Medium,
                    })
                    .subject(Subject {
                        mac: first.mac,
                        protocol: Some("udp"),
                        ..Subject::default()
                    })
                    .check(check.to_owned()),
            );
        }
    }
}

impl Client {
    fn answered(&mut self) {
        self.searches = Evidence::default();
    }
}

/// Several servers in one network.
fn several(servers: &[&Server], last: &Server, facts: &Facts) -> Finding {
    let mut packets = Evidence::default();
    for server in servers {
        packets.merge(&server.offers);
    }
    let settings: Vec<_> = servers
        .iter()
        .filter_map(|server| server.settings)
        .collect();
    let differ = settings.windows(2).any(|pair| pair[0] != pair[1]);
    let version = match last.network.2 {
        Version::V4 => "DHCP",
        Version::V6 => "DHCPv6",
    };
    let mut summary = format!(
        "{} {version} servers give addresses in one network: ",
        servers.len()
    );
    for (place, server) in servers.iter().take(4).enumerate() {
        summary.push_str(if place > 0 { ", " } else { "" });
        let _ = write!(summary, "{}", server.address);
        let Some(settings) = server.settings.filter(|_| differ) else {
            continue;
        };
        if let Some(router) = settings.router {
            let _ = write!(summary, " with router {router}");
        }
        if let Some(name_server) = settings.name_server {
            let _ = write!(summary, " and name server {name_server}");
        }
    }
    summary.push_str(match differ {
        true => "; what they say differs.",
        false => "; nothing that they say differs.",
    });
    let check = match last.network.2 {
        Version::V4 => "dhcp.option.dhcp == 2 || dhcp.option.dhcp == 5",
        Version::V6 => "dhcpv6.msgtype == 2 || dhcpv6.msgtype == 7",
    };
    let (severity, sure) = match differ {
        true => (Severity::High, Confidence::High),
        false => (Severity::Info, Confidence::Low),
    };
    Finding::new(&rules::DHCP_ROGUE, summary, packets)
        .severity(severity)
        .confidence(confidence(facts, sure))
        .subject(Subject {
            source: Some(last.address),
            mac: last.mac,
            protocol: Some("udp"),
            ..Subject::default()
        })
        .check(check.to_owned())
}
