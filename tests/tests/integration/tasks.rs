//! Several tasks at once, from a file: each has what its own filter takes, ends on its own, and is
//! reported on; a bad file says all that is wrong with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use capture_tests::{
    TIMEOUT,
    agent::{self, Ended},
    eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    readers::{self, Packet},
    traffic::{self},
};
use serde_json::json;
use tempfile::TempDir;

/// A file of tasks outside the working directory, which holds captures only.
struct TasksFile {
    _directory: TempDir,
    path: PathBuf,
}

impl TasksFile {
    fn new(name: &str, text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        fs::write(&path, text).expect("it can be written");
        Self {
            _directory: directory,
            path,
        }
    }

    fn argument(&self) -> &str {
        self.path.to_str().expect("a plain path")
    }
}

/// Datagrams from 10.0.0.2 to 10.0.0.1, the port by the number: 53, 80, 443, 8000.
fn frame(number: u32) -> Vec<u8> {
    let port = [53, 80, 443, 8000][number as usize % 4];
    let from = "10.0.0.2:1000".parse().expect("an address");
    let to = format!("10.0.0.1:{port}").parse().expect("an address");
    traffic::udp_frame(from, to, number, 90)
}

fn numbers(packets: &[Packet]) -> Vec<u32> {
    let numbers = readers::numbers(packets);
    numbers.collect()
}

fn numbers_in(ended: &Ended, name: &str) -> Vec<u32> {
    numbers(&readers::packets(&ended.directory.path().join(name)))
}

#[test]
fn each_file_has_what_its_filter_takes() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let file = TasksFile::new(
        "tasks.toml",
        r#"
        [[tasks]]
        name = "dns"
        interfaces = ["cap0", "cap1"]
        protocol = "udp"
        ports = [53]
        write = "dns.pcapng"

        [[tasks]]
        interfaces = ["cap0"]
        ip = "10.0.0.1"
        ports = ["80-443"]
        max_bytes = 64
        write = "web.pcap"

        [[tasks]]
        name = "first"
        interfaces = ["cap0"]
        max_packets = 10
        write = "first.pcapng"

        [[tasks]]
        name = "unnamed file"
        interfaces = ["cap0"]
        direction = "egress"
        "#,
    );
    let running = agent::capture(&lab.host, &["--tasks", file.argument()]);
    traffic::send(&lab.peer, PEER_IF, 5000, (0..400).map(frame));
    traffic::send(&lab.peer, "peer1", 5000, (400..800).map(frame));
    let first = running.directory().join("first.pcapng");
    assert!(
        eventually(TIMEOUT, || first.exists()),
        "a task that is complete ends while others go on"
    );
    let ended = running.stop().expect_code(0);
    assert_eq!(ended.files().len(), 4);

    let attached: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("capturing on "))
        .collect();
    assert_eq!(attached.len(), 2, "{attached:?}");
    assert!(attached[0].starts_with("capturing on cap0 (tc, "));
    assert!(attached[1].starts_with("capturing on cap1 (tc, "));

    let dns: Vec<_> = (0..800).filter(|number| number % 4 == 0).collect();
    assert_eq!(numbers_in(&ended, "dns.pcapng"), dns);
    let web: Vec<_> = (0..400)
        .filter(|number| [1, 2].contains(&(number % 4)))
        .collect();
    assert_eq!(numbers_in(&ended, "web.pcap"), web);
    let cut = readers::packets(&ended.directory.path().join("web.pcap"));
    assert!(cut.iter().all(|packet| packet.bytes.len() == 64));
    assert_eq!(
        numbers_in(&ended, "first.pcapng"),
        (0..10).collect::<Vec<_>>()
    );

    let records = ended.records();
    let of = |field: &str| -> Vec<_> {
        let values = records.iter().map(|record| record[field].clone());
        values.collect()
    };
    assert_eq!(of("name"), ["dns", "cap0", "first", "unnamed file"]);
    assert_eq!(of("stop_reason"), ["user", "user", "max_packets", "user"]);
    assert_eq!(of("verdict"), ["complete"; 4]);
    assert_eq!(records[3]["counters"]["matched"], 0);
    let chosen = records[3]["files"][0]["name"].as_str().unwrap_or_default();
    assert!(
        chosen.starts_with("unnamed-file_") && chosen.ends_with(".pcapng"),
        "{chosen}"
    );
    assert!(ended.stderr.contains(&format!("writing to {chosen}")));
}

#[test]
fn the_run_ends_with_its_last_task() {
    let lab = Lab::new();
    let tasks = json!([
        {"name": "short", "interfaces": [HOST_IF], "duration": 1, "write": "short.pcapng"},
        {"name": "long", "interfaces": [HOST_IF], "duration": "2s", "write": "long.pcapng"},
        {"name": "few", "interfaces": ["any"], "max_packets": 3, "write": "few.pcapng"},
    ]);
    let file = TasksFile::new("tasks.json", &json!({ "tasks": tasks }).to_string());
    let mut command = lab.host.command(agent::binary());
    command.args(["run", "--tasks", file.argument()]);
    let directory = std::sync::Arc::new(tempfile::tempdir().expect("a directory"));
    // Without JSON there is no summary to hold the agent to; the table is looked at instead.
    command.current_dir(directory.path());
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    assert!(eventually(TIMEOUT, || directory
        .path()
        .join("few.pcapng.part")
        .exists()));
    traffic::send(&lab.peer, PEER_IF, 1000, (0..100).map(frame));
    let done = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{stderr}");
    let table: Vec<_> = stderr
        .lines()
        .skip_while(|line| !line.starts_with("TASK"))
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
        })
        .map(Iterator::collect::<Vec<_>>)
        .collect();
    assert_eq!(table.len(), 4, "{stderr}");
    assert_eq!(table[1][3..], ["0", "duration reached", "short.pcapng"]);
    assert_eq!(table[2][3..], ["0", "duration reached", "long.pcapng"]);
    assert_eq!(
        table[3][2..],
        ["3", "0", "packet limit reached", "few.pcapng"]
    );
}

