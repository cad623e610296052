//! Domains whose names carry data: many different, long ones below one domain.

use crate::{
    address::Address,
    app::dns::{Name, Question, hash, kind},
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::dns as rules,
    seen::Seen,
    sketch::Distinct,
    text::is_plain,
};

/// Most domains that are told apart.
const MOST: usize = 512;

/// Letters, digits, one for other characters of ASCII, and the bytes above it, which tunnels use where they pass.
const CHARACTERS: usize = 37 + 128;

#[derive(Clone, Debug)]
struct Domain {
    name: Name,
    client: Address,
    /// Names in front of the domain, each counted once: number, bytes, characters.
    names: Distinct,
    bytes: u64,
    characters: [u32; CHARACTERS],
    /// Queries, and those for types whose answers hold data.
    queries: u64,
    carriers: u64,
    packets: Evidence,
}

/// Measures what is asked below each domain.
#[derive(Clone, Debug)]
pub(super) struct Domains(Lru<u64, Box<Domain>>);

impl Default for Domains {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Domains {
    pub(super) fn query(&mut self, seen: &Seen<'_, '_>, question: &Question, client: Address) {
        // Reverse names are long by nature.
        if question.name.is_below(b"\x04arpa") {
            return;
        }
        let (name, front) = question.name.split_domain();
        if front.is_empty() {
            return;
        }
        let domain = self.0.entry(&name.hash(), || {
            Box::new(Domain {
                name,
                client,
                names: Distinct::default(),
                bytes: 0,
                characters: [0; CHARACTERS],
                queries: 0,
                carriers: 0,
                packets: Evidence::default(),
            })
        });
        domain.queries += 1;
        domain.packets.add(seen.number, seen.ns);
        let carriers = [kind::NULL, kind::TXT, kind::PRIVATE];
        domain.carriers += u64::from(carriers.contains(&question.kind));
        if !domain.names.add(hash(front)) {
            return;
        }
        domain.bytes += front.len() as u64;
        // The lengths between the labels are among them, which are few.
        for byte in front {
            let place = match byte {
                b'a'..=b'z' => byte - b'a',
                b'0'..=b'9' => byte - b'0' + 26,
                0x80.. => byte - 0x80 + 37,
                _ => 36,
            };
            domain.characters[usize::from(place)] += 1;
        }
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let domains = self.0.iter().map(|(_, domain)| &**domain);
        let mut domains: Vec<_> = domains.filter(|domain| domain.carries_data()).collect();
        domains.sort_by_key(|domain| domain.packets.since_ns());
        findings.extend(domains.into_iter().map(|domain| domain.finding(facts)));
    }
}

impl Domain {
    fn mean_len(&self) -> f64 {
        // Of the names that the sketch took for new ones.
        let counted = self.names.added() as f64;
        self.bytes as f64 / counted.max(1.0)
    }

    fn carries_data(&self) -> bool {
        self.names.count() >= rules::TUNNEL_NAMES.count()
            && rules::TUNNEL_LENGTH.is_reached(self.mean_len())
            && rules::TUNNEL_ENTROPY.is_reached(entropy(&self.characters))
    }

    fn finding(&self, facts: &Facts) -> Finding {
        let names = self.names.count();
        let bytes = (self.mean_len() * names as f64) as u64;
        let mut summary = format!(
            "{} asked for about {names} different names below {}, {:.0} bytes long on average: {} kB that may be data",
            self.client,
            self.name,
            self.mean_len(),
            bytes.div_ceil(1000)
        );
        let share = self.carriers as f64 / self.queries as f64;
        let has_carriers = rules::TUNNEL_CARRIERS.is_reached(share);
        if has_carriers {
            summary.push_str(&format!(
                "; {:.0} % of the queries are for TXT, NULL or private types",
                share * 100.0
            ));
        }
        summary.push('.');
        let sure = if has_carriers {
            Confidence::High
        } else {
            Confidence::Medium
        };
        let name = self.name.to_string();
        let check = match is_plain(&name) {
            true => format!("dns.flags.response == 0 && dns.qry.name contains \"{name}\""),
            false => "dns.flags.response == 0".to_owned(),
        };
        Finding::new(&rules::TUNNEL, summary, self.packets.clone())
            .confidence(confidence(facts, sure))
            .subject(Subject {
                source: Some(self.client),
                protocol: Some("udp"),
                name: Some(name),
                ..Subject::default()
            })
            .check(check)
    }
}

/// Bits a character (Shannon 1948).
fn entropy(counts: &[u32]) -> f64 {
    let all = f64::from(counts.iter().sum::<u32>().max(1));
    let counts = counts.iter().filter(|count| **count > 0);
    let bits = counts.map(|count| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    });
    bits.sum()
}
