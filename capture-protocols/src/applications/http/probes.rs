//! Requests with text that attacks on known weaknesses have. The text is looked for in targets and headers of requests
//! alone: in bodies and in responses it is a matter of honest pages.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::{
    address::Address,
    applications::protocol::At,
    evidence::Evidence,
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::application as rules,
};

/// Most pairs of client and server that are told apart.
const MOST: usize = 256;

/// Most bytes of a target or header that are looked at.
const MOST_TEXT: usize = 2048;

/// Most kinds that a finding names.
const MOST_NAMED: usize = 3;

/// Requests of a client to a server.
#[derive(Clone, Debug, Default)]
struct Client {
    requests: Evidence,
    /// How often each text was found.
    found: [u32; rules::PROBES.len()],
}

/// Looks for the texts.
#[derive(Clone, Debug)]
pub(super) struct Probes {
    texts: Option<AhoCorasick>,
    clients: Lru<(Address, Address, u16), Box<Client>>,
}

impl Default for Probes {
    fn default() -> Self {
        let texts = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostFirst)
            .build(rules::PROBES);
        Self {
            // Of fixed and short texts it can be built.
            texts: texts.ok(),
            clients: Lru::new(MOST),
        }
    }
}

impl Probes {
    /// Looks at the target of a request, or at the value of a header.
    pub(super) fn look(&mut self, at: &At, text: &[u8]) {
        let Some(texts) = &self.texts else { return };
        let mut room = [0; MOST_TEXT];
        let text = decoded(text, &mut room);
        let Some(found) = texts.find(text) else {
            return;
        };
        let key = (at.client, at.server, at.port);
        let client = self.clients.entry(&key, Box::default);
        client.requests.add(at.number, at.ns);
        if let Some(count) = client.found.get_mut(found.pattern().as_usize()) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn findings(&self, findings: &mut Vec<Finding>) {
        let mut clients: Vec<_> = self.clients.iter().collect();
        clients.sort_by_key(|(key, _)| **key);
        findings.extend(
            clients
                .into_iter()
                .map(|(key, client)| finding(*key, client)),
        );
    }
}

/// The text with `%xx` and `+` read, twice as some servers do, in room for the start of it.
fn decoded<'d>(text: &'d [u8], room: &'d mut [u8; MOST_TEXT]) -> &'d [u8] {
    let mut len = text.len().min(room.len());
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return &text[..len];
    }
    room[..len].copy_from_slice(&text[..len]);
    for _ in 0..2 {
        len = decode(room, len);
    }
    &room[..len]
}

fn decode(text: &mut [u8; MOST_TEXT], len: usize) -> usize {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (mut from, mut to) = (0, 0);
    while from < len {
        let escaped = text[..len].get(from + 1..from + 3);
        let escaped = escaped.and_then(|digits| Some(digit(digits[0])? << 4 | digit(digits[1])?));
        (text[to], from) = match (text[from], escaped) {
            (b'%', Some(byte)) => (byte as u8, from + 3),
            (b'+', _) => (b' ', from + 1),
            (byte, _) => (byte, from + 1),
        };
        to += 1;
    }
    to
}

fn finding((client, server, port): (Address, Address, u16), probes: &Client) -> Finding {
    let mut found: Vec<_> = rules::PROBES.iter().zip(probes.found).collect();
    found.retain(|(_, count)| *count > 0);
    found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others = found.len().saturating_sub(MOST_NAMED);
    let named = found.iter().take(MOST_NAMED);
    let named: Vec<_> = named
        .map(|(text, count)| format!("{text} ({count})"))
        .collect();
    let others = match others {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let summary = format!(
        "{client} sent HTTP requests to {server} port {port} with text that attacks have: {}{others}.",
        named.join(", ")
    );
    let check = format!(
        "{} && {} && tcp.dstport == {port} && tcp.len > 0",
        filter("src", client),
        filter("dst", server)
    );
    Finding::new(&rules::EXPLOIT_PROBE, summary, probes.requests.clone())
        .confidence(Confidence::Low)
        .subject(Subject {
            source: Some(client),
            destination: Some(server),
            destination_port: Some(port),
            protocol: Some("tcp"),
            ..Subject::default()
        })
        .check(check)
}