/// Runs to the end, which must come before anything is captured.
fn refused(lab: &Lab, file: &TasksFile, code: i32, lines: &[&str]) {
    let ended = agent::start(&lab.host, &["--tasks", file.argument()]).wait(TIMEOUT);
    let ended = ended.expect_code(code).expect_stderr(lines);
    ended.check(!ended.stderr.contains("capturing on"), "it never captured");
    let names = ended.directory_names();
    ended.check(names.is_empty(), format_args!("left behind: {names:?}"));
}

#[test]
fn a_bad_file_says_all_that_is_wrong() {
    let lab = Lab::new();
    let tasks = json!([
        {"interfaces": [HOST_IF], "ip": "nonsense", "ports": [70000]},
        {"interfaces": [HOST_IF]},
        {"interfaces": [HOST_IF], "protocol": "icmp", "ports": [53]},
        {"interfaces": [HOST_IF], "prot": "tcp"},
    ]);
    refused(
        &lab,
        &TasksFile::new("tasks.json", &tasks.to_string()),
        2,
        &[
            "tasks[0].ip: ",
            "tasks[0].ports[0]: ",
            "tasks[2].",
            "tasks[3].prot: ",
        ],
    );
    let tasks = json!([{"interfaces": [HOST_IF]}, {"interfaces": ["nosuch0"]}]);
    let file = TasksFile::new("tasks.json", &tasks.to_string());
    refused(&lab, &file, 2, &["tasks[1].interfaces: \"nosuch0\""]);
    refused(
        &lab,
        &TasksFile::new("tasks.toml", "[[tasks]\n"),
        2,
        &["line 1"],
    );
    let many = vec![json!({"interfaces": [HOST_IF]}); 65];
    let file = TasksFile::new("tasks.json", &json!(many).to_string());
    refused(&lab, &file, 2, &["65", "64"]);
}

#[test]
fn two_tasks_do_not_write_one_file() {
    let lab = Lab::new();
    let tasks = json!([
        {"interfaces": [HOST_IF], "write": "o.pcapng"},
        {"interfaces": [HOST_IF], "write": "./o.pcapng"},
    ]);
    let file = TasksFile::new("tasks.json", &tasks.to_string());
    refused(&lab, &file, 2, &["tasks[1].write: ", "tasks[0]"]);
}

/// The first task is prepared by then, and nothing of it may be left.
#[test]
fn one_output_that_cannot_be_opened_stops_all() {
    let lab = Lab::new();
    let tasks = json!([
        {"interfaces": [HOST_IF], "write": "o.pcapng"},
        {"interfaces": [HOST_IF], "write": "no/such/directory/p.pcapng"},
    ]);
    let file = TasksFile::new("tasks.json", &tasks.to_string());
    refused(&lab, &file, 1, &["tasks[1]", "no/such/directory"]);
}

/// Behind generic XDP of some kinds tc at ingress sees frames without their link header, see the tests
/// on foreign programs; ours is not of them.
#[test]
fn generic_xdp_and_tc_share_an_ingress() {
    let lab = Lab::new();
    let generic = json!({"interfaces": [HOST_IF], "hook": "xdp-generic", "direction": "ingress",
        "write": "x.pcapng"});
    let ingress = json!({"interfaces": [HOST_IF], "direction": "ingress", "write": "t.pcapng"});
    for tasks in [[&generic, &ingress], [&ingress, &generic]] {
        let file = TasksFile::new("tasks.json", &json!(tasks).to_string());
        let running = agent::capture(&lab.host, &["--tasks", file.argument()]);
        let frames: Vec<_> = (0..50).map(frame).collect();
        traffic::send(&lab.peer, PEER_IF, 0, frames.clone());
        let ended = running.stop().expect_code(0);
        for file in ended.files() {
            let packets = readers::packets(&file).into_iter();
            let bytes: Vec<_> = packets.map(|packet| packet.bytes).collect();
            ended.check(bytes == frames, file.display());
        }
    }
}

#[test]
fn the_file_does_not_go_with_options_of_a_task() {
    let lab = Lab::new();
    let file = TasksFile::new("tasks.json", "[]");
    for options in [
        ["-i", HOST_IF],
        ["--port", "53"],
        ["-w", "o.pcapng"],
        ["-c", "1"],
    ] {
        let arguments = [&["--tasks", file.argument()], &options[..]].concat();
        let ended = agent::start(&lab.host, &arguments).wait(TIMEOUT);
        ended
            .expect_code(2)
            .expect_stderr(&["--tasks", "cannot be used with"]);
    }
    let missing = Path::new(file.argument()).with_file_name("nosuch.json");
    let missing = missing.to_str().expect("a plain path");
    let ended = agent::start(&lab.host, &["--tasks", missing]).wait(TIMEOUT);
    ended.expect_code(3).expect_stderr(&["nosuch.json"]);
}
