//! The configuration as people write it, right and wrong.

use capture_common::MAX_SLOTS;

use super::*;
use crate::error::ErrorKind;

/// What is wrong with a text, a line each.
fn faults(text: &str) -> Vec<String> {
    let faults = Config::parse(text).expect_err("it is wrong");
    faults.iter().map(ToString::to_string).collect()
}

fn parse(text: &str) -> Config {
    Config::parse(text).expect("it is right")
}

#[test]
fn nothing_is_the_contracts_defaults() {
    let Config {
        paths,
        http,
        access,
        quota,
        limits,
        capture,
    } = parse("");
    assert_eq!(paths.database, Path::new("/var/lib/capture-agent/state.db"));
    assert_eq!(paths.captures, Path::new("/var/lib/capture-agent/captures"));
    assert_eq!(paths.socket, Path::new("/run/capture-agent/api.sock"));
    assert_eq!(http, Http::default());
    assert_eq!(access.socket_group, "capture-agent");
    assert_eq!(quota.edition, Edition::Ultimate);
    assert_eq!(quota.limit(), Some(50));
    assert_eq!(quota.timezone.iana_name(), Some("UTC"));
    assert_eq!(limits.max_running, MAX_SLOTS);
    assert_eq!(limits.max_duration.as_secs(), 86_400);
    assert_eq!(limits.disk_budget, 10_737_418_240);
    assert_eq!(limits.retention.as_secs(), 604_800);
    assert_eq!(capture.ring_size, 67_108_864);
}

