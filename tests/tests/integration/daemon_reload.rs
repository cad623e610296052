//! The configuration read again while the daemon runs, as by `systemctl reload`: what is wrong with it is said
//! with file, line and key and changes nothing, and so is what only the next start can change.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
    process::Command,
};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, UNLIMITED},
    eventually,
    netns::{HOST_IF, Lab},
    output,
};
use nix::sys::signal::Signal;
use serde_json::json;

/// Replaces the whole configuration, and has it read again.
fn reload(daemon: &Daemon, text: &str) {
    let path = daemon.home().path().join("config.toml");
    fs::write(path, text).expect("a configuration");
    daemon.signal(Signal::SIGHUP);
}

/// Waits for a line that ends so.
#[track_caller]
fn says(daemon: &Daemon, end: &str) {
    let said = || daemon.stderr().lines().any(|line| line.ends_with(end));
    assert!(eventually(TIMEOUT, said), "{end}\n{}", daemon.stderr());
}

/// What the daemon says to a task of two hours, which only its first configuration allows.
fn of_two_hours(daemon: &Daemon) -> u16 {
    let task = json!({"name": "long", "interfaces": [HOST_IF], "duration": "2h"});
    let answer = daemon.ask("POST", "/tasks?dry_run=true", Some(&task));
    answer.status
}

/// How often the audit log has a reload of this outcome.
fn reloads(daemon: &Daemon, outcome: &str) -> usize {
    let mut command = Command::new(capture_tests::agent::binary());
    let config = daemon.home().path().join("config.toml");
    // Each listing is a line of its own.
    command.args(["audit", "list", "--limit", "1000", "-o", "json", "--config"]);
    let lines = output(command.arg(config));
    let lines: serde_json::Value = serde_json::from_str(&lines).expect("JSON");
    let lines = lines.as_array().expect("lines").iter();
    let of_reloads = lines.filter(|line| line["action"] == "config.reload");
    of_reloads
        .filter(|line| {
            line["outcome"]
                .as_str()
                .is_some_and(|it| it.starts_with(outcome))
        })
        .count()
}

#[test]
fn a_wrong_configuration_is_said_by_file_line_and_key_and_changes_nothing() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let file = daemon.home().path().join("config.toml");
    let right = fs::read_to_string(&file).expect("the configuration");
    // Each would also forbid what is allowed so far.
    let strict = "[limits]\nmax_duration = \"1h\"\n";
    for (rest, faults) in [
        (
            "no_such_key = 1",
            &["line 3: \"no_such_key\" is no key of [limits]"][..],
        ),
        (
            "max_runing = 7",
            &["line 3: \"max_runing\" is no key of [limits] (did you mean `max_running`?)"],
        ),
        (
            "max_running = 65\n[quota]\nedition = \"gold\"",
            &["line 3: `limits.max_running`", "line 5: `quota.edition`"],
        ),
        ("max_running =", &["line 3: string values must be quoted"]),
    ] {
        reload(&daemon, &format!("{strict}{rest}\n"));
        for fault in faults {
            let line = format!(
                "capture-agent: error: the configuration stays as it was: {}, {fault}",
                file.display()
            );
            let said = || daemon.stderr().lines().any(|it| it.contains(&line));
            assert!(eventually(TIMEOUT, said), "{line}\n{}", daemon.stderr());
        }
        assert_eq!(of_two_hours(&daemon), 200, "{}", daemon.stderr());
    }
    fs::remove_file(&file).expect("it is ours");
    daemon.signal(Signal::SIGHUP);
    says(&daemon, "No such file or directory");
    assert_eq!(of_two_hours(&daemon), 200);

    reload(&daemon, &format!("{right}\nmax_duration = \"1h\"\n"));
    says(&daemon, "the configuration is read again");
    assert_eq!(of_two_hours(&daemon), 422);
    let noted = || (reloads(&daemon, "failed: "), reloads(&daemon, "done"));
    assert!(eventually(TIMEOUT, || noted() == (5, 1)), "{:?}", noted());
    daemon.stop();
}

