//! What each server answered.

use crate::{
    address::Address,
    applications::protocol::At,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::application as rules,
};

/// Most servers that are told apart.
const MOST: usize = 256;

/// Most status codes of errors of a server that are told apart.
const MOST_CODES: usize = 16;

/// The figures of a server.
#[derive(Clone, Debug, Default)]
struct Server {
    requests: u64,
    responses: u64,
    /// With 4xx, but 401 and 407, which ask for a login.
    client_errors: Evidence,
    /// With 5xx.
    server_errors: Evidence,
    codes: Vec<(u16, u64)>,
    client: Option<Address>,
    has_other_clients: bool,
}

/// The servers that were asked last.
#[derive(Clone, Debug)]
pub(super) struct Servers(Lru<(Address, u16), Box<Server>>);

impl Default for Servers {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Servers {
    pub(super) fn request(&mut self, at: &At) {
        self.of(at).requests += 1;
    }

    pub(super) fn response(&mut self, at: &At, status: u16) {
        let server = self.of(at);
        server.responses += 1;
        let errors = match status {
            401 | 407 => return,
            400..500 => &mut server.client_errors,
            500..600 => &mut server.server_errors,
            _ => return,
        };
        errors.add(at.number, at.ns);
        let first = *server.client.get_or_insert(at.client);
        server.has_other_clients |= first != at.client;
        match server.codes.iter_mut().find(|(code, _)| *code == status) {
            Some((_, count)) => *count += 1,
            None => {
                server.codes.push((status, 1));
                server.codes.truncate(MOST_CODES);
            }
        }
    }

    fn of(&mut self, at: &At) -> &mut Server {
        self.0.entry(&(at.server, at.port), Box::default)
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut servers: Vec<_> = self.0.iter().collect();
        servers.sort_by_key(|(key, _)| **key);
        let servers = servers.into_iter();
        findings.extend(servers.filter_map(|(key, server)| judge(*key, server, facts)));
    }
}

fn judge((address, port): (Address, u16), server: &Server, facts: &Facts) -> Option<Finding> {
    let (of_server, of_client) = (&server.server_errors, &server.client_errors);
    let share = |errors: &Evidence| errors.count() as f64 / server.responses.max(1) as f64;
    let fails = rules::SERVER_ERRORS.is_reached(of_server.count() as f64)
        && rules::SERVER_ERROR_SHARE.is_reached(share(of_server));
    let refuses = rules::CLIENT_ERRORS.is_reached(of_client.count() as f64)
        && rules::CLIENT_ERROR_SHARE.is_reached(share(of_client));
    let (packets, class) = match (fails, refuses) {
        (false, false) => return None,
        (true, false) => (of_server.clone(), "5"),
        (false, true) => (of_client.clone(), "4"),
        (true, true) => {
            let mut both = of_server.clone();
            both.merge(of_client);
            (both, "[45]")
        }
    };
    let what = match (fails, refuses) {
        (true, true) => "errors of the server (5xx) or the request (4xx)",
        (true, false) => "errors of the server (5xx)",
        _ => "errors of the request (4xx)",
    };
    let is_counted = |code: u16| if code >= 500 { fails } else { refuses };
    let codes = server.codes.iter().filter(|(code, _)| is_counted(*code));
    let most = codes.max_by_key(|(code, count)| (*count, std::cmp::Reverse(*code)));
    let most = most.map_or(String::new(), |(code, count)| {
        format!(", most often {code} ({count} times)")
    });
    let to = match (server.client, server.has_other_clients) {
        (Some(client), false) => format!(" of {client}"),
        _ => String::new(),
    };
    let summary = format!(
        "{address} port {port} answered {} of {} HTTP requests{to} with {what}{most}.",
        packets.count(),
        server.responses.max(server.requests)
    );
    let check = format!(
        "{} && tcp.srcport == {port} && tcp.payload matches \"HTTP/1.. {class}\"",
        filter("src", address)
    );
    Some(
        Finding::new(&rules::HTTP_ERRORS, summary, packets)
            .confidence(confidence(facts, Confidence::High))
            .subject(Subject {
                source: server.client.filter(|_| !server.has_other_clients),
                destination: Some(address),
                destination_port: Some(port),
                protocol: Some("tcp"),
                ..Subject::default()
            })
            .check(check),
    )
}
