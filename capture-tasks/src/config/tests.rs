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
        analysis,
        console,
        shares,
        log,
    } = parse("");
    assert_eq!(paths.database, Path::new("/var/lib/capture-agent/state.db"));
    assert_eq!(paths.captures, Path::new("/var/lib/capture-agent/captures"));
    assert_eq!(paths.socket, Path::new("/run/capture-agent/api.sock"));
    assert_eq!(http, Http::default());
    assert_eq!(access.socket_group, "capture-agent");
    assert_eq!(access.user, None);
    assert_eq!(quota.edition, Edition::Ultimate);
    assert_eq!(quota.limit(), Some(50));
    assert_eq!(quota.timezone.iana_name(), Some("UTC"));
    assert_eq!(limits.max_running, MAX_SLOTS);
    assert_eq!(limits.max_duration.as_secs(), 86_400);
    assert_eq!(limits.disk_budget, 10_737_418_240);
    assert_eq!(limits.retention.as_secs(), 604_800);
    assert_eq!(capture.ring_size, 67_108_864);
    let analyses = Analysis {
        enabled: true,
        memory: 536_870_912,
        seconds: Duration::from_secs(60),
    };
    assert_eq!(analysis, analyses);
    assert_eq!(console, Console { wireshark: true });
    assert!(shares.enabled);
    assert_eq!(shares.max_expiry.as_secs(), 2_592_000);
    assert_eq!(log.format, LogFormat::Text);
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
        user = "packets"
        isolate = true
        operator_interfaces = ["eth*", "any"]
        operator_hooks = ["auto", "tc"]
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
        evict_oldest = true
        [analysis]
        enabled = false
        memory = "1GiB"
        seconds = 30
        [console]
        wireshark = false
        [shares]
        enabled = false
        max_expiry = "7d"
        [log]
        format = "json"
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
    assert_eq!(config.access.user.as_deref(), Some("packets"));
    assert!(config.access.isolate);
    assert_eq!(config.access.operator_interfaces, ["eth*", "any"]);
    assert_eq!(config.access.operator_hooks, [Hook::Auto, Hook::Tc]);
    assert_eq!(config.quota.edition, Edition::Enterprise);
    assert_eq!(config.quota.limit(), Some(16));
    assert_eq!(config.quota.timezone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(config.limits.max_running, 8);
    assert_eq!(config.limits.max_duration.as_secs(), 5_400);
    assert_eq!(config.limits.disk_budget, 1_000_000);
    assert_eq!(config.limits.retention.as_secs(), 60);
    assert_eq!(config.capture.ring_size, 1 << 20);
    assert!(config.capture.evict_oldest);
    let analyses = Analysis {
        enabled: false,
        memory: 1 << 30,
        seconds: Duration::from_secs(30),
    };
    assert_eq!(config.analysis, analyses);
    assert_eq!(config.console, Console { wireshark: false });
    assert!(!config.shares.enabled);
    assert_eq!(config.shares.max_expiry.as_secs(), 604_800);
    assert_eq!(config.log.format, LogFormat::Json);
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
user = "a:b"
[paths]
socket = 7
[log]
format = "xml"
"#;
    let faults = faults(text);
    let lines: Vec<_> = faults
        .iter()
        .map(|fault| fault.split(':').next().expect("a line"))
        .collect();
    let expected = [3, 4, 5, 7, 8, 9, 11, 13, 14, 15, 17, 18, 20, 22].map(|n| format!("line {n}"));
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

    write(
        "[quota]\nedition = \"basic\"\n[paths]\nsocket = \"/elsewhere\"\n\
         [access]\nuser = \"other\"\n[log]\nformat = \"json\"\n",
    );
    let (config, kept) = live.read_again().expect("it is right");
    assert_eq!(kept, ["paths.socket", "access.user", "capture.ring_size"]);
    assert_eq!(live.get().quota.limit(), Some(20), "not in force yet");
    live.set(config);
    let config = live.get();
    assert_eq!(config.quota.limit(), Some(0));
    assert_eq!(config.paths, Paths::default());
    assert_eq!(config.access, Access::default());
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.capture.ring_size, 1 << 20);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let error = Config::load(Some(Path::new("/nonexistent/config.toml"))).expect_err("no file");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("/nonexistent/config.toml"));
}

#[test]
fn analyses_have_bounds() {
    let text = "[analysis]\nenabled = 1\nmemory = \"1MiB\"\nseconds = 0\n";
    let faults = faults(text);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(
        faults[..2],
        [
            "line 2: `analysis.enabled`: true or false is expected, not a number",
            "line 3: `analysis.memory`: 1048576 bytes are too few; an analysis needs 128 MiB",
        ]
    );
}

#[test]
fn shares_end_some_day() {
    assert_eq!(
        faults("[shares]\nenabled = 1\nmax_expiry = \"31d\"\n"),
        [
            "line 2: `shares.enabled`: true or false is expected, not a number",
            "line 3: `shares.max_expiry`: a share ends after 30d at the latest",
        ]
    );
}

/// The file that packages install: every key, with its default or as an example.
#[test]
fn the_installed_file_has_every_key_and_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config.toml");
    let text = fs::read_to_string(path).expect("the file");
    assert_eq!(parse(&text), Config::default());

    // A line that begins with a key behind its `#` is one of the configuration.
    let is_key = |line: &&str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let uncommented: Vec<_> = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(is_key).unwrap_or(line))
        .collect();
    let mut config = parse(&uncommented.join("\n"));
    // The examples.
    assert!(config.http.listen.is_some() && config.http.tls.is_some());
    assert!(config.quota.tasks_per_day.is_some() && config.access.user.is_some());
    config.http = Http::default();
    config.quota.tasks_per_day = None;
    config.access.user = None;
    assert_eq!(config, Config::default());

    // A key that is read has its name in quotes behind its section.
    let source = include_str!("read.rs");
    let calls = ["(section,", "(\n                section,\n"];
    let mut names = Vec::new();
    for call in source
        .split(calls[0])
        .skip(1)
        .chain(source.split(calls[1]).skip(1))
    {
        let name = call.trim_start().strip_prefix('"');
        names.extend(name.and_then(|rest| rest.split('"').next()));
    }
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let line = format!("#{name} = ");
        assert!(text.contains(&line), "{name} is not in deploy/config.toml");
    }
}

#[test]
fn the_path_of_a_socket_has_a_length_of_its_own() {
    let of = |length: usize| format!("[paths]\nsocket = \"/{}\"", "s".repeat(length - 1));
    assert!(Config::parse(&of(107)).is_ok());
    let found = faults(&of(108));
    let [fault] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(
        fault.starts_with("line 2: `paths.socket`: /sss")
            && fault.ends_with("sss has 108 bytes, and the path of a socket at most 107"),
        "{fault}"
    );
}
