//! What an engine can reach.

use std::{fs, time::Duration};

use super::{EngineKind, Machine};

/// What a script that runs confined says.
fn said(script: &str) -> (Machine, String) {
    let machine = Machine::with("suricata", "echo Suricata version 7.7.7");
    let mut engines = machine.find(EngineKind::Suricata).expect("it is there");
    let path = machine.path().join("suricata");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("it is written");
    let program = engines.engines[0].program.clone();
    let out = engines.launcher.scratch.out().display().to_string();
    let ended = engines.launcher.run(&program, vec![out], &[]);
    (machine, ended.expect("it runs").said)
}

#[test]
fn it_reads_and_writes_nothing_but_its_own() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), "a secret").expect("it is written");
    let secret = secret.path().display();
    let (_machine, said) = said(&format!(
        "cat {secret} /etc/passwd /proc/1/status
         echo > {secret} && echo WRITTEN
         echo > /tmp/of-an-engine && echo WRITTEN
         ls / /tmp /root && echo LISTED
         echo yes > $1/own && echo it wrote $(cat $1/own)"
    ));
    for word in ["a secret", "root:", "WRITTEN", "LISTED", "Name:"] {
        assert!(!said.contains(word), "{said}");
    }
    assert!(said.contains("it wrote yes"), "{said}");
}

#[test]
fn it_has_no_capabilities_no_descriptors_and_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (_machine, said) = said(&format!(
        "while read -r line; do echo \"$line\"; done < /proc/self/status
         echo descriptors /proc/self/fd/*
         env
         exec bash -c 'echo > /dev/tcp/127.0.0.1/{port} && echo CONNECTED'"
    ));
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert!(
            said.contains(&format!("{set}:\t0000000000000000")),
            "{said}"
        );
    }
    assert!(
        said.contains("NoNewPrivs:\t1") && said.contains("Seccomp:\t2"),
        "{said}"
    );
    let list = said
        .lines()
        .find_map(|line| line.strip_prefix("descriptors "));
    let list = list.expect("a list").replace("/proc/self/fd/", "");
    // A shell has its script at 10, and the directory.
    let own = ["0", "1", "2", "3", "10"];
    assert!(
        list.split(' ').all(|number| own.contains(&number)),
        "{list}"
    );
    assert!(
        !said.contains("CONNECTED") && said.contains("not permitted"),
        "{said}"
    );
    assert!(!said.contains("CARGO"), "{said}");
}

#[test]
fn it_ends_at_its_deadline_with_all_that_it_started() {
    let machine = Machine::suricata("sleep 1234567 & sleep 1234567");
    let (report, findings) = machine.run_within(EngineKind::Suricata, Duration::from_millis(500));
    let error = report.error.expect("it took too long");
    assert!(error.contains("did not end within"), "{error}");
    assert!(findings.is_empty());
    std::thread::sleep(Duration::from_millis(100));
    // One that has ended has no command line.
    let left = fs::read_dir("/proc")
        .expect("processes")
        .flatten()
        .filter(|entry| {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            line.starts_with("sleep\u{0}1234567")
        });
    assert_eq!(left.count(), 0);
}
