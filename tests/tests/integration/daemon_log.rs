//! The daemon's log: a line for its start and for each event of a task, as text and as JSON, and no line that a client
//! made up.

use std::{
    fs::File,
    io::{self, ErrorKind, Write as _},
    net::TcpStream,
    os::fd::OwnedFd,
    process::Stdio,
};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED},
    eventually, http,
    netns::{HOST_IF, Lab},
    traffic,
};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// A task that captures something, is fetched, and goes.
fn life_of_a_task(lab: &Lab, daemon: &Daemon) -> String {
    let task = json!({"name": "a \"name\"", "interfaces": [HOST_IF], "protocol": "udp"});
    let id = daemon.run(task);
    traffic::send_to_host(lab, 0..5, 100);
    daemon.captured(&id, 5);
    daemon.stop_task(&id);
    daemon.download(&id, 0);
    let gone = daemon.ask("DELETE", &format!("/tasks/{id}"), None);
    gone.expect(204);
    // Nothing is there any more.
    let stopped = daemon.ask("POST", &format!("/tasks/{id}/stop"), None);
    stopped.problem(404);
    id
}

/// The lines but `ready`, which is for scripts, and what other events there are.
fn objects(daemon: &Daemon) -> Vec<Value> {
    let stderr = daemon.stderr();
    let lines = stderr.lines().filter(|line| *line != "ready");
    let objects = lines.map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    objects.collect()
}

