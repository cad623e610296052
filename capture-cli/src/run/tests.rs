//! What `run` decides and prints around the engine.

use std::path::Path;

use capture_engine::{
    Attachment, Ended,
    interfaces::{InterfaceEntry, LinkState},
};
use capture_file::sha256;
use capture_task::{
    plan::{Hook, Plan, RequestOrigin},
    task::{Dropped, FileRecord, TaskSpec},
};

use capture_task::file_name_of;

use super::{record::final_record, *};
use crate::args::OutputForm;

fn plan(interface: &str, change: impl FnOnce(&mut TaskSpec)) -> Plan {
    let mut spec = TaskSpec {
        interfaces: vec![interface.into()],
        ..TaskSpec::default()
    };
    change(&mut spec);
    Plan::resolve(&spec, RequestOrigin::Run).expect("valid")
}

fn interface(name: &str, arphrd: u16) -> InterfaceEntry {
    InterfaceEntry {
        name: name.into(),
        ifindex: 1,
        state: LinkState::Up,
        arphrd,
        mtu: 1500,
        addresses: Vec::new(),
        details: Default::default(),
    }
}

fn attachment(interface: &str, hook: &'static str, mode: &'static str) -> Attachment {
    Attachment {
        interface: interface.into(),
        hook,
        mode: mode.to_owned(),
    }
}

#[test]
fn file_names() {
    for (name, expected) in [
        ("eth0", "eth0"),
        ("eth0,eth1", "eth0-eth1"),
        ("Ärger mit DNS!", "Ärger-mit-DNS"),
        ("../../etc/passwd", "etc-passwd"),
        ("-rf .", "rf-."),
        ("...", "capture"),
        ("!?", "capture"),
    ] {
        assert_eq!(file_name_of(name), expected, "{name}");
    }
    assert!(file_name_of(&"é".repeat(128)).len() <= 180);
}

#[test]
fn chosen_file_is_named_after_the_task_and_the_time() {
    let now: Timestamp = "2026-11-23T15:04:05.999Z".parse().expect("a time");
    let plain = plan("eth0", |_| ());
    assert_eq!(
        free_file_name(&plain, now, &[]),
        Path::new("eth0_20261123T150405Z.pcapng")
    );
    let named = plan("eth0", |spec| {
        spec.name = Some("dns".into());
        spec.format = Some("pcap".into());
    });
    assert_eq!(
        free_file_name(&named, now, &[]),
        Path::new("dns_20261123T150405Z.pcap")
    );
}

#[test]
fn chosen_files_of_several_tasks_differ() {
    let now: Timestamp = "2026-11-23T15:04:05.999Z".parse().expect("a time");
    let task = |target: Option<&str>| TaskRequest {
        spec: TaskSpec::default(),
        plan: plan("eth0", |_| ()),
        target: target.map(|name| Target::File(name.into())),
    };
    // One that is named later in the file counts too.
    let tasks = [
        task(None),
        task(None),
        task(Some("eth0_20261123T150405Z.pcapng")),
    ];
    let (targets, chosen) = targets(&tasks, now);
    let names = ["-2", "-3", ""]
        .map(|number| Target::File(format!("eth0_20261123T150405Z{number}.pcapng").into()));
    assert_eq!(targets, names);
    assert_eq!(chosen.len(), 2);
}

#[test]
fn lines_for_scripts_that_wait() {
    let hostile = attachment("\u{1b}[31mx\u{202e}", "tc", "tcx ingress");
    assert_eq!(
        attachment_lines(&[hostile], Hook::Auto),
        [r"capturing on \u{1b}[31mx\u{202e} (tc, tcx ingress)"]
    );
    assert_eq!(
        attachment_lines(
            &[attachment("eth0", "tc", "tcx ingress+egress")],
            Hook::Auto
        ),
        ["capturing on eth0 (tc, tcx ingress+egress)"]
    );
    // Two tasks, of which one captures on both interfaces and one by another hook.
    assert_eq!(
        attachment_lines(
            &[
                attachment("eth0", "tc", "native ingress, tcx ingress+egress"),
                attachment("eth1", "tc", "clsact ingress"),
                attachment("eth0", "xdp", "native ingress, tcx ingress+egress"),
                attachment("eth0", "tc", "native ingress, tcx ingress+egress"),
            ],
            Hook::Tc
        ),
        [
            "capturing on eth0 (tc+xdp, native ingress, tcx ingress+egress)",
            "capturing on eth1 (tc, clsact ingress)",
        ]
    );
    assert!(attachment_lines(&[], Hook::Auto)[0].starts_with("capturing on any (auto, "));
}

