//! What `analyze` says of a capture, and the judge of what it cites, which is tshark.

use std::{path::Path, process::Command};

use capture_tests::{agent, output, readers};
use serde_json::Value;

pub(crate) fn code(finding: &Value) -> &str {
    finding["code"].as_str().expect("a finding has a code")
}

/// What `analyze` finds in a file; the `check` of each finding must show the packets that it cites.
pub(crate) fn findings(file: &Path) -> Vec<Value> {
    let findings = analyze(file);
    findings
        .iter()
        .for_each(|finding| assert_shown(file, finding));
    findings
}

/// What `analyze` finds in a file that is too long for tshark to be asked about each.
pub(crate) fn analyze(file: &Path) -> Vec<Value> {
    let mut analyze = Command::new(agent::binary());
    let report = output(analyze.args(["analyze", "-o", "json"]).arg(file));
    let report: Value = serde_json::from_str(&report).expect("the report is JSON");
    report["findings"].as_array().expect("a list").clone()
}

/// tshark shows the packets that a finding cites when it is given its `check`.
fn assert_shown(file: &Path, finding: &Value) {
    let cited: Vec<_> = finding["packets"]
        .as_array()
        .expect("a list")
        .iter()
        .map(Value::to_string)
        .collect();
    let check = finding["check"].as_str().expect("a filter");
    if check.is_empty() {
        assert!(
            cited.is_empty(),
            "packets, and no filter that shows them: {finding:#}"
        );
        return;
    }
    let shown = readers::fields(file, check, &["frame.number"]).concat();
    let hidden: Vec<_> = cited
        .iter()
        .filter(|number| !shown.contains(number))
        .collect();
    assert!(
        hidden.is_empty(),
        "not shown by `{check}`: {hidden:?} of {finding:#}"
    );
}

/// The findings of `warn` or above.
pub(crate) fn bad(findings: &[Value]) -> impl Iterator<Item = &Value> {
    findings
        .iter()
        .filter(|finding| finding["severity"] != "info")
}

/// Panics where there is one.
pub(crate) fn assert_nothing_bad(findings: &[Value]) {
    let bad: Vec<_> = bad(findings).collect();
    assert!(bad.is_empty(), "nothing is wrong: {bad:#?}");
}
