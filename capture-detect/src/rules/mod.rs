//! The table of rules: what each finding means, from when on it is one, and why. Detectors measure; what a number means
//! stands here, with its reason and its source, and nowhere else.

#[expect(missing_docs, reason = "a rule says what it is")]
pub mod application;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod capture;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod dns;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod engine;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod link;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod network;
#[cfg(test)]
mod reference;
mod rule;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod security;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod tcp;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod tls;
#[expect(missing_docs, reason = "a rule says what it is")]
pub mod weak;

pub use self::rule::{Rule, Threshold};

/// Every rule, by its code.
pub static RULES: &[&[&Rule]] = &[
    capture::RULES,
    link::RULES,
    network::RULES,
    tcp::RULES,
    dns::RULES,
    application::RULES,
    tls::RULES,
    security::RULES,
    engine::RULES,
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
            // Of one part are those that are alone in their area.
            assert!(parts.len() <= 2 && parts.iter().all(is_word), "{code}");
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