/// `systemctl reload` as the unit has it: one command after the other, up to the first that fails. What that said.
fn reload_by_the_unit(daemon: &Daemon) -> Result<(), String> {
    let unit =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/capture-agent.service");
    let unit = fs::read_to_string(unit).expect("the unit");
    let commands = unit
        .lines()
        .filter_map(|line| line.strip_prefix("ExecReload="));
    let agent = capture_tests::agent::binary();
    let config = daemon.home().path().join("config.toml");
    for command in commands {
        // An argument in single quotes may hold spaces.
        let parts = command.split('\'').enumerate();
        let words = parts.flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        let mut words = words.map(|word| match word {
            "/usr/local/bin/capture-agent" => agent.as_os_str(),
            word => word.as_ref(),
        });
        let program = words.next().expect("a program");
        let mut command = Command::new(program);
        command.args(words);
        if program == agent {
            command.arg("--config").arg(&config);
        }
        // No other program is at hand.
        command.env_clear().env("PATH", "/no/such/directory");
        command.env("MAINPID", daemon.pid().to_string());
        let done = command.output().expect("it starts");
        if !done.status.success() {
            assert_eq!(done.status.code(), Some(2));
            return Err(String::from_utf8(done.stderr).expect("text"));
        }
        // The check says what was checked, and warns of nothing but the group that is not here.
        let [stdout, stderr] =
            [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(stdout.is_empty() || stdout.starts_with("OK: "), "{stdout}");
        assert!(
            stderr
                .lines()
                .all(|line| line.contains("there is no group")),
            "{stderr}"
        );
    }
    Ok(())
}

#[test]
fn a_reload_by_the_service_manager_fails_where_the_configuration_is_wrong() {
    const SHORT: &str = "[limits]\nmax_duration = \"1h\"\n";
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let daemon = daemon::start_in(&lab.host, &home);
    let file = home.path().join("config.toml");
    let wrong = format!("{SHORT}max_runing = 7\n[quota]\nedition = 1\n");
    daemon::configure(&home, &wrong);
    let said = reload_by_the_unit(&daemon).expect_err("it is refused");
    let begin = format!("capture-agent: {}, line ", file.display());
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.lines().all(|line| line.starts_with(&begin)), "{said}");
    for fault in ["`max_running`", "`quota.edition`"] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
    // Files that the configuration names are looked at as well.
    let cert = home.path().join("tls.pem").display().to_string();
    let tls =
        format!("[http]\nlisten = \"127.0.0.1:0\"\ntls_cert = {cert:?}\ntls_key = {cert:?}\n");
    daemon::configure(&home, &format!("{SHORT}{tls}"));
    let said = reload_by_the_unit(&daemon).expect_err("it is refused");
    let begin = format!("capture-agent: TLS: {cert}: ");
    assert!(said.starts_with(&begin), "{said}");
    // The daemon was not even told.
    assert_eq!(of_two_hours(&daemon), 200, "{}", daemon.stderr());
    let stderr = daemon.stderr();
    let (_, later) = stderr.split_once("ready\n").expect("it is ready");
    assert!(!later.contains("configuration"), "{stderr}");

    daemon::configure(&home, SHORT);
    reload_by_the_unit(&daemon).expect("it is right");
    says(&daemon, "the configuration is read again");
    assert_eq!(of_two_hours(&daemon), 422);
    daemon.stop();
}

#[test]
fn what_only_the_next_start_changes_is_said_and_stays() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let daemon = daemon::start_in(&lab.host, &home);
    let elsewhere = tempfile::tempdir().expect("a directory");
    let root = elsewhere.path().display();
    let text = format!(
        "[paths]\ndatabase = \"{root}/state.db\"\ncaptures = \"{root}/captures\"\n\
         socket = \"{root}/api.sock\"\n[http]\nlisten = \"127.0.0.1:9\"\n\
         [capture]\nring_size = \"1MiB\"\n[limits]\nmax_duration = \"1h\"\n"
    );
    reload(&daemon, &text);
    says(&daemon, "the configuration is read again");
    for key in [
        "paths.database",
        "paths.captures",
        "paths.socket",
        "http.listen",
        "capture.ring_size",
    ] {
        let line = format!("warning: `{key}` has changed, and is heeded at the next start");
        says(&daemon, &line);
    }
    // The rest is heeded, and all is where it was.
    assert_eq!(of_two_hours(&daemon), 422);
    let id = daemon.run(json!({"interfaces": [HOST_IF]}));
    assert_eq!(daemon.stop_task(&id)["verdict"], "complete");
    assert_eq!(daemon::names(elsewhere.path()), [""; 0]);
    // A configuration that is as the daemon is has nothing to say of it.
    let warnings = |daemon: &Daemon| daemon.stderr().matches("at the next start").count();
    let before = warnings(&daemon);
    daemon::configure(&home, UNLIMITED);
    daemon.signal(Signal::SIGHUP);
    assert!(eventually(TIMEOUT, || of_two_hours(&daemon) == 200));
    assert_eq!(warnings(&daemon), before, "{}", daemon.stderr());
    daemon.stop();
}

