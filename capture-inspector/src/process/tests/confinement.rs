//! What a confined process cannot do.

use std::{fs, net::TcpListener, path::Path, process};

use super::*;

fn misdeeds(port: u16) -> Vec<Misdeed> {
    let parent = process::id() as i32;
    vec![
        Misdeed::Open,
        Misdeed::Create,
        Misdeed::Connect(port),
        Misdeed::Execute,
        Misdeed::Trace(parent),
        Misdeed::LoadProgram,
        Misdeed::Fork,
        Misdeed::Signal(parent),
        Misdeed::Namespace,
        Misdeed::WriteElsewhere,
        Misdeed::MapCode,
    ]
}

#[test]
fn a_system_call_without_use_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // What it may do, it does.
    assert_eq!(start().commit(Misdeed::None).expect("an answer"), "done");
    for misdeed in misdeeds(port) {
        let error = start().commit(misdeed).expect_err("no answer");
        assert!(
            matches!(error, Error::ForbiddenCall),
            "{misdeed:?}: {error}"
        );
    }
    assert!(!Path::new("/tmp/capture-inspector-was-here").exists());
}

#[test]
fn the_other_layers_hold_without_the_filter() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut inspector = start_without_filter();
    let missing = inspector.missing().join(", ");
    let mut denied = vec![Misdeed::Trace(process::id() as i32)];
    if !missing.contains("Landlock") {
        denied.extend([
            Misdeed::Open,
            Misdeed::Create,
            Misdeed::Connect(port),
            Misdeed::Execute,
        ]);
        denied.push(Misdeed::Signal(process::id() as i32));
    }
    if !missing.contains("network") {
        denied.push(Misdeed::Connect(port));
    }
    for misdeed in denied {
        let outcome = inspector.commit(misdeed).expect("an answer");
        assert_ne!(outcome, "done", "{misdeed:?}; missing: {missing}");
    }
    // They are the layers that do it: this one has none in its way.
    assert_eq!(
        inspector
            .commit(Misdeed::WriteElsewhere)
            .expect("an answer"),
        "done"
    );
}

#[test]
fn the_kernel_says_the_same() {
    let inspector = start();
    let read = |what: &str| {
        let path = format!("/proc/{}/{what}", inspector.id());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let status = read("status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.expect(name).1.trim().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(u64::from_str_radix(&field(set), 16), Ok(0), "{set}");
    }
    assert_eq!(
        (field("NoNewPrivs"), field("Seccomp")),
        ("1".into(), "2".into())
    );
    let limits = read("limits");
    for (name, most) in [
        ("Max address space", super::limits().memory),
        ("Max file size", 0),
        ("Max core file size", 0),
        ("Max cpu time", 60),
    ] {
        let line = limits
            .lines()
            .find(|line| line.starts_with(name))
            .expect(name);
        assert!(
            line.split_whitespace().any(|word| word == most.to_string()),
            "{line}"
        );
    }
    // Root alone may look.
    if let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", inspector.id())) {
        assert_eq!(descriptors.count(), 3);
    }
    let statistics = read("stat");
    let after_name = statistics.rsplit_once(')').expect("a name").1;
    let fields: Vec<_> = after_name.split_whitespace().collect();
    // Fields 19 and 41 of proc_pid_stat(5), of which two are before these.
    assert_eq!(
        (fields[16], fields[38]),
        ("15", "3"),
        "niceness, SCHED_BATCH"
    );
    assert_eq!(read("oom_score_adj").trim(), "1000");
    if !inspector
        .missing()
        .iter()
        .any(|layer| layer.contains("network"))
    {
        let network = read("net/dev");
        assert_eq!(network.lines().count(), 3, "lo alone: {network}");
    }
}

#[test]
fn its_memory_is_not_shown() {
    // Not even by the root of its user namespace, which this may be.
    let inspector = start();
    let path = format!("/proc/{}", inspector.id());
    let owner =
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(format!("{path}/fd")).expect("it lives"));
    assert_eq!(owner, 0, "not dumpable");
}
