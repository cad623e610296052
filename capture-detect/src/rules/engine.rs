//! What other engines say: theirs are the definitions, and the severities are mapped.

use super::rule::Rule;
use crate::severity::Severity;

pub static SURICATA: Rule = Rule {
    code: "suricata.alert",
    severity: Severity::Warn,
    definition: "A rule of Suricata matched, with `--engine suricata`; its priority 1 is `high`, 2 `warn`, others `info`.",
    alternatives: &["The rule may be too broad for this traffic"],
    advice: "Read the rule by its number, and look at the packets.",
    reference: "Suricata and its rules; a finding names their versions",
    thresholds: &[],
};

pub static NDPI: Rule = Rule {
    code: "ndpi.risk",
    severity: Severity::Warn,
    definition: "nDPI sees a risk in flows, with `--engine ndpi`; its severity Severe and above is `high`, High `warn`, others `info`.",
    alternatives: &["nDPI judges by the first packets of a flow"],
    advice: "Look at the flows; nDPI documents each risk in flow_risks.rst.",
    reference: "nDPI and its flow risks; a finding names the version",
    thresholds: &[],
};

pub static RULES: &[&Rule] = &[&SURICATA, &NDPI];
