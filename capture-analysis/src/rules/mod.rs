//! The table of rules: what each finding means, from when on it is one, and why. Detectors measure; what a number means
//! stands here, with its reason and its source, and nowhere else.

pub(crate) mod capture;
pub(crate) mod dns;
pub(crate) mod link;
pub(crate) mod network;
pub(crate) mod tcp;

#[cfg(test)]
mod reference;

use serde::Serialize;

use crate::finding::Severity;

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
    pub(crate) fn is_reached(&self, measured: f64) -> bool {
        measured >= self.value
    }

    /// As a number of things.
    #[inline]
    pub(crate) const fn count(&self) -> u64 {
        self.value as u64
    }

    /// As nanoseconds, of a threshold in seconds.
    #[inline]
    pub(crate) const fn ns(&self) -> u64 {
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

/// Every rule, by its code.
pub static RULES: &[&[&Rule]] = &[
    capture::RULES,
    link::RULES,
    network::RULES,
    tcp::RULES,
    dns::RULES,
];

/// All rules one after the other.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().copied().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_is_whole() {
        let mut codes = BTreeSet::new();
        for rule in all() {
            let code = rule.code;
            assert!(codes.insert(code), "{code} is there twice");
            let parts: Vec<_> = code.split('.').collect();
            let is_word = |part: &&str| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            };
            assert!(parts.len() == 2 && parts.iter().all(is_word), "{code}");
            for text in [rule.definition, rule.advice, rule.reference] {
                assert!(!text.trim().is_empty(), "{code}");
            }
            assert!(
                rule.definition.ends_with('.') && rule.advice.ends_with('.'),
                "{code}"
            );
            for threshold in rule.thresholds {
                assert!(
                    !threshold.reason.is_empty() && !threshold.source.is_empty(),
                    "{code}"
                );
            }
        }
    }
}
