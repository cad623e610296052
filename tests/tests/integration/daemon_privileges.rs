//! What the processes of the daemon hold, started by root and by an ordinary user with three capabilities; without these it does not
//! start, and says what is lacking.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use capture_engine::{KernelVersion, needed_beside_loader};
use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED},
    eventually,
    netns::{HOST_IF, Lab, Netns},
    output,
    processes::{capabilities, status},
    traffic,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tempfile::TempDir;

/// CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF.
const NEEDED: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// `nobody` of Debian.
const NOBODY: u32 = 65534;

/// What a process keeps that has the kernel programs loaded by another one, on this kernel.
pub(crate) fn kept() -> u64 {
    let version = KernelVersion::running().expect("a version");
    let needed = needed_beside_loader(version).iter();
    needed.map(|one| one.bitmask()).sum()
}

/// The daemon and its supervisor hold what they may, each thread of them, and can gain nothing.
fn assert_confined(daemon: &Daemon) {
    let supervisor = daemon.supervisor().expect("a supervisor");
    for (process, effective, permitted) in [(daemon.pid(), kept(), kept()), (supervisor, 0, NEEDED)]
    {
        assert_eq!(capabilities(process, "CapEff"), effective);
        assert_eq!(capabilities(process, "CapPrm"), permitted);
        for field in ["CapInh", "CapAmb"] {
            assert_eq!(capabilities(process, field), 0, "{field}");
        }
        assert_eq!(status(process, "NoNewPrivs"), ["1"]);
        assert_eq!(status(process, "Seccomp"), ["2"]);
    }
}

fn captures_something(lab: &Lab, daemon: &Daemon) {
    let id = daemon.run(json!({"interfaces": [HOST_IF], "protocol": "udp"}));
    traffic::send_to_host(lab, 0..50, 100);
    daemon.captured(&id, 50);
    assert_eq!(daemon.stop_task(&id)["verdict"], "complete");
}

#[test]
fn root_gives_up_all_else() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    captures_something(&lab, &daemon);
    assert_confined(&daemon);
    assert_eq!(capabilities(daemon.pid(), "CapBnd"), NEEDED);
    let report = output(
        lab.host
            .command("env")
            .arg(format!(
                "CAPTURE_AGENT_SOCKET={}",
                daemon.socket().display()
            ))
            .arg(binary())
            .args(["doctor", "-v"]),
    );
    let told = format!("process {} holds ", daemon.pid());
    assert!(report.contains(&told), "{report}");
    assert!(report.contains("and can gain none"), "{report}");
    daemon.stop();
}

/// The daemon has given up what it takes to look at programs of others. Its own it knows.
#[test]
fn tasks_by_generic_xdp_and_tc_go_together() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let on = |hook: &str| json!({"interfaces": [HOST_IF], "protocol": "udp", "hook": hook});
    let hooks = ["auto", "xdp-generic", "tc"];
    let ids = hooks.map(|hook| daemon.run(on(hook)));
    // Longer than it takes to look at the programs of the interface once more.
    thread::sleep(Duration::from_millis(1500));
    traffic::send_to_host(&lab, 0..50, 100);
    for (id, hook) in ids.iter().zip(hooks) {
        daemon.captured(id, 50);
        let task = daemon.stop_task(id);
        assert_eq!(task["verdict"], "complete", "{hook}: {task}");
    }
    daemon.stop();
}

/// The agent where `nobody` can execute it, and a home that belongs to `nobody`.
fn home_of_nobody() -> (Arc<TempDir>, std::path::PathBuf) {
    let home = daemon::home(UNLIMITED);
    let agent = home.path().join("capture-agent");
    fs::copy(binary(), &agent).expect("a copy of the agent");
    for path in [home.path(), &agent, &home.path().join("config.toml")] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    (home, agent)
}

fn as_nobody(namespace: &Netns, capabilities: &str) -> Command {
    let mut command = namespace.command("setpriv");
    let id = NOBODY.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]);
    command
}

#[test]
fn an_ordinary_user_with_three_capabilities_is_enough() {
    let lab = Lab::new();
    let (home, agent) = home_of_nobody();
    let mut command = as_nobody(&lab.host, "-all,+bpf,+net_admin,+perfmon");
    command.arg(agent);
    let daemon = daemon::spawn(command, &home).ready();
    assert_eq!(
        status(daemon.pid(), "Uid")[0].split_whitespace().next(),
        Some("65534")
    );
    captures_something(&lab, &daemon);
    assert_confined(&daemon);
    daemon.stop();
}

