//! Server-sent events as curl reads them: the states of a task in their order, figures once a second, and
//! nothing lost for a client that comes back.

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use capture_tests::{
    daemon::{self, Daemon, UNLIMITED, udp_task},
    netns::Lab,
    record, traffic,
};
use serde_json::{Value, json};

/// A client that listens; its end is the end of curl.
struct Listener {
    curl: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

#[derive(Debug)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Listener {
    /// Listens, from behind an event where one is named.
    fn new(daemon: &Daemon, last: Option<&str>) -> Self {
        let mut curl = Command::new("curl");
        // An end for a test that hangs.
        curl.args(["-sSN", "--fail", "--max-time", "60", "--unix-socket"]);
        curl.arg(daemon.socket());
        if let Some(last) = last {
            curl.args(["-H", &format!("Last-Event-ID: {last}")]);
        }
        curl.arg("http://localhost/api/v1/events");
        let mut curl = curl.stdout(Stdio::piped()).spawn().expect("curl starts");
        let lines = BufReader::new(curl.stdout.take().expect("piped")).lines();
        let mut this = Self { curl, lines };
        // From here on nothing is missed.
        assert_eq!(this.line(), "retry: 1000");
        assert_eq!(this.line(), "");
        this
    }

    fn line(&mut self) -> String {
        let line = self.lines.next().expect("the stream goes on");
        line.expect("text")
    }

    /// The next event; signs of life are passed over.
    fn next(&mut self) -> Event {
        let (mut name, mut id, mut data) = (None, None, None);
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some(("event", word)) => name = Some(word.to_owned()),
                Some(("id", word)) => id = Some(word.to_owned()),
                Some(("data", json)) => data = serde_json::from_str(json).ok(),
                _ if line.is_empty() && name.is_some() => {
                    return Event {
                        name: name.expect("it is there"),
                        id,
                        data: data.expect("one line of JSON"),
                    };
                }
                _ => assert!(line.is_empty() || line.starts_with(':'), "{line}"),
            }
        }
    }

    /// The next one of this name.
    fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next();
            if event.name == name {
                return event;
            }
            assert_eq!(event.name, "stats", "{event:?}");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

const LIFE: [&str; 4] = ["pending", "running", "stopping", "completed"];

#[test]
fn every_change_of_state_comes_in_order_and_can_be_resumed() {
    let lab = Lab::new();
    // Without another event once it is analyzed.
    let home = daemon::home("[analysis]\nenabled = false");
    let daemon = daemon::start_in(&lab.host, &home);
    let mut listener = Listener::new(&daemon, None);
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..10, 500);
    daemon.captured(&id, 10);
    let ended = daemon.stop_task(&id);
    let one = format!("/tasks/{id}");
    daemon.ask("DELETE", &one, None).expect(204);
    let mut seen = Vec::new();
    for state in LIFE {
        let event = listener.next_of("task");
        record::assert_whole(&event.data);
        assert_eq!(
            (&event.data["state"], &event.data["id"]),
            (&json!(state), &json!(id))
        );
        seen.push(event);
    }
    assert_eq!(seen[3].data, ended);
    let deleted = listener.next_of("deleted");
    assert_eq!(deleted.data, json!({"id": id}));
    seen.push(deleted);

    // Behind each of them, what came after it, and nothing else.
    for (index, event) in seen.iter().enumerate() {
        let mut resumed = Listener::new(&daemon, event.id.as_deref());
        for later in &seen[index + 1..] {
            let found = resumed.next();
            assert_eq!((&found.name, &found.id), (&later.name, &later.id));
            assert_eq!(found.data, later.data);
        }
    }
    // What is not known any more, as after a restart, is said.
    let last = seen[0].id.clone();
    let ended = daemon.stop();
    let daemon = daemon::start_in(&lab.host, &ended.home);
    for last in [last.as_deref(), Some("elsewhere-7")] {
        let mut lost = Listener::new(&daemon, last);
        let said = lost.next();
        assert_eq!(said.name, "missed", "{last:?}: {said:?}");
        assert!(said.id.is_none() && said.data["detail"].is_string());
    }
    daemon.stop();
}

/// A deletion by force ends the task first, and so do its events: nothing is missing where the record goes at once.
#[test]
fn a_deletion_by_force_tells_of_the_end_first() {
    let lab = Lab::new();
    // Without another event once it is analyzed.
    let home = daemon::home(&format!("{UNLIMITED}\n[analysis]\nenabled = false"));
    let daemon = daemon::start_in(&lab.host, &home);
    let mut listener = Listener::new(&daemon, None);
    for _ in 0..20 {
        let id = daemon.run(udp_task(json!({})));
        let one = format!("/tasks/{id}?force=true");
        daemon.ask("DELETE", &one, None).expect(204);
        for state in LIFE {
            let event = listener.next_of("task");
            assert_eq!(event.data["state"], state, "{event:?}");
            assert_eq!(event.data["id"], id, "{event:?}");
        }
        assert_eq!(listener.next_of("deleted").data, json!({"id": id}));
    }
    daemon.stop();
}

#[test]
fn figures_come_once_a_second_without_a_place_to_resume_from() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..30, 500);
    daemon.captured(&id, 30);
    let mut listener = Listener::new(&daemon, None);
    listener.next_of("stats");
    let began = Instant::now();
    for _ in 0..3 {
        let stats = listener.next_of("stats");
        assert_eq!(stats.id, None);
        let tasks = stats.data["tasks"].as_array().expect("a list");
        assert_eq!(tasks.len(), 1, "{stats:?}");
        assert_eq!(tasks[0]["id"], *id);
        let shown = daemon.task(&id);
        assert_eq!(tasks[0]["counters"], shown["counters"]);
        assert_eq!(tasks[0]["size"], shown["files"][0]["size"]);
    }
    // Not more often; a busy machine may be later.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(2000), "{took:?}");
    daemon.stop();
}

/// The end of the daemon is the end of the stream, in order.
#[test]
fn a_stream_ends_with_the_daemon() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let mut listener = Listener::new(&daemon, None);
    daemon.stop();
    let rest: Vec<_> = listener.lines.by_ref().collect();
    assert!(rest.iter().all(|line| line.is_ok()), "{rest:?}");
    let status = listener.curl.wait().expect("curl ends");
    assert!(status.success(), "{status}");
}
