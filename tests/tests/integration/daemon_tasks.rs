//! The life of tasks in the real daemon, over its API: files while they grow and when they are whole, those
//! that wait, and an end in order. The calls and the ends are in `daemon_api`.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, thread};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    output, readers,
    traffic::{self},
};
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn a_task_is_captured_watched_downloaded_and_deleted() {
    let lab = Lab::new();
    let before = lab.host.attachments();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({"name": "web"})));
    traffic::send_to_host(&lab, 0..300, 500);
    daemon.captured(&id, 300);

    // A running task's file can be read up to its last whole packet.
    let part = daemon.home().path().join("part.pcapng");
    fs::write(&part, daemon.download(&id, 0)).expect("a copy");
    let packets = readers::packets(&part);
    let numbers = readers::numbers(&packets);
    assert!(numbers.eq(0..300), "{} packets", packets.len());
    traffic::send_to_host(&lab, 300..500, 500);
    daemon.captured(&id, 500);
    let task = daemon.stop_task(&id);
    assert_eq!(task["stop_reason"], "user");
    assert_eq!(task["state"], "completed");
    assert_eq!(task["verdict"], "complete");
    let packets = daemon.packets(&id);
    let numbers = readers::numbers(&packets);
    assert!(numbers.eq(0..500), "{} packets", packets.len());
    readers::assert_ordered(&packets);

    let path = daemon.captures(&id).join("capture.pcapng");
    let digest = output(Command::new("sha256sum").arg(&path));
    let digest = digest.split(' ').next();
    assert_eq!(task["files"][0]["sha256"].as_str(), digest);
    assert_eq!(fs::read(&path).expect("the file"), daemon.download(&id, 0));
    let mode = |path: &std::path::Path| {
        let metadata = path.metadata().expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode(&path), mode(&daemon.captures(&id))), (0o600, 0o700));
    assert_eq!(mode(&path.with_extension("pcapng.json")), 0o600);

    let answer = daemon.ask("DELETE", &format!("/tasks/{id}"), None);
    answer.expect(204);
    assert!(!daemon.captures(&id).exists());
    daemon.ask("GET", &format!("/tasks/{id}"), None).expect(404);
    daemon.stop();
    assert_eq!(lab.host.attachments(), before);
}

#[test]
fn sixty_four_run_and_more_wait_in_order() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let ids: Vec<_> = (0..66)
        .map(|_| daemon.create(udp_task(json!({"duration": "10m"}))))
        .collect();
    for id in &ids[..64] {
        daemon.reach(id, "running");
    }
    let state = |id: &str| daemon.task(id)["state"].clone();
    assert_eq!([state(&ids[64]), state(&ids[65])], ["pending", "pending"]);
    traffic::send_to_host(&lab, 0..1000, 500);
    for id in &ids[..64] {
        daemon.captured(id, 1000);
    }
    daemon.stop_task(&ids[30]);
    daemon.reach(&ids[64], "running");
    assert_eq!(state(&ids[65]), "pending");

    // The end of the daemon interrupts those that run. The next one takes them up before those that wait begin.
    let ended = daemon.stop();
    let daemon = daemon::start_in(&lab.host, &ended.home);
    let taken_up: Vec<_> = ids[..65].iter().filter(|id| **id != ids[30]).collect();
    for id in &taken_up {
        daemon.taken_up(id, 1);
    }
    assert_eq!(daemon.task(&ids[65])["state"], "pending");
    traffic::send_to_host(&lab, 0..1000, 500);
    for id in &taken_up[..63] {
        daemon.captured(id, 2000);
        let task = daemon.stop_task(id);
        assert_eq!(task["counters"]["captured"], 2000, "{task}");
        assert_eq!(task["verdict"], "interrupted: 1 gap", "{task}");
    }
    daemon.reach(&ids[65], "running");
    daemon.stop();
}

#[test]
fn a_start_can_be_set_for_later() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let at = output(Command::new("date").args(["-u", "-d", "2 seconds", "+%FT%TZ"]));
    let task = udp_task(json!({"start_at": at.trim()}));
    let id = daemon.create(task);
    let task = daemon.task(&id);
    assert_eq!(task["state"], "pending");
    assert!(
        task["start_at"]
            .as_str()
            .is_some_and(|told| told.starts_with(&at[..19])),
        "{task}"
    );
    let task = daemon.reach(&id, "running");
    let started = task["started_at"].as_str().expect("a time");
    assert!(started >= at.trim_end_matches("Z\n"), "{task}");
    daemon.stop();
}

