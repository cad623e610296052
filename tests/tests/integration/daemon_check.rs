//! `daemon --check` and `--print-config`: what they say is what a start does.

use std::{fs, os::unix::fs::chown, path::Path, process::Command, sync::Arc};

use capture_tests::{agent::binary, daemon, netns::Lab, output};
use tempfile::TempDir;

/// `nobody` of Debian.
const NOBODY: u32 = 65534;

/// A home of `nobody`, whom the daemon becomes, with TLS by a key that is root's.
fn home() -> Arc<TempDir> {
    let home = daemon::home("");
    let (cert, key) = (home.path().join("a.pem"), home.path().join("a.key"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]);
    openssl.args(["-days", "2", "-subj", "/CN=a", "-out"]);
    output(openssl.arg(&cert).arg("-keyout").arg(&key));
    let sections = format!(
        "[access]\nuser = \"nobody\"\n[http]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"{}\"\ntls_key = \"{}\"",
        cert.display(),
        key.display()
    );
    daemon::configure(&home, &sections);
    for path in [home.path(), &cert, &home.path().join("config.toml")] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    home
}

/// Exit code, standard output and what is said besides warnings.
fn daemon_with(config: &Path, option: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary());
    command.args(["daemon", option, "--config"]).arg(config);
    let output = command.env_remove("CAPTURE_AGENT_LOG").output();
    let output = output.expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    let said = said
        .lines()
        .filter(|line| line.starts_with("capture-agent: "));
    let said = said.collect::<Vec<_>>().join("\n");
    (output.status.code(), text(&output.stdout), said)
}

#[test]
fn a_check_fails_as_the_start_would() {
    let lab = Lab::new();
    let home = home();
    let config = home.path().join("config.toml");
    let key = home.path().join("a.key");
    let compare = |word: &str| {
        let ended = daemon::spawn(lab.host.command(binary()), &home).wait_end();
        let (code, shown, said) = daemon_with(&config, "--check");
        assert_eq!(
            (ended.status.code(), shown.as_str()),
            (code, ""),
            "{said}\n{}",
            ended.stderr
        );
        assert!(said.contains(word), "{word}: {said}");
        assert!(ended.stderr.contains(&said), "{said}\n{}", ended.stderr);
    };
    // Of root, 0600: root itself could read it.
    compare("the user nobody must be able to read it");
    chown(&key, Some(NOBODY), None).expect("root may");
    let (code, shown, said) = daemon_with(&config, "--check");
    let expected = format!("OK: {} (checked as nobody)\n", config.display());
    assert_eq!((code, shown, said.as_str()), (Some(0), expected, ""));
    // And so the daemon starts.
    daemon::start_in(&lab.host, &home).stop();
    assert!(home.path().join("state.db").exists());

    // A directory in which the user cannot write.
    let closed = tempfile::tempdir().expect("a directory");
    fs::set_permissions(
        closed.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("it is ours");
    let text = fs::read_to_string(&config).expect("a configuration");
    let database = closed.path().join("state.db");
    let text = text.replace(
        &home.path().join("state.db").display().to_string(),
        &database.display().to_string(),
    );
    fs::write(&config, text).expect("a configuration");
    let ended = daemon::spawn(lab.host.command(binary()), &home).wait_end();
    let (code, _, said) = daemon_with(&config, "--check");
    assert_eq!(code, ended.status.code(), "{said}\n{}", ended.stderr);
    for word in [
        "`paths.database`",
        "belongs to root (mode 0755)",
        "runs as nobody",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!database.exists(), "a check makes nothing");
}

#[test]
fn without_a_file_the_check_says_so() {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]);
    let agent = binary();
    let agent = agent.display();
    let hidden = ["/etc", "/run", "/var/lib"].map(|path| format!("mount -t tmpfs none {path} && "));
    command.arg(format!("{}exec {agent} daemon --check", hidden.concat()));
    let told = output(&mut command);
    assert_eq!(
        told,
        "OK: no /etc/capture-agent/config.toml, so all values are defaults (checked as uid 0)\n"
    );
}

#[test]
fn what_is_printed_is_in_force_and_can_be_read_again() {
    let home = home();
    let config = home.path().join("config.toml");
    chown(home.path().join("a.key"), Some(NOBODY), None).expect("root may");
    let (code, shown, said) = daemon_with(&config, "--print-config");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    for line in [
        "user = \"nobody\" # file, line 6",
        "max_running = 64 # default",
    ] {
        assert!(shown.lines().any(|one| one == line), "{line}: {shown}");
    }
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    let copy = home.path().join("copy.toml");
    fs::write(&copy, &shown).expect("a file");
    chown(&copy, Some(NOBODY), None).expect("root may");
    let (code, checked, said) = daemon_with(&copy, "--check");
    assert_eq!((code, said.as_str()), (Some(0), ""), "{shown}");
    assert!(
        checked.starts_with(&format!("OK: {}", copy.display())),
        "{checked}"
    );
    // The same but for the origins, which are lines of another file.
    let values = |text: &str| {
        let lines = text
            .lines()
            .skip(1)
            .map(|line| line.split(" # ").next().unwrap_or_default().to_owned());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        values(&daemon_with(&copy, "--print-config").1),
        values(&shown)
    );
    // A configuration with a fault has no such thing.
    fs::write(&copy, "[limits]\nmax_runing = 3\n").expect("a file");
    let (code, shown, said) = daemon_with(&copy, "--print-config");
    assert_eq!((code, shown.as_str()), (Some(2), ""));
    assert!(said.contains("line 2"), "{said}");
}
