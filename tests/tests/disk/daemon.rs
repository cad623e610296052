//! The daemon on disks that fail: a task that cannot write ends as `io_error` and the daemon goes on; at the
//! end of the daemon a disk that does not answer is waited for, and then the task that hangs in it is named.

use std::{env, os::unix::fs::symlink, sync::Arc};

use capture_daemon::{Deadlines, Options};
use capture_tests::daemon::{self, Daemon, UNLIMITED, udp_task};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A home whose captures are on this disk.
fn home(disk: &FaultyDisk) -> Arc<TempDir> {
    let home = tempfile::tempdir().expect("a directory");
    let (root, captures) = (home.path().display(), disk.path("captures"));
    let text = format!(
        "[paths]\ndatabase = \"{root}/state.db\"\ncaptures = \"{}\"\nsocket = \"{root}/api.sock\"\n{UNLIMITED}\n",
        captures.display()
    );
    fs::write(home.path().join("config.toml"), text).expect("a configuration");
    // Where the tests look for them.
    symlink(captures, home.path().join("captures")).expect("a link");
    Arc::new(home)
}

fn wait_for_end(daemon: &Daemon, id: &str) -> Value {
    daemon.wait(id, "the end", |task| task["state"] == "failed")
}

#[test]
fn a_task_of_the_daemon_that_cannot_write_fails_and_the_next_one_does_not() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::new());
    let daemon = daemon::start_in(&lab.host, &home(&disk));
    let id = daemon.run(udp_task(json!({"name": "to fail"})));
    disk.fail(Call::Write, disk.asked(Call::Write) + 2, Fault::Error(EIO));
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..3000, 300));
    let failed = wait_for_end(&daemon, &id);
    assert_eq!(failed["stop_reason"], "io_error", "{failed}");
    assert!(failed["error"].is_string(), "{failed}");
    let verdict = failed["verdict"].as_str().unwrap_or_default();
    assert!(verdict.starts_with("lost "), "{failed}");
    disk.heal();
    let captured = failed["counters"]["captured"].as_u64();
    assert_eq!(Some(daemon.packets(&id).len() as u64), captured, "{failed}");
    let id = daemon.run(udp_task(json!({"name": "to succeed"})));
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..100, 300));
    daemon.captured(&id, 100);
    assert_eq!(daemon.stop_task(&id)["verdict"], "complete");
    daemon.stop();
}

/// A second signal does not wait, and what hangs is named.
#[test]
fn the_end_of_the_daemon_names_the_task_that_hangs() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::new());
    let home = home(&disk);
    let daemon = daemon::start_in(&lab.host, &home);
    let id = daemon.run(udp_task(json!({"name": "in a hole"})));
    disk.fail(Call::Write, disk.asked(Call::Write) + 1, Fault::Stall);
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..3000, 300));
    let said = |text: &str| eventually(TIMEOUT, || daemon.stderr().contains(text));
    let stalls = eventually(TIMEOUT, || disk.stalled() > 0);
    daemon.signal(Signal::SIGTERM);
    let heard = said("SIGTERM: ending");
    daemon.signal(Signal::SIGTERM);
    let named = said("SIGTERM came before the end");
    // The kernel keeps the process until its write has come back.
    disk.heal();
    let ended = daemon.wait_end();
    assert!(stalls && heard && named, "{}", ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(
        last.contains(&id) && last.contains("in a hole"),
        "{}",
        ended.stderr
    );
}

/// Names the configuration of a daemon in a process of this test binary.
const CONFIG: &str = "CAPTURE_AGENT_TEST_CONFIG";

/// Where [`CONFIG`] names a configuration this program is a daemon, and no tests. It becomes one before the `main` of the test
/// harness, as a daemon parts from its supervisor while there is one thread.
#[used]
// SAFETY: glibc calls what is in this section with the signature of `main`, in which nothing is used, and returns to
// it what it does not heed.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn serve() {
        if let Some(config) = env::var_os(CONFIG) {
            std::process::exit(serve_with_a_short_deadline(Path::new(&config)));
        }
    }
    serve
};

/// The daemon, but for its deadline at the end, which is too long for a test to wait for.
fn serve_with_a_short_deadline(config: &Path) -> i32 {
    let deadlines = Deadlines {
        requests: Duration::from_secs(1),
        tasks: DEADLINE,
    };
    let options = Options {
        config: Some(config),
        user: None,
        commit: "",
        set_log_format: |_| {},
        deadlines,
    };
    match capture_daemon::run(options) {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("capture-agent: {error}");
            1
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(3);

/// Starts this program as a daemon.
fn start_with_a_short_deadline(lab: &Lab, home: &Arc<TempDir>) -> Daemon {
    let mut command = lab.host.command("sh");
    // Behind the program come `daemon --config FILE`.
    let script = format!("{CONFIG}=$3 exec \"$0\"");
    let program = env::current_exe().expect("this program");
    command.arg("-c").arg(script).arg(program);
    daemon::spawn(command, home).ready()
}

#[test]
fn the_end_of_the_daemon_has_a_deadline() {
    const COUNT: u32 = 3000;
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::new());
    let home = home(&disk);
    let daemon = start_with_a_short_deadline(&lab, &home);
    let hole = daemon.run(udp_task(json!({"name": "in a hole"})));
    let good = daemon.run(udp_task(json!({"name": "on solid ground"})));
    disk.stall_writes_to(&daemon.captures(&hole).join("capture.pcapng.part"));
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..COUNT, 300));
    daemon.captured(&good, COUNT.into());
    let stalls = eventually(TIMEOUT, || disk.stalled() > 0);
    assert!(stalls, "{}", daemon.stderr());
    let asked = Instant::now();
    daemon.signal(Signal::SIGTERM);
    // Long before the deadline, which is not the good one's.
    let file = daemon.captures(&good).join("capture.pcapng");
    assert!(eventually(DEADLINE, || file.exists()), "closed");
    let said = || daemon.stderr().contains("not everything has ended in time");
    let said = eventually(TIMEOUT, said);
    let took = asked.elapsed();
    disk.heal();
    let ended = daemon.wait_end();
    assert!(said, "{}", ended.stderr);
    assert!(took >= DEADLINE && took < 3 * DEADLINE, "{took:?}");
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    let named =
        format!("task {hole} \"in a hole\": writing what it has captured to its files (write to ");
    assert!(
        last.contains(&named) && last.contains("capture.pcapng, for "),
        "{last}"
    );
    assert!(!last.contains(&good), "{last}");

    let daemon = daemon::start_in(&lab.host, &home);
    let task = daemon.stop_task(&good);
    assert_eq!(task["interruptions"][0]["cause"], "shutdown", "{task}");
    let numbers = |id: &str| {
        let packets = daemon.packets(id);
        let numbers = packets.iter().map(|packet| number_in(&packet.bytes));
        numbers
            .collect::<Option<Vec<_>>>()
            .expect("numbered frames")
    };
    assert!(numbers(&good).into_iter().eq(0..COUNT));
    let task = daemon.stop_task(&hole);
    assert_eq!(task["interruptions"][0]["cause"], "interrupted", "{task}");
    let recovered = numbers(&hole);
    assert_eq!(task["counters"]["captured"], recovered.len());
    assert!(recovered.iter().copied().eq(0..recovered.len() as u32));
    daemon.stop();
}
