//! What arguments become: the request, the plan, and the messages in the words of the options.

use std::process;

use capture_task::plan::{Format, Rotate, create_command};
use clap::Parser;
use serde_json::json;

use super::*;
use crate::args::{Arguments, Command, TaskCommand};

fn request(arguments: &str) -> Result<RunRequest> {
    let arguments = ["capture-agent", "run"]
        .into_iter()
        .chain(arguments.split_whitespace());
    match Arguments::try_parse_from(arguments)
        .expect("clap takes it")
        .command
    {
        Command::Run(args) => resolve(*args),
        other => panic!("not run: {other:?}"),
    }
}

/// The only task of a request.
fn task(arguments: &str) -> TaskRequest {
    let mut tasks = request(arguments).expect("valid").tasks;
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

fn refusal(arguments: &str) -> String {
    let error = request(arguments).expect_err("refused");
    assert_eq!(error.kind, crate::error::ErrorKind::Usage);
    error.message
}

#[test]
fn every_option_reaches_the_request() {
    let all = "-i eth0 -i eth1 -Q out --hook tc --protocol tcp --ip 10.0.0.1 --port 443,8000-8100 \
               --port 22 --peer-ip 10.0.0.2 --peer-port 1024-65535 -s 128 --oversize discard \
               --duration 1m -c 100 --max-file-bytes 1GiB --format pcap -C 10 -G 60 -W 3 --name x";
    let request = task(all);
    let json = serde_json::to_string(&request.spec).expect("serializes");
    assert_eq!(
        json,
        concat!(
            r#"{"name":"x","interfaces":["eth0","eth1"],"direction":"egress","hook":"tc","#,
            r#""protocol":"tcp","ip":"10.0.0.1","ports":[22,443,"8000-8100"],"#,
            r#""peer_ip":"10.0.0.2","peer_ports":["1024-65535"],"max_bytes":128,"#,
            r#""oversize":"discard","duration":"1m","max_packets":100,"max_file_bytes":"1GiB","#,
            r#""format":"pcap","rotate":{"bytes":10000000,"seconds":60,"files":3}}"#
        )
    );
    let rotate = Rotate {
        bytes: Some(10_000_000),
        seconds: Some(60),
        files: Some(3),
    };
    assert_eq!(request.plan.rotate, Some(rotate));
}

#[test]
fn defaults() {
    let TaskRequest { spec, plan, target } = task("-i lo");
    let options = request("-i lo").expect("valid").options;
    assert_eq!(
        serde_json::to_string(&spec).expect("serializes"),
        r#"{"interfaces":["lo"]}"#
    );
    assert_eq!((plan.duration, plan.rotate), (None, None));
    assert_eq!(
        (target, options.netns, options.quiet, options.from_file),
        (None, None, false, false)
    );
    assert_eq!(
        (options.ring_size, options.form),
        (64 << 20, OutputForm::Table)
    );
}

#[test]
fn format_follows_the_suffix_unless_given() {
    let format = |arguments: &str| task(arguments).plan.format;
    assert_eq!(format("-i lo -w x.pcap"), Format::Pcap);
    assert_eq!(format("-i lo -w x.PCAP"), Format::Pcap);
    assert_eq!(format("-i lo -w x.pcapng"), Format::Pcapng);
    assert_eq!(format("-i lo -w x.cap"), Format::Pcapng);
    assert_eq!(format("-i lo -w pcap"), Format::Pcapng);
    assert_eq!(format("-i lo -w -"), Format::Pcapng);
    assert_eq!(format("-i lo -w - --format pcap"), Format::Pcap);
    assert_eq!(format("-i lo -w x.pcap --format pcapng"), Format::Pcapng);
}

#[test]
fn sizes_of_rotation() {
    let bytes = |arguments: &str| task(arguments).plan.rotate.and_then(|rotate| rotate.bytes);
    assert_eq!(bytes("-i lo -C 1"), Some(1_000_000));
    assert_eq!(bytes("-i lo -C 64KiB"), Some(65_536));
    assert_eq!(bytes("-i lo -C 2m"), Some(2 << 20));
    assert!(refusal("-i lo -C 9223372036855").starts_with("--rotate-bytes: "));
}

/// Beyond what people read it is only said how much there is, and of a list that is too long nothing.
#[test]
fn as_many_faults_as_people_read() {
    let ports = |count: usize| vec!["x"; count].join(",");
    let many = refusal(&format!("-i lo --port {}", ports(1024)));
    assert_eq!(many.lines().count(), 101);
    assert!(many.ends_with("\n924 more faults are not listed"), "{many}");
    let one = refusal(&format!("-i lo --port {}", ports(1025)));
    assert!(one.starts_with("--port: 1025 items are too many"), "{one}");
}

#[test]
fn limits_below_an_empty_file_are_refused_at_once() {
    for (arguments, start) in [
        (
            "-i lo -w a.pcap -C 23B",
            "--rotate-bytes: 23 is less than the 24 bytes of a file",
        ),
        (
            "-i lo -w a.pcapng -C 100B",
            "--rotate-bytes: 100 is less than the ",
        ),
        (
            "-i lo -w a.pcap --max-file-bytes 23",
            "--max-file-bytes: 23 is less than the 24 ",
        ),
    ] {
        let found = refusal(arguments);
        assert!(found.starts_with(start), "{found}");
    }
    // As small as tcpdump would make them.
    assert!(
        task("-i lo -w a.pcap -C 24B -W 1000000")
            .plan
            .rotate
            .is_some()
    );
}

#[test]
fn lists_are_shown_in_their_shortest_form() {
    let spec = task("-i lo --port 81,80,80-80,8000-8100").spec;
    let shown = serde_json::to_value(&spec.ports).expect("JSON");
    assert_eq!(shown, serde_json::json!(["80-81", "8000-8100"]));
}

#[test]
fn refusals_name_the_option() {
    for (arguments, message) in [
        (
            "",
            "--interface: no interface is given; name at least one, or \"any\" for all",
        ),
        (
            "-i a/b",
            "--interface: \"a/b\" is not an interface name: names hold no slash, colon, space or NUL",
        ),
        (
            "-i lo --ip 10.0.0.1,10.0.0.300 --ip ::1",
            "--ip: \"10.0.0.300\" is not an IPv4 address; write four numbers from 0 to 255 without leading zeros",
        ),
        (
            "-i lo --protocol tcp,udp",
            "--protocol: \"tcp,udp\" is more than one protocol, and a task has one; make a task of each, or leave --protocol out \
             to take all",
        ),
        (
            "-i lo --peer-ip ::1",
            "--ip: --peer-ip is the other side of a pair; give --ip, or --ip alone",
        ),
        (
            "-i lo --port 443,,80",
            "--port: an item of the list is empty; write ports as in 443 or \"8000-8100\"",
        ),
        (
            "-i lo -W 3",
            "--rotate-files: rotation needs --rotate-bytes or --rotate-seconds, to know when",
        ),
        (
            "-i lo -C 0",
            "--rotate-bytes: 0 leaves no room for any packet; leave it out for no limit",
        ),
        (
            "-i lo -w - -C 1",
            "--write: standard output cannot be rotated; name a file, or leave -C out",
        ),
        (
            "-i lo -w - -C 1 -G 5 -W 2",
            "--write: standard output cannot be rotated; name a file, or leave -C, -G and -W out",
        ),
        (
            "-i lo --ring-size 1000000TB",
            "--ring-size: that is more than rings can have; the most is ",
        ),
        ("-i lo --ring-size x", "--ring-size: \"x\" is not a size"),
    ] {
        let found = refusal(arguments);
        assert!(found.starts_with(message), "{arguments}: {found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn refusals_come_together() {
    let found = refusal("-i lo --ip nowhere --port 70000 --hook ebpf -w - -G 5 --ring-size 0");
    let options: Vec<_> = found
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(
        options,
        ["--hook", "--ip", "--port", "--write", "--ring-size"]
    );
}

/// The line that a preview shows for the command line means the request that it was made of.
#[test]
fn a_line_made_of_a_request_is_read_as_the_same_request() {
    for request in [
        json!({"name": "web", "interfaces": ["eth0"]}),
        json!({
            "name": "it's -a \"$(task)\" `x` \\ é", "interfaces": ["-x", "any'"], "direction": "egress",
            "hook": "xdp-generic", "protocol": "tcp", "ip": "10.0.0.0/8", "ports": [443, "8000-8100"],
            "peer_ip": "10.1.0.0/16", "peer_ports": ["1-9"], "icmp_errors": true, "max_bytes": 96,
            "oversize": "discard", "duration": "1h30m", "max_packets": 7, "max_file_bytes": "2GiB",
            "format": "pcap", "rotate": {"bytes": 2_000_000, "seconds": "1m", "files": 3},
        }),
        json!({"name": "-n", "interfaces": ["lo"], "rotate": {"bytes": "1000000"}}),
        json!({"name": "--", "interfaces": ["lo"], "rotate": {"bytes": " 1 MB "}}),
    ] {
        let spec: TaskSpec = serde_json::from_value(request).expect("a request");
        let line = create_command(&spec, Some("2026-03-01T08:00:00Z"), None);
        let words = process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\0' {line}")])
            .output();
        let words = String::from_utf8(words.expect("a shell").stdout).expect("text");
        let words: Vec<_> = words.split_terminator('\0').collect();
        let arguments = Arguments::try_parse_from(&words);
        let arguments = arguments.unwrap_or_else(|error| panic!("{line}: {error}"));
        let Command::Task(TaskCommand::Create(args)) = arguments.command else {
            panic!("{line}");
        };
        assert_eq!(args.start_at.as_deref(), Some("2026-03-01T08:00:00Z"));
        let plan = |spec: &TaskSpec| Plan::resolve(spec, RequestOrigin::Daemon);
        let mut problems = Vec::new();
        let spec_again = spec_of(args.task, &mut problems).expect("no expression");
        let again = plan(&spec_again);
        assert!(again.is_ok(), "{line}: {again:?}");
        assert_eq!(again, plan(&spec), "{line}");
    }
}

#[test]
fn options_of_printing_are_named_where_nothing_is_printed() {
    assert_eq!(refusal("-i eth0 -A"), "-A: only with --print");
    assert_eq!(
        refusal("-i eth0 -e -tttt -xx -n -l"),
        "-t, -e, -x: only with --print"
    );
    request("-i eth0 -nn -l").expect("tcpdump's habits change nothing");
}