#[test]
fn every_key() {
    let config = parse(
        r#"
        [paths]
        database = "/srv/state.db"
        captures = "captures"
        socket = "/srv/api.sock"
        [http]
        listen = "[::]:8443"
        tls_cert = "/srv/cert.pem"
        tls_key = "/srv/key.pem"
        allowed_hosts = ["Capture.example.com", "10.0.0.1:8443"]
        [access]
        socket_group = "wheel"
        [quota]
        edition = "enterprise"
        tasks_per_day = 0x10
        timezone = "Europe/Berlin"
        [limits]
        max_running = 8
        max_duration = "1h30m"
        disk_budget = 1_000_000
        retention = 60
        [capture]
        ring_size = "1MiB"
        "#,
    );
    assert_eq!(config.paths.database, Path::new("/srv/state.db"));
    assert!(config.paths.captures.is_absolute());
    assert!(config.paths.captures.ends_with("captures"));
    assert_eq!(config.paths.socket, Path::new("/srv/api.sock"));
    assert_eq!(config.http.listen, "[::]:8443".parse().ok());
    let tls = config.http.tls.expect("TLS");
    assert_eq!(tls.cert, Path::new("/srv/cert.pem"));
    assert_eq!(tls.key, Path::new("/srv/key.pem"));
    assert_eq!(
        config.http.allowed_hosts,
        ["capture.example.com", "10.0.0.1:8443"]
    );
    assert_eq!(config.access.socket_group, "wheel");
    assert_eq!(config.quota.edition, Edition::Enterprise);
    assert_eq!(config.quota.limit(), Some(16));
    assert_eq!(config.quota.timezone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(config.limits.max_running, 8);
    assert_eq!(config.limits.max_duration.as_secs(), 5_400);
    assert_eq!(config.limits.disk_budget, 1_000_000);
    assert_eq!(config.limits.retention.as_secs(), 60);
    assert_eq!(config.capture.ring_size, 1 << 20);
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    assert_eq!(
        faults("[paths]\ndatabse = \"/a\"\n\n[limit]\nx = 1\n[quota]\nper_day = 3\n"),
        [
            r#"line 2: "databse" is no key of [paths] (did you mean `database`?)"#,
            r#"line 4: "limit" is no section (did you mean `limits`?)"#,
            r#"line 7: "per_day" is no key of [quota]"#,
        ]
    );
    assert_eq!(faults("edition = \"basic\"\n").len(), 1);
    assert_eq!(
        faults("\nquota = 3\n"),
        ["line 2: `quota` is a section; write [quota]"]
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = r#"
[quota]
edition = "ultimat"
tasks_per_day = -1
timezone = "Mars/Olympus"
[limits]
max_running = 65
max_duration = "fast"
disk_budget = 1.5
[capture]
ring_size = 0
[http]
listen = "localhost:80"
allowed_hosts = ["a/b"]
tls_key = "/key.pem"
[access]
socket_group = ""
[paths]
socket = 7
"#;
    let faults = faults(text);
    let lines: Vec<_> = faults
        .iter()
        .map(|fault| fault.split(':').next().expect("a line"))
        .collect();
    let expected = [3, 4, 5, 7, 8, 9, 11, 13, 14, 15, 17, 19].map(|n| format!("line {n}"));
    assert_eq!(lines, expected, "{faults:#?}");
    assert_eq!(
        faults[0],
        r#"line 3: `quota.edition`: "ultimat" is not known (did you mean "ultimate"?); allowed are "basic", "premium", "enterprise", "ultimate", "unlimited""#
    );
    assert_eq!(
        faults[2],
        r#"line 5: `quota.timezone`: "Mars/Olympus" is no time zone; write a name such as "UTC" or "Europe/Berlin""#
    );
}

#[test]
fn what_is_no_toml_has_a_line_too() {
    let faults = faults("[paths]\nsocket = \n");
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("line 2: "), "{faults:?}");
    assert!(faults_of_twice()[0].starts_with("line 3: "));
}

fn faults_of_twice() -> Vec<String> {
    faults("[paths]\nsocket = \"/a\"\nsocket = \"/b\"\n")
}

#[test]
fn tls_is_needed_where_others_can_connect() {
    for (text, is_right) in [
        ("listen = \"127.0.0.1:80\"", true),
        ("listen = \"[::1]:80\"", true),
        ("listen = \"0.0.0.0:80\"", false),
        ("listen = \"[::]:80\"", false),
        ("listen = \"192.0.2.1:80\"", false),
        (
            "listen = \"0.0.0.0:80\"\ntls_cert = \"c\"\ntls_key = \"k\"",
            true,
        ),
        ("listen = \"127.0.0.1:80\"\ntls_cert = \"c\"", false),
        ("tls_key = \"k\"", false),
    ] {
        let text = format!("[http]\n{text}");
        assert_eq!(Config::parse(&text).is_ok(), is_right, "{text}");
    }
}

/// Names in the tables that are built in are there whatever the machine has.
#[test]
fn time_zones_without_the_machines() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    for name in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"] {
        assert!(bundled.get(name).is_ok(), "{name}");
    }
}

#[test]
fn read_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("config.toml");
    let write = |text: &str| fs::write(&path, text).expect("it is written");

    write("[quota]\nedition = \"enterprise\"\n[capture]\nring_size = \"1MiB\"\n");
    let live = LiveConfig::load(Some(&path)).expect("it is right");
    assert_eq!(live.get().quota.limit(), Some(20));

    // What is wrong changes nothing.
    write("[quota]\nedition = \"none\"\n");
    let error = live.read_again().expect_err("it is wrong");
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.message.contains("config.toml, line 2: "), "{error}");
    assert_eq!(live.get().quota.limit(), Some(20));

    write("[quota]\nedition = \"basic\"\n[paths]\nsocket = \"/elsewhere\"\n");
    let (config, kept) = live.read_again().expect("it is right");
    assert_eq!(kept, ["paths.socket", "capture.ring_size"]);
    assert_eq!(live.get().quota.limit(), Some(20), "not in force yet");
    live.set(config);
    let config = live.get();
    assert_eq!(config.quota.limit(), Some(0));
    assert_eq!(config.paths, Paths::default());
    assert_eq!(config.capture.ring_size, 1 << 20);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let error = Config::load(Some(Path::new("/nonexistent/config.toml"))).expect_err("no file");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("/nonexistent/config.toml"));
}
