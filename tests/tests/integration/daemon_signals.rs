//! SIGUSR1 and SIGUSR2 to the daemon: the one logs figures, the other flushes files, and neither ends anything.

use std::{fs, time::Duration};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED},
    eventually,
    netns::{HOST_IF, Lab},
    pcapng, readers,
    signals::{RepeatedSignals, catches},
    traffic,
};
use nix::sys::signal::Signal;
use serde_json::json;

/// Waits for a line with all of these.
#[track_caller]
fn says(daemon: &Daemon, words: &[&str]) {
    let has = |line: &str| words.iter().all(|word| line.contains(word));
    let said = || daemon.stderr().lines().any(has);
    assert!(eventually(TIMEOUT, said), "{words:?}\n{}", daemon.stderr());
}

#[test]
fn figures_and_flushes_on_request() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    daemon.signal(Signal::SIGUSR2);
    daemon.signal(Signal::SIGUSR1);
    says(&daemon, &["info: ", "no task is running"]);

    let task = |name: &str| json!({"name": name, "interfaces": [HOST_IF], "protocol": "udp", "duration": "10m"});
    let ids = [daemon.run(task("first")), daemon.run(task("second"))];
    daemon.run(json!({"name": "silent", "interfaces": [HOST_IF], "protocol": "icmp"}));
    traffic::send_to_host(&lab, 0..40, 200);
    for id in &ids {
        daemon.captured(id, 40);
    }
    daemon.signal(Signal::SIGUSR1);
    for (id, name) in ids.iter().zip(["first", "second"]) {
        let figures = "matched 40, captured 40 (8000 bytes), lost 0";
        says(&daemon, &["info: ", id, &format!("{name:?}"), figures]);
    }
    says(
        &daemon,
        &["\"silent\"", "matched 0, captured 0 (0 bytes), lost 0"],
    );
    says(
        &daemon,
        &[
            "3 tasks are running",
            "matched 80, captured 80 (16000 bytes), lost 0",
        ],
    );

    // A task that has ended counts on.
    daemon.stop_task(&ids[0]);
    daemon.signal(Signal::SIGUSR1);
    says(
        &daemon,
        &[
            "2 tasks are running",
            "matched 80, captured 80 (16000 bytes), lost 0",
        ],
    );

    traffic::send_to_host(&lab, 0..10, 200);
    daemon.signal(Signal::SIGUSR2);
    let part = daemon.captures(&ids[1]).join("capture.pcapng.part");
    let copy = daemon.home().path().join("copy.pcapng");
    let packets = || {
        let stream = fs::read(&part).expect("it is written");
        fs::write(&copy, &stream[..pcapng::whole_len(&stream)]).expect("a copy");
        readers::packets(&copy).len()
    };
    assert!(eventually(TIMEOUT, || packets() == 50), "{}", packets());
    daemon.stop();
}

/// From the moment at which it can catch them, while it starts, serves, runs tasks and ends.
#[test]
fn requests_at_any_moment_end_nothing() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let daemon = daemon::spawn(lab.host.command(binary()), &home);
    assert!(eventually(TIMEOUT, || catches(
        daemon.pid(),
        Signal::SIGUSR2
    )));
    let requests = &[Signal::SIGUSR1, Signal::SIGUSR2];
    let repeated = RepeatedSignals::start(daemon.pid(), requests, Duration::from_micros(500));
    let daemon = daemon.ready();
    let id = daemon.run(json!({"name": "a", "interfaces": [HOST_IF], "protocol": "udp"}));
    traffic::send_to_host(&lab, 0..500, 200);
    daemon.captured(&id, 500);
    daemon.stop_task(&id);
    let task = daemon.task(&id);
    assert_eq!(task["verdict"], "complete", "{task}");
    daemon.run(json!({"name": "b", "interfaces": [HOST_IF], "hook": "xdp"}));
    // An orderly end, with exit code 0.
    daemon.stop();
    let sent = repeated.end();
    assert!(sent > 100, "{sent} signals");
}