/// Whoever kills the supervisor takes nothing from the captures that run. The next task says what is missing.
#[test]
fn captures_go_on_without_the_supervisor() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(json!({"interfaces": [HOST_IF], "protocol": "udp"}));
    let supervisor = daemon.supervisor().expect("a supervisor");
    kill(Pid::from_raw(supervisor as i32), Signal::SIGKILL).expect("it runs");
    traffic::send_to_host(&lab, 0..50, 100);
    daemon.captured(&id, 50);
    // By the programs that are loaded.
    let second = daemon.run(json!({"interfaces": [HOST_IF], "protocol": "udp", "hook": "xdp"}));
    traffic::send_to_host(&lab, 0..50, 100);
    daemon.captured(&second, 50);
    for id in [id, second] {
        assert_eq!(daemon.stop_task(&id)["verdict"], "complete");
    }
    daemon.stop();
}

#[test]
fn none_of_its_processes_outlives_a_killed_daemon() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    captures_something(&lab, &daemon);
    let supervisor = daemon.supervisor().expect("a supervisor");
    daemon.kill();
    let status = format!("/proc/{supervisor}/status");
    let gone = eventually(TIMEOUT, || fs::read_to_string(&status).is_err());
    assert!(gone, "{}", fs::read_to_string(&status).unwrap_or_default());
}

#[test]
fn what_is_lacking_is_said_at_the_start() {
    let lab = Lab::new();
    let (home, agent) = home_of_nobody();
    let mut command = as_nobody(&lab.host, "-all,+bpf,+net_admin");
    command.arg(agent);
    let ended = daemon::spawn(command, &home).wait_end();
    assert_eq!(ended.status.code(), Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("CAP_PERFMON"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("ready"), "{}", ended.stderr);
}

#[test]
fn a_second_daemon_in_the_same_place_is_refused() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let second = daemon::spawn(lab.host.command(binary()), daemon.home()).wait_end();
    assert_eq!(second.status.code(), Some(4), "{}", second.stderr);
    // What it advises must be true: with captures of its own alone it would be refused again.
    for word in [
        "another daemon",
        "`paths.captures`",
        "`paths.database`",
        "`paths.socket`",
    ] {
        assert!(second.stderr.contains(word), "{word}: {}", second.stderr);
    }
    // The first one goes on.
    captures_something(&lab, &daemon);
    daemon.stop();
}

/// A home that shares nothing with another but the database, by this path.
fn home_with_database(database: &Path) -> Arc<TempDir> {
    let home = daemon::home("");
    let root = home.path().display();
    let text = format!(
        "[paths]\ndatabase = \"{}\"\ncaptures = \"{root}/captures\"\nsocket = \"{root}/api.sock\"\n\
         {UNLIMITED}\n",
        database.display()
    );
    fs::write(home.path().join("config.toml"), text).expect("a configuration");
    home
}

#[test]
fn a_second_daemon_with_the_same_database_is_refused() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(json!({"interfaces": [HOST_IF], "protocol": "udp"}));
    let database = daemon.home().path().join("state.db");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let link = elsewhere.path().join("link");
    symlink(daemon.home().path(), &link).expect("a link");
    let hard = elsewhere.path().join("other.db");
    fs::hard_link(&database, &hard).expect("a second name");
    for path in [&database, &link.join("state.db"), &hard] {
        let home = home_with_database(path);
        let ended = daemon::spawn(lab.host.command(binary()), &home).wait_end();
        assert_eq!(ended.status.code(), Some(4), "{path:?}: {}", ended.stderr);
        for word in [&*path.to_string_lossy(), "`paths.database`"] {
            // Through a linked directory it is named by its own path.
            let known = ended.stderr.contains(word) || *path == link.join("state.db");
            assert!(known, "{word}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("was running"), "{}", ended.stderr);
    }
    fs::remove_file(&hard).expect("it is ours");
    // Commands open the database beside the daemon, and a check of the configuration opens nothing.
    daemon.token("ci", "viewer", "ci");
    let config = daemon.home().path().join("config.toml");
    for arguments in [&["audit", "list"][..], &["daemon", "--check"]] {
        let mut command = Command::new(binary());
        output(command.args(arguments).arg("--config").arg(&config));
    }
    // The first one's task knows nothing of all this.
    traffic::send_to_host(&lab, 0..50, 100);
    daemon.captured(&id, 50);
    assert_eq!(daemon.stop_task(&id)["verdict"], "complete");
    // Whoever is killed holds nothing any more.
    daemon.kill();
    let home = home_with_database(&database);
    daemon::start_in(&lab.host, &home).stop();
}

#[test]
fn a_wrong_configuration_is_refused_with_its_line() {
    let lab = Lab::new();
    let home = daemon::home("[limits]\nmax_runing = 3");
    let ended = daemon::spawn(lab.host.command(binary()), &home).wait_end();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 6"), "{}", ended.stderr);
    assert!(ended.stderr.contains("max_runing"), "{}", ended.stderr);
}
