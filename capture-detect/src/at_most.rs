//! A bound for the findings of one code.

use crate::finding::{Finding, Subject};

/// Most findings of one code.
const MOST_OF_A_CODE: usize = 50;

/// The worst of many findings of one code, and how many others there are: nobody reads thousands, and whoever invents
/// addresses could cause them.
pub fn at_most(findings: &[Finding]) -> Vec<Finding> {
    let mut worst = findings.to_vec();
    if findings.len() <= MOST_OF_A_CODE {
        return worst;
    }
    worst.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.count)));
    let others = worst.split_off(MOST_OF_A_CODE);
    if let Some(first) = others.first() {
        let count = others.iter().map(|finding| finding.count).sum();
        let more = Finding {
            summary: format!("The same was found {} more times, of others.", others.len()),
            subject: Subject::default(),
            ..first.clone()
        };
        worst.push(more.count(count));
    }
    worst
}