#[test]
fn deletion_waits_for_the_end_only_when_forced() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    let path = format!("/tasks/{id}");
    daemon.ask("DELETE", &path, None).expect(409);
    assert_eq!(daemon.task(&id)["state"], "running");
    daemon
        .ask("DELETE", &format!("{path}?force=true"), None)
        .expect(204);
    daemon.ask("GET", &path, None).expect(404);
    daemon.ask("DELETE", &path, None).expect(404);
    daemon.stop();
}

/// A second signal does not wait for what the first one does in order.
#[test]
fn signals_end_it_and_reload_it() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let daemon = daemon::start_in(&lab.host, &home);
    let task = json!({"name": "long", "interfaces": [HOST_IF], "duration": "2h"});
    let dry = |daemon: &Daemon| {
        daemon
            .ask("POST", "/tasks?dry_run=true", Some(&task))
            .status
    };
    assert_eq!(dry(&daemon), 200);
    daemon::configure(&home, "[limits]\nmax_duration = \"1h\"");
    daemon.signal(Signal::SIGHUP);
    let heeded = eventually(TIMEOUT, || dry(&daemon) == 422);
    assert!(heeded, "{}", daemon.stderr());
    // What is wrong changes nothing, and is said with its line.
    daemon::configure(&home, "[limits]\nmax_duration = \"3h\"\nno_such_key = 1");
    daemon.signal(Signal::SIGHUP);
    let said = eventually(TIMEOUT, || daemon.stderr().contains("no_such_key"));
    assert!(said, "{}", daemon.stderr());
    assert_eq!(dry(&daemon), 422);
    daemon.signal(Signal::SIGINT);
    let ended = daemon.wait_end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!home.path().join("api.sock").exists());
}

#[test]
fn the_service_manager_hears_of_it() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let path = home.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a limit");
    let hear = || {
        let mut buffer = [0; 256];
        let count = socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let mut command = lab.host.command("env");
    command.arg("NOTIFY_SOCKET=".to_owned() + path.to_str().expect("a path"));
    command.arg("WATCHDOG_USEC=200000").arg(binary());
    let daemon = daemon::spawn(command, &home).ready();
    assert_eq!(hear(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    daemon.signal(Signal::SIGTERM);
    let end = thread::spawn(move || daemon.wait_end());
    while hear() == "WATCHDOG=1" {}
    assert_eq!(end.join().expect("it ends").status.code(), Some(0));
}

/// More extension headers than are followed hide the port of a packet.
#[test]
fn frames_that_could_not_be_decided_are_said() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let by_port = daemon.run(udp_task(json!({"ports": [53]})));
    let all = daemon.run(udp_task(json!({"protocol": "all"})));
    const OPTIONS: u8 = 60;
    const UDP: u8 = 17;
    let hidden = || {
        let body = (0..9).fold((UDP, vec![0; 40]), |(next, body), _| {
            (OPTIONS, traffic::extension(next, 1, &body))
        });
        traffic::ipv6_frame("2001:db8::1", "2001:db8::2", body.0, &body.1)
    };
    traffic::send(&lab.peer, PEER_IF, 1000, (0..5).map(|_| hidden()));
    traffic::send(&lab.peer, PEER_IF, 1000, traffic::frames(0..20, 100));
    daemon.captured(&by_port, 20);
    daemon.wait(&all, "packets", |task| {
        task["counters"]["captured"].as_u64() >= Some(25)
    });
    let task = daemon.stop_task(&by_port);
    assert_eq!(task["counters"]["undecided"], 5, "{task}");
    assert_eq!(task["verdict"], "complete; 5 undecided", "{task}");
    let shown = output(
        Command::new(binary())
            .args(["task", "show", &by_port, "--socket"])
            .arg(daemon.socket()),
    );
    assert!(
        shown.contains("5 frames, too short to decide on"),
        "{shown}"
    );
    // Without a criterion there is nothing to decide.
    let task = daemon.stop_task(&all);
    assert_eq!(task["counters"]["undecided"], 0, "{task}");
    assert_eq!(task["verdict"], "complete", "{task}");
    daemon.stop();
}
