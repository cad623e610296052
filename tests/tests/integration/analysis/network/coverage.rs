//! Every code of the reference page is either made for real here, or it is said why not.

use std::collections::BTreeSet;

use capture_analysis::rules;

use super::{capture, link, names, paths, tls};

/// Codes that other tests of this directory make for real, and the file.
const ELSEWHERE: &[(&str, &str)] = &[
    ("tcp.dead_path", include_str!("../faults.rs")),
    ("tcp.zero_window", include_str!("../faults.rs")),
    ("app.slow", include_str!("../faults.rs")),
    ("tcp.reset_mid", include_str!("../faults.rs")),
    ("tcp.reset_injected", include_str!("../faults.rs")),
    ("tcp.window_limited", include_str!("../faults.rs")),
    ("tcp.backlog", include_str!("../faults.rs")),
    ("tcp.delack_nagle", include_str!("../faults.rs")),
    ("tcp.loss", include_str!("../truth.rs")),
    ("net.reordering", include_str!("../truth.rs")),
    ("net.duplication", include_str!("../truth.rs")),
    ("auth.bruteforce", include_str!("../apps.rs")),
    ("cred.cleartext", include_str!("../apps.rs")),
    ("exploit.probe", include_str!("../apps.rs")),
    ("http.errors", include_str!("../apps.rs")),
    ("scan.ports", include_str!("../security.rs")),
    ("scan.hosts", include_str!("../security.rs")),
    ("scan.stealth", include_str!("../security.rs")),
    ("flood.syn", include_str!("../security.rs")),
    ("flood.udp", include_str!("../security.rs")),
    ("flood.icmp", include_str!("../security.rs")),
    ("flood.amplification", include_str!("../habits.rs")),
    ("beacon", include_str!("../habits.rs")),
    ("ndpi.risk", include_str!("../engines.rs")),
    ("suricata.alert", include_str!("../engines.rs")),
    ("exfil.volume", include_str!("../habits.rs")),
];

/// Codes that are made of built packets alone, and why.
const BUILT: &[(&str, &str)] = &[("new_talker", "it takes two captures")];

#[test]
fn every_code_is_made_for_real_or_it_is_said_why_not() {
    let mut listed = BTreeSet::new();
    let made = [
        capture::CODES,
        link::CODES,
        names::CODES,
        paths::CODES,
        tls::CODES,
    ];
    for code in made.concat() {
        // Several cases may find the same.
        listed.insert(code);
    }
    for (code, source) in ELSEWHERE {
        assert!(
            source.contains(&format!("\"{code}\"")),
            "no test finds {code}"
        );
        assert!(listed.insert(code), "{code} is listed twice");
    }
    for (code, reason) in BUILT {
        assert!(!reason.is_empty(), "{code}");
        assert!(listed.insert(code), "{code} is made for real too");
    }
    let codes: BTreeSet<_> = rules::all().map(|rule| rule.code).collect();
    let missing: Vec<_> = codes.difference(&listed).collect();
    assert!(
        missing.is_empty(),
        "add a case, or a reason to BUILT: {missing:?}"
    );
    let unknown: Vec<_> = listed.difference(&codes).collect();
    assert!(unknown.is_empty(), "there are no such codes: {unknown:?}");
}
