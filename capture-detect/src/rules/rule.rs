//! What a rule consists of.

use serde::Serialize;

use crate::severity::Severity;

/// From when on a number means something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// What is measured.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// Its unit: `packets`, `share`, `s`.
    pub unit: &'static str,
    /// Why this number and no other.
    pub reason: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

impl Threshold {
    /// Whether a measurement reaches it.
    #[inline]
    pub fn is_reached(&self, measured: f64) -> bool {
        measured >= self.value
    }

    /// As a number of things.
    #[inline]
    pub const fn count(&self) -> u64 {
        self.value as u64
    }

    /// As nanoseconds, of a threshold in seconds.
    #[inline]
    pub const fn ns(&self) -> u64 {
        (self.value * 1e9) as u64
    }
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Stable code, as `tcp.loss`.
    pub code: &'static str,
    /// How bad it is as a rule.
    pub severity: Severity,
    /// When it is found, in one sentence.
    pub definition: &'static str,
    /// What else could look like this.
    pub alternatives: &'static [&'static str],
    /// What to look at next.
    pub advice: &'static str,
    /// RFC and section, or another source of the definition.
    pub reference: &'static str,
    /// The numbers of the definition.
    pub thresholds: &'static [&'static Threshold],
}