#[test]
fn json_has_a_line_for_each_event_with_who_and_figures() {
    let lab = Lab::new();
    let config = format!("{UNLIMITED}\n[log]\nformat = \"json\"");
    let daemon = daemon::start_in(&lab.host, &daemon::home(&config));
    let id = life_of_a_task(&lab, &daemon);
    let is_told = || {
        objects(&daemon)
            .iter()
            .any(|line| line["outcome"] == "refused: not found")
    };
    assert!(eventually(TIMEOUT, is_told), "{}", daemon.stderr());

    let lines = objects(&daemon);
    let about = |event: &str| {
        let mut found = lines.iter().filter(|line| line["event"] == event);
        let line = found
            .next()
            .unwrap_or_else(|| panic!("{event}: {lines:#?}"));
        line.clone()
    };
    for line in &lines {
        for field in ["time", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
    let start = about("started");
    assert_eq!(start["version"], env!("CARGO_PKG_VERSION"));
    let config = daemon.home().path().join("config.toml");
    assert_eq!(start["config"], json!(config));
    assert_eq!(start["socket"], json!(daemon.socket()));
    assert_eq!(start["disk_budget"], json!(1_u64 << 40));
    let name = "a \"name\"";
    for event in ["task.created", "task.started", "task.ended", "task.deleted"] {
        let line = about(event);
        assert_eq!((&line["task"], &line["name"]), (&json!(id), &json!(name)));
    }
    assert_eq!(about("task.created")["who"], "uid 0");
    let ended = about("task.ended");
    let figures = ["matched", "captured", "lost", "files"].map(|field| ended[field].clone());
    assert_eq!(figures, [5, 5, 0, 1].map(Value::from), "{ended}");
    assert_eq!(ended["verdict"], "complete");
    assert_eq!(ended["reason"], "user");
    let download = about("file.download");
    assert_eq!(download["object"], format!("{id}/0"));
    assert_eq!(download["name"], name);
    assert_eq!(download["who"], "uid 0");
    // One line each, and none twice under another name.
    let events = lines.iter().filter_map(|line| line["event"].as_str());
    let events: Vec<_> = events.filter(|event| *event != "started").collect();
    assert_eq!(
        events,
        [
            "task.created",
            "task.started",
            "task.stop",
            "task.ended",
            "file.download",
            "task.deleted",
            "task.stop",
        ]
    );
    daemon.stop();
}

#[test]
fn text_has_times_and_no_line_of_a_client() {
    let lab = Lab::new();
    let config = format!("{UNLIMITED}\n[access]\nsocket_group = \"no-such-group\"");
    let daemon = daemon::start_in(&lab.host, &daemon::home(&config));
    let id = life_of_a_task(&lab, &daemon);
    // A name that is refused, with a line of its own and a colour in it.
    let forged = "x\n2026-01-01T00:00:00.000Z capture-agent: error: forged\u{1b}[31m\u{202e}";
    let task = json!({"name": forged, "interfaces": [HOST_IF]});
    daemon.ask("POST", "/tasks", Some(&task)).problem(422);
    let path = "/api/v1/tasks/%0a2026-01-01T00:00:00.000Z%20capture-agent:%20error:%20forged";
    daemon.ask_with("GET", path, &[], b"");
    let is_told = || daemon.stderr().contains("refused: not found");
    assert!(eventually(TIMEOUT, is_told), "{}", daemon.stderr());

    let stderr = daemon.stderr();
    for line in stderr.lines().filter(|line| *line != "ready") {
        let (time, rest) = line.split_once(' ').unwrap_or_default();
        let is_time = time.len() == 24 && time.starts_with("20") && time.ends_with('Z');
        assert!(is_time && rest.starts_with("capture-agent: "), "{line}");
        assert!(!rest.starts_with("capture-agent: error"), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    for expected in [
        "warning: there is no group \"no-such-group\" (`access.socket_group`)".to_owned(),
        format!("info: started: version {}", env!("CARGO_PKG_VERSION")),
        format!("info: task {id} \"a \\\"name\\\"\" is created by uid 0, socket pid "),
        format!("info: task {id} \"a \\\"name\\\"\" has started on {HOST_IF}"),
        "has ended (user): matched 5, captured 5, lost 0, complete; 1 file, ".to_owned(),
        format!("info: file.download {id}/0 \"a \\\"name\\\"\" by uid 0, socket pid "),
        "is deleted by uid 0, socket pid ".to_owned(),
    ] {
        assert!(stderr.contains(&expected), "{expected}\n{stderr}");
    }
    daemon.stop();
}

/// Everybody who reaches the port can be refused; the log is bounded as the audit log is.
#[test]
fn refusals_do_not_flood_the_log() {
    use std::io::{Read as _, Write as _};

    let lab = Lab::new();
    let config = format!("{UNLIMITED}\n[http]\nlisten = \"127.0.0.1:8080\"");
    let daemon = daemon::start_in(&lab.host, &daemon::home(&config));
    lab.host.within(|| {
        for _ in 0..200 {
            let mut connection = TcpStream::connect("127.0.0.1:8080").expect("it listens");
            let request =
                b"GET /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            connection.write_all(request).expect("sent");
            let mut answer = String::new();
            connection.read_to_string(&mut answer).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        }
    });
    let stderr = daemon.stderr();
    let refusals = stderr
        .lines()
        .filter(|line| line.contains("refused: token_missing"));
    let refusals = refusals.count();
    assert!((1..=60).contains(&refusals), "{refusals}: {stderr}");
    daemon.stop();
}

/// Writes to a pipe until it takes nothing more.
fn fill(writer: &OwnedFd) {
    let set = |flags| fcntl(writer, FcntlArg::F_SETFL(flags)).expect("it is ours");
    set(OFlag::O_NONBLOCK);
    let mut file = File::from(writer.try_clone().expect("a descriptor"));
    let full = loop {
        match file.write(b"x") {
            Ok(count) => assert_eq!(count, 1),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    // The daemon has the same open file.
    set(OFlag::empty());
}

/// As where whoever collects logs hangs.
#[test]
fn nothing_waits_for_the_reader_of_the_log() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let (reader, writer) = io::pipe().expect("a pipe");
    let writer = OwnedFd::from(writer);
    let mut command = lab.host.command(binary());
    command.arg("daemon").arg("--config");
    command.arg(home.path().join("config.toml"));
    let mut daemon = command
        .stdin(Stdio::null())
        .stderr(writer.try_clone().expect("a descriptor"))
        .spawn()
        .expect("it starts");
    let pid = Pid::from_raw(i32::try_from(daemon.id()).expect("a process"));
    let socket = home.path().join("api.sock");
    let ask = |method: &str, path: &str, body: &[u8]| {
        let json = [("Content-Type", "application/json")];
        let headers = if body.is_empty() { &[][..] } else { &json };
        http::ask(&socket, method, path, headers, body)
    };
    let is_ready = || ask("GET", "/readyz", b"").is_ok_and(|answer| answer.status == 200);
    assert!(eventually(TIMEOUT, is_ready), "it answers");
    fill(&writer);
    // Each of these has a line.
    for _ in 0..3 {
        let task = json!({"name": "x", "interfaces": [HOST_IF], "duration": 60}).to_string();
        let made = ask("POST", "/api/v1/tasks", task.as_bytes()).expect("an answer");
        made.expect(201);
        kill(pid, Signal::SIGHUP).expect("it runs");
    }
    kill(pid, Signal::SIGTERM).expect("it runs");
    let mut ended = None;
    let has_ended = || {
        ended = daemon.try_wait().expect("our child");
        ended.is_some()
    };
    let has_ended = eventually(TIMEOUT, has_ended);
    if !has_ended {
        daemon.kill().expect("our child");
        daemon.wait().expect("our child");
    }
    assert!(has_ended, "SIGTERM was not heeded");
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0));
    drop(reader);
}

/// As where the file of the log is on a full disk.
#[test]
fn a_log_that_takes_nothing_is_no_failure() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let full = File::options().write(true).open("/dev/full");
    let mut command = lab.host.command(binary());
    command.arg("daemon").arg("--config");
    command.arg(home.path().join("config.toml"));
    let mut daemon = command
        .stdin(Stdio::null())
        .stderr(full.expect("a device"))
        .spawn()
        .expect("it starts");
    let pid = Pid::from_raw(i32::try_from(daemon.id()).expect("a process"));
    let socket = home.path().join("api.sock");
    let is_ready = || {
        http::ask(&socket, "GET", "/metrics", &[], b"").is_ok_and(|answer| {
            let text = answer.text();
            let line = "capture_agent_log_dropped_lines_total ";
            let count = text.lines().find_map(|found| found.strip_prefix(line));
            count.is_some_and(|count| count != "0")
        })
    };
    let is_ready = eventually(TIMEOUT, is_ready);
    kill(pid, Signal::SIGTERM).expect("it runs");
    let ended = daemon.wait().expect("our child");
    assert!(is_ready, "it answers, and counts what is dropped");
    assert_eq!(ended.code(), Some(0));
}
