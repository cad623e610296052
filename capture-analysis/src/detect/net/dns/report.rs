//! DNS in the report: how much, how fast, with what result, and which names.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Detector;
use crate::{
    app::dns::{Name, code_name},
    histogram::Histogram,
    lru::Lru,
};

/// Most names that are counted at once, and most that the report has.
const MOST_NAMES: usize = 1024;
const TOP: usize = 20;

/// What was asked of DNS, and what came back.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DnsReport {
    /// Queries, each counted once however often it was sent.
    pub queries: u64,
    /// Answers.
    pub answers: u64,
    /// Messages over TCP among both.
    pub over_tcp: u64,
    /// From the first try of a query to its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<DnsLatency>,
    /// How many answers had which response code.
    pub codes: BTreeMap<&'static str, u64>,
    /// The names that were asked for most often.
    pub names: Vec<DnsName>,
}

/// Durations in microseconds. The quantiles are within a fifth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DnsLatency {
    /// The shortest.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The longest.
    pub max: u64,
}

/// A name and how often it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DnsName {
    /// The name, in lower case, what cannot be shown escaped.
    pub name: String,
    /// Queries. Of names that are rare too few may be counted, never too many.
    pub queries: u64,
}

/// Names by how often they are asked for. One that was not asked for in a long time gives way.
#[derive(Debug)]
pub(super) struct Names(Lru<u64, (Name, u64)>);

impl Default for Names {
    fn default() -> Self {
        Self(Lru::new(MOST_NAMES))
    }
}

impl Names {
    #[inline]
    pub(super) fn add(&mut self, name: &Name, hash: u64) {
        self.0.entry(&hash, || (*name, 0)).1 += 1;
    }

    fn top(&self) -> Vec<DnsName> {
        let mut names: Vec<_> = self
            .0
            .iter()
            .map(|(_, (name, count))| (*count, name))
            .collect();
        let most = |(count, name): &(u64, &Name)| (std::cmp::Reverse(*count), name.to_string());
        let last = names.len().min(TOP);
        if names.len() > TOP {
            names.select_nth_unstable_by_key(TOP, |(count, _)| std::cmp::Reverse(*count));
        }
        let top = &mut names[..last];
        top.sort_by_cached_key(most);
        let names = top.iter().map(|(queries, name)| DnsName {
            name: name.to_string(),
            queries: *queries,
        });
        names.collect()
    }
}

impl DnsReport {
    pub(super) fn new(dns: &Detector) -> Self {
        let codes = dns
            .codes
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        Self {
            queries: dns.queries,
            answers: dns.answers,
            over_tcp: dns.over_tcp,
            latency_us: latency(&dns.latency),
            codes: codes
                .map(|(code, count)| (code_name(code as u8), *count))
                .collect(),
            names: dns.names.top(),
        }
    }
}

fn latency(durations: &Histogram) -> Option<DnsLatency> {
    (!durations.is_empty()).then(|| DnsLatency {
        min: durations.min_ns() / 1000,
        p50: durations.quantile_ns(0.5) / 1000,
        p95: durations.quantile_ns(0.95) / 1000,
        max: durations.max_ns() / 1000,
    })
}
