//! One finding out of many alerts: those of one rule about one server are one, and those of one rule about many servers
//! as well.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use capture_analysis::{Confidence, Evidence, Finding, Severity, Subject, rules::Rule};
use capture_packet::address::Address;
use capture_task::count_text;
use jiff::Timestamp;

/// Most rules and servers that are told apart, and most servers and clients that are kept of each.
const MOST_GROUPS: usize = 4096;
const MOST_HOSTS: usize = 64;

/// From so many servers of a rule on, one finding has them all.
const MANY: usize = 4;

/// The ends of a flow, the server as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) client: IpAddr,
    pub(super) server: IpAddr,
    pub(super) client_port: u16,
    pub(super) server_port: u16,
    pub(super) protocol: Option<&'static str>,
}

/// What an engine says once.
#[derive(Clone, Debug)]
pub(super) struct Alert {
    /// What it is known by there.
    pub(super) id: String,
    /// In words that can be shown.
    pub(super) text: String,
    pub(super) severity: Severity,
    pub(super) flow: Option<Flow>,
    /// Nanoseconds since the Unix epoch.
    pub(super) since_ns: Option<u64>,
    pub(super) until_ns: Option<u64>,
    /// As in evidence; 0 where it does not say.
    pub(super) number: u64,
}

/// Where alerts come from.
pub(super) struct Source<'s> {
    pub(super) rule: &'static Rule,
    /// Name and version.
    pub(super) engine: &'s str,
    /// `alert`, `flow`.
    pub(super) unit: &'static str,
}

#[derive(Clone, Debug)]
struct Group {
    text: String,
    severity: Severity,
    count: u64,
    flows: BTreeSet<Flow>,
    /// Whether there are more flows than those.
    is_cut: bool,
    since_ns: Option<u64>,
    until_ns: Option<u64>,
    packets: Evidence,
}

/// Alerts of an engine by rule and server.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    groups: BTreeMap<(String, Option<(IpAddr, u16)>), Group>,
    pub(super) count: u64,
    /// Those for which there was no room.
    pub(super) left_out: u64,
}

impl Alerts {
    pub(super) fn add(&mut self, alert: Alert) {
        self.count += 1;
        let server = alert.flow.map(|flow| (flow.server, flow.server_port));
        let key = (alert.id, server);
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let group = self.groups.entry(key).or_insert_with(|| Group {
            text: alert.text,
            severity: alert.severity,
            count: 0,
            flows: BTreeSet::new(),
            is_cut: false,
            since_ns: None,
            until_ns: None,
            packets: Evidence::default(),
        });
        group.count += 1;
        group.severity = group.severity.max(alert.severity);
        if let Some(flow) = alert.flow {
            group.flow(flow);
        }
        group.during(alert.since_ns, alert.until_ns);
        if alert.number != 0 {
            let at = alert.since_ns.unwrap_or_default();
            group.packets.add(alert.number, at);
        }
    }

    /// The findings, the worst first.
    pub(super) fn findings(self, source: &Source<'_>) -> Vec<Finding> {
        let mut by_rule: BTreeMap<String, Vec<Group>> = BTreeMap::new();
        for ((id, _), group) in self.groups {
            by_rule.entry(id).or_default().push(group);
        }
        let mut findings = Vec::new();
        for (id, mut groups) in by_rule {
            if groups.len() >= MANY {
                let mut all = groups.swap_remove(0);
                for group in groups {
                    all.merge(group);
                }
                groups = vec![all];
            }
            findings.extend(groups.into_iter().map(|group| group.finding(&id, source)));
        }
        findings.sort_by_key(|it| (std::cmp::Reverse(it.severity), std::cmp::Reverse(it.count)));
        findings
    }
}

impl Group {
    fn flow(&mut self, flow: Flow) {
        if self.flows.len() < MOST_HOSTS || self.flows.contains(&flow) {
            self.flows.insert(flow);
        } else {
            self.is_cut = true;
        }
    }

    fn during(&mut self, since: Option<u64>, until: Option<u64>) {
        self.since_ns = [self.since_ns, since].into_iter().flatten().min();
        self.until_ns = self.until_ns.max(until).max(since);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.severity = self.severity.max(other.severity);
        self.is_cut |= other.is_cut;
        for flow in other.flows {
            self.flow(flow);
        }
        self.during(other.since_ns, other.until_ns);
        self.packets.merge(&other.packets);
    }

