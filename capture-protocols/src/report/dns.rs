//! DNS in the report: how much, how fast, with what result, and which names.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::histogram::Histogram;

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

impl DnsLatency {
    pub(crate) fn of(durations: &Histogram) -> Option<Self> {
        (!durations.is_empty()).then(|| Self {
            min: durations.min_ns() / 1000,
            p50: durations.quantile_ns(0.5) / 1000,
            p95: durations.quantile_ns(0.95) / 1000,
            max: durations.max_ns() / 1000,
        })
    }
}