/// A certificate and its key in a file.
fn certificate(path: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(' '));
    openssl
        .args("-days 2 -subj /CN=localhost -out".split(' '))
        .arg(path);
    output(openssl.arg("-keyout").arg(path.with_extension("key")));
}

/// A certificate is read only when the rest of the configuration is known to be right: also then nothing of that
/// may be in force.
#[test]
fn a_certificate_that_cannot_be_used_changes_nothing() {
    let lab = Lab::new();
    let home = daemon::home("");
    let cert = home.path().join("tls.pem");
    certificate(&cert);
    let tls = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\n",
        cert.display(),
        cert.with_extension("key").display()
    );
    daemon::configure(&home, &format!("{UNLIMITED}\n{tls}"));
    let daemon = daemon::start_in(&lab.host, &home);
    fs::write(&cert, "no certificate").expect("it is ours");
    daemon::configure(&home, &format!("[limits]\nmax_duration = \"1h\"\n{tls}"));
    daemon.signal(Signal::SIGHUP);
    let why = format!(
        "the configuration stays as it was: TLS: {}: there is no certificate in it",
        cert.display()
    );
    says(&daemon, &why);
    assert_eq!(of_two_hours(&daemon), 200, "{}", daemon.stderr());
    let connected = UnixStream::connect(daemon.socket());
    assert!(connected.is_ok(), "{connected:?}");
    daemon.stop();
}

/// The rest of a configuration has nothing to do with the socket's file.
#[test]
fn a_socket_that_was_removed_keeps_nothing_from_being_read_again() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    fs::remove_file(daemon.home().path().join("api.sock")).expect("it was there");
    daemon.signal(Signal::SIGHUP);
    says(&daemon, "the configuration is read again");
    let text = daemon.stderr();
    let is_said = text.contains("was removed, and nobody can connect there; restart the daemon");
    assert!(is_said, "{text}");
}

/// By a start and by a reload.
#[test]
fn files_that_everybody_can_read_or_write_are_warned_of() {
    let lab = Lab::new();
    let home = daemon::home("");
    let cert = home.path().join("tls.pem");
    certificate(&cert);
    let key = cert.with_extension("key");
    let tls = format!(
        "{UNLIMITED}\n[http]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\n",
        cert.display(),
        key.display()
    );
    daemon::configure(&home, &tls);
    let config = home.path().join("config.toml");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode(&key, 0o644);
    mode(&config, 0o666);
    let daemon = daemon::start_in(&lab.host, &home);
    let warnings = || {
        let expected = [
            format!(
                "{}: every user of this host can read the private key; `chmod o= {0}`",
                key.display()
            ),
            format!(
                "{}: every user of this host can change the configuration; `chmod o-w {0}`",
                config.display()
            ),
        ];
        let said = daemon.stderr();
        expected.map(|line| said.matches(&line).count())
    };
    assert_eq!(warnings(), [1, 1], "{}", daemon.stderr());
    mode(&config, 0o640);
    daemon.signal(Signal::SIGHUP);
    says(&daemon, "the configuration is read again");
    assert_eq!(warnings(), [2, 1], "{}", daemon.stderr());
    mode(&key, 0o640);
    reload(&daemon, &format!("{tls}[capture]\nkeep_free = \"1%\"\n"));
    assert!(eventually(TIMEOUT, || {
        daemon
            .stderr()
            .matches("the configuration is read again")
            .count()
            == 2
    }));
    assert_eq!(warnings(), [2, 1], "{}", daemon.stderr());
    daemon.stop();
}
