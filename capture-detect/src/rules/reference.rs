//! The reference of findings, as a page of the documents. It is made from the table of rules, and a test holds the page
//! to it.

use std::{fmt::Write as _, fs, path::Path};

use super::{Rule, Threshold, all};

/// The page, with its path below the workspace.
const PAGE: &str = "docs/reference/findings.md";

fn page() -> String {
    let mut rules: Vec<&Rule> = all().collect();
    rules.sort_by_key(|rule| rule.code);
    let mut text = "# Findings\n\nWhat `capture-agent analyze` finds, by code. The severity is that of the usual case. \
                    [Find what is wrong](../how-to/find-what-is-wrong.md) shows how to read the answer.\n\n\
                    | code | severity | found when |\n| --- | --- | --- |\n"
        .to_owned();
    for rule in &rules {
        let Rule {
            code,
            severity,
            definition,
            ..
        } = rule;
        let severity = format!("{severity:?}").to_lowercase();
        let _ = writeln!(
            text,
            "| [{code}](#{}) | {severity} | {} |",
            anchor(code),
            cell(definition)
        );
    }
    for rule in &rules {
        section(rule, &mut text);
    }
    text
}

fn section(rule: &Rule, text: &mut String) {
    let Rule {
        code,
        severity: _,
        definition,
        alternatives,
        advice,
        reference,
        thresholds,
    } = rule;
    let _ = writeln!(text, "\n## {code}\n\n{definition}\n");
    let _ = writeln!(text, "- Next: {advice}");
    if !alternatives.is_empty() {
        let _ = writeln!(text, "- Could also be: {}.", alternatives.join("; "));
    }
    let _ = writeln!(text, "- Source: {reference}.");
    if !thresholds.is_empty() {
        text.push_str("\n| measured | from | why | source |\n| --- | --- | --- | --- |\n");
    }
    for threshold in *thresholds {
        let Threshold {
            name,
            value,
            unit,
            reason,
            source,
        } = threshold;
        let _ = writeln!(
            text,
            "| {} | {value} {unit} | {} | {} |",
            cell(name),
            cell(reason),
            cell(source)
        );
    }
}

/// Of a heading, as hosts of Markdown make it.
fn anchor(code: &str) -> String {
    code.replace('.', "")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_page_of_findings_is_that_of_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let page = page();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &page).expect("the page is written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{PAGE} is not up to date; UPDATE_SNAPSHOTS=1 writes it"
    );
}