    fn finding(self, id: &str, source: &Source<'_>) -> Finding {
        let ends = Ends::of(&self.flows);
        let unit = match self.count {
            1 => source.unit.to_owned(),
            _ => format!("{}s", source.unit),
        };
        let mut summary = format!(
            "{}: {}, {} {unit}",
            source.engine,
            self.text,
            count_text(self.count)
        );
        summary.push_str(&ends.words(self.is_cut));
        let check = ends.filter(&self.packets);
        let mut finding = Finding::new(source.rule, summary, self.packets)
            .severity(self.severity)
            .confidence(Confidence::Medium)
            .subject(Subject {
                name: Some(self.text),
                ..ends.subject()
            })
            .count(self.count)
            .check(check);
        finding.since = self.since_ns.and_then(time);
        finding.until = self.until_ns.and_then(time);
        finding.reference = Cow::Owned(format!("{}, {id}", source.engine));
        finding
    }
}

/// What flows have in common.
struct Ends {
    clients: Vec<IpAddr>,
    servers: Vec<IpAddr>,
    client_port: Option<u16>,
    server_port: Option<u16>,
    protocol: Option<&'static str>,
}

impl Ends {
    fn of(flows: &BTreeSet<Flow>) -> Self {
        let all = |which: fn(&Flow) -> IpAddr| {
            let addresses: BTreeSet<_> = flows.iter().map(which).collect();
            addresses.into_iter().collect()
        };
        Self {
            clients: all(|flow| flow.client),
            servers: all(|flow| flow.server),
            client_port: common(flows, |flow| flow.client_port).filter(|port| *port != 0),
            server_port: common(flows, |flow| flow.server_port).filter(|port| *port != 0),
            protocol: common(flows, |flow| flow.protocol).flatten(),
        }
    }

    fn words(&self, is_cut: bool) -> String {
        let at_least = if is_cut { "at least " } else { "" };
        let hosts = |hosts: &[IpAddr]| match hosts {
            [host] => host.to_string(),
            hosts => format!("{at_least}{} hosts", hosts.len()),
        };
        let port = self.server_port.map(|port| match self.protocol {
            Some(protocol) => format!(", {protocol} port {port}"),
            None => format!(", port {port}"),
        });
        match (self.clients.as_slice(), self.servers.as_slice()) {
            ([], _) | (_, []) => String::new(),
            (clients, servers) => format!(
                ", from {} to {}{}",
                hosts(clients),
                hosts(servers),
                port.unwrap_or_default()
            ),
        }
    }

    fn subject(&self) -> Subject {
        let one = |hosts: &[IpAddr]| match hosts {
            [host] => Some(Address::from(*host)),
            _ => None,
        };
        Subject {
            source: one(&self.clients),
            destination: one(&self.servers),
            source_port: self.client_port,
            destination_port: self.server_port,
            protocol: self.protocol,
            ..Subject::default()
        }
    }

    /// The flows; without addresses the packets.
    fn filter(&self, packets: &Evidence) -> String {
        let mut parts = Vec::new();
        // More than these are left out: then the other side tells enough.
        let clients = Some(&self.clients).filter(|clients| **clients != self.servers);
        for hosts in [Some(&self.servers), clients].into_iter().flatten() {
            let hosts: Vec<_> = hosts
                .iter()
                .map(|host| match host {
                    IpAddr::V4(host) => format!("ip.addr == {host}"),
                    IpAddr::V6(host) => format!("ipv6.addr == {host}"),
                })
                .collect();
            match hosts.as_slice() {
                [] => {}
                [host] => parts.push(host.clone()),
                hosts if hosts.len() <= 8 => parts.push(format!("({})", hosts.join(" || "))),
                _ => {}
            }
        }
        if let Some(protocol) = self.protocol {
            let ports = [self.server_port, self.client_port];
            let ports = ports.into_iter().flatten();
            match (protocol, self.server_port) {
                ("icmp", _) => parts.push("(icmp || icmpv6)".to_owned()),
                (_, None) => parts.push(protocol.to_owned()),
                _ => parts.extend(ports.map(|port| format!("{protocol}.port == {port}"))),
            }
        }
        if parts.is_empty() {
            let numbers: Vec<_> = packets.cited().map(|it| it.number().to_string()).collect();
            if !numbers.is_empty() {
                parts.push(format!("frame.number in {{{}}}", numbers.join(", ")));
            }
        }
        parts.join(" && ")
    }
}

fn time(ns: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(ns.into()).ok()
}

/// What is the same of all flows.
fn common<T: PartialEq>(flows: &BTreeSet<Flow>, of: impl Fn(&Flow) -> T) -> Option<T> {
    let mut all = flows.iter().map(of);
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

/// The name of a transport protocol, where filters know it.
pub(super) fn protocol(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        "icmp" | "ipv6-icmp" | "icmpv6" => "icmp",
        _ => return None,
    })
}