#[test]
fn interfaces_that_are_not_there() {
    let present = [interface("eth0", 1), interface("ib0", 32)];
    let check = |names: &[&[&str]], from_file: bool| {
        let options = RunOptions {
            netns: None,
            ring_size: 0,
            keep_free: None,
            quiet: false,
            form: OutputForm::Table,
            analyze: false,
            fail_on: None,
            from_file,
            print: None,
            verbose: false,
        };
        let tasks = names.iter().map(|names| TaskRequest {
            spec: TaskSpec::default(),
            plan: plan("any", |spec| {
                spec.interfaces = names.iter().map(|name| (*name).to_owned()).collect();
            }),
            target: None,
        });
        check_interfaces(&tasks.collect::<Vec<_>>(), &options, &present)
    };
    assert!(check(&[&["eth0"]], false).is_ok());
    assert!(check(&[&["any"]], false).is_ok());
    let error = check(&[&["eht0", "ib0"]], false).expect_err("neither works");
    assert_eq!(error.kind, crate::error::ErrorKind::Usage);
    assert_eq!(
        error.message,
        "--interface: \"eht0\" is not there (did you mean \"eth0\"?); there are eth0, ib0\n\
         --interface: \"ib0\" cannot be captured on: unsupported: InfiniBand frames"
    );
    let error = check(&[&["eth0"], &["ib0"], &["eht0"]], true).expect_err("two of three fail");
    assert_eq!(
        error.message,
        "tasks[1].interfaces: \"ib0\" cannot be captured on: unsupported: InfiniBand frames\n\
         tasks[2].interfaces: \"eht0\" is not there (did you mean \"eth0\"?); there are eth0, ib0"
    );
}

#[test]
fn summary_has_the_keys_of_the_contract() {
    let dropped = Dropped {
        ring: 1,
        ..Dropped::default()
    };
    let counters = Counters {
        matched: 3,
        captured: 2,
        bytes: 99,
        dropped,
        ..Counters::default()
    };
    let file = FileRecord {
        index: 0,
        name: "-".into(),
        size: 200,
        packets: 2,
        complete: true,
        sha256: None,
    };
    let ended = Ended {
        counters,
        files: vec![file],
        ended_ns: 1_795_000_000_000_000_000,
        stop_reason: StopReason::DiskFull,
        error: Some(capture_engine::Error::OutOfMemory),
        malformed: 0,
    };
    let running = TaskRecord {
        id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        name: "eth0".into(),
        spec: TaskSpec {
            interfaces: vec!["eth0".into()],
            ..TaskSpec::default()
        },
        state: State::Running,
        stop_reason: None,
        error: None,
        created_at: "2026-11-23T15:04:05.000Z".into(),
        start_at: None,
        started_at: Some("2026-11-23T15:04:05.100Z".into()),
        ended_at: None,
        expires_at: None,
        counters: Counters::default(),
        verdict: None,
        interruptions: Vec::new(),
        files: Vec::new(),
        created_by: None,
        account: None,
        findings: None,
    };
    let mut record = final_record(running, ended);
    let ended_at = record.ended_at.take().expect("ended");
    assert_eq!(ended_at, "2026-11-18T11:06:40.000Z");
    assert_eq!(
        serde_json::to_string(&record).expect("serializes"),
        concat!(
            r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","name":"eth0","spec":{"interfaces":["eth0"]},"#,
            r#""state":"failed","stop_reason":"disk_full","#,
            r#""error":"not enough memory for the kernel tables and rings; try a smaller `--ring-size`","#,
            r#""created_at":"2026-11-23T15:04:05.000Z","started_at":"2026-11-23T15:04:05.100Z","#,
            r#""ended_at":null,"expires_at":null,"#,
            r#""counters":{"undecided":0,"matched":3,"captured":2,"bytes":99,"oversize_discarded":0,"#,
            r#""over_limit":0,"dropped":{"ring":1,"queue":0,"write":0,"copy":0}},"#,
            r#""verdict":"lost 1 of 3","#,
            r#""files":[{"index":0,"name":"-","size":200,"packets":2,"complete":true,"#,
            r#""sha256":null}]}"#
        )
    );
}

/// Opening a FIFO to read it again would wait for ever.
#[test]
fn a_fifo_has_no_digest() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let mut file = FileRecord {
        index: 0,
        name: path.to_string_lossy().into_owned(),
        size: 200,
        packets: 2,
        complete: true,
        sha256: None,
    };
    record::fill_digest(&mut file);
    assert_eq!(file.sha256, None);
}

/// A fault that left no count, a failed fsync(2) say, leaves no verdict either.
#[test]
fn nothing_is_called_complete_that_failed() {
    for (reason, expected) in [
        (StopReason::IoError, None),
        (StopReason::DiskFull, None),
        (StopReason::Error, None),
        (StopReason::User, Some("complete".to_owned())),
    ] {
        assert_eq!(Counters::default().verdict_at(reason), expected);
    }
    let dropped = Dropped {
        write: 1,
        ..Dropped::default()
    };
    let counters = Counters {
        matched: 3,
        dropped,
        ..Counters::default()
    };
    let verdict = counters.verdict_at(StopReason::IoError);
    assert_eq!(verdict.as_deref(), Some("lost 1 of 3"));
}

#[test]
fn digest_of_a_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "abc").expect("written");
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        sha256(file.path()).expect("readable"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}
