//! The configuration in force as a configuration: every key with its value, and where that came from.

use std::{fmt::Write as _, path::Path, time::Duration};

use capture_file::KeepFree;
use capture_task::plan::Keyword as _;

use super::{
    Access, Analysis, Capture, Config, Console, DEFAULT_PATH, Http, Limits, Log, Paths, QuotaRules,
    Shares, Tls, read::given_keys, text_of,
};
use crate::error::Result;

/// A key and its value as TOML has it, or else why there is none.
type Entry = (&'static str, Result<String, &'static str>);

impl Config {
    /// What a daemon with this file and this `--user` would run on, as TOML. It has no secrets, but names the files that
    /// hold them.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn shown(path: Option<&Path>, user: Option<&str>) -> Result<String> {
        let mut config = Self::load(path)?;
        let text = text_of(path)?;
        if let Some(user) = user {
            config.access.user = Some(user.to_owned());
        }
        let file = path.unwrap_or(Path::new(DEFAULT_PATH)).display();
        let source = match text {
            Some(_) => format!("{file} and defaults"),
            None => format!("defaults alone: there is no {file}"),
        };
        let given = given_keys(text.as_deref().unwrap_or_default());
        let mut shown = format!("# What the daemon runs on, from {source}.\n");
        for (section, entries) in config.entries() {
            let _ = writeln!(shown, "\n[{section}]");
            for (key, value) in entries {
                let line = given
                    .iter()
                    .find(|given| (&*given.section, &*given.key) == (section, key));
                let origin = match line {
                    _ if (section, key) == ("access", "user") && user.is_some() => {
                        "option --user".to_owned()
                    }
                    Some(given) => format!("file, line {}", given.line),
                    None => "default".to_owned(),
                };
                let _ = match value {
                    Ok(value) => writeln!(shown, "{key} = {value} # {origin}"),
                    Err(why) => writeln!(shown, "# {key}: {why} # {origin}"),
                };
            }
        }
        Ok(shown)
    }

    /// All that there is: a key that is forgotten here does not compile, or is found by a test.
    fn entries(&self) -> Vec<(&'static str, Vec<Entry>)> {
        let Self {
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
        } = self;
        let Paths {
            database,
            captures,
            socket,
        } = paths;
        let Http {
            listen,
            tls,
            allowed_hosts,
        } = http;
        let Access {
            socket_group,
            user,
            isolate,
            operator_interfaces,
            operator_hooks,
        } = access;
        let list = |words: &mut dyn Iterator<Item = &str>| {
            let words: Vec<_> = words.map(quoted).collect();
            format!("[{}]", words.join(", "))
        };
        let QuotaRules {
            edition,
            tasks_per_day,
            timezone,
        } = quota;
        let Limits {
            max_running,
            max_duration,
            disk_budget,
            retention,
        } = limits;
        let Capture {
            ring_size,
            keep_free,
            evict_oldest,
        } = capture;
        let Analysis {
            enabled,
            memory,
            seconds,
        } = analysis;
        let Console { wireshark } = console;
        let Shares {
            enabled: shares_enabled,
            max_expiry,
        } = shares;
        let Log { format } = log;
        let (cert, key) = tls.as_ref().map(|Tls { cert, key }| (cert, key)).unzip();
        let hosts: Vec<_> = allowed_hosts.iter().map(|host| quoted(host)).collect();
        let none = |value: Option<String>, why| value.ok_or(why);
        vec![
            (
                "paths",
                vec![
                    ("database", Ok(path(database))),
                    ("captures", Ok(path(captures))),
                    ("socket", Ok(path(socket))),
                ],
            ),
            (
                "http",
                vec![
                    (
                        "listen",
                        none(
                            listen.map(|listen| quoted(&listen.to_string())),
                            "none, the socket alone",
                        ),
                    ),
                    ("tls_cert", none(cert.map(|cert| path(cert)), "none")),
                    ("tls_key", none(key.map(|key| path(key)), "none")),
                    ("allowed_hosts", Ok(format!("[{}]", hosts.join(", ")))),
                ],
            ),
            (
                "access",
                vec![
                    ("socket_group", Ok(quoted(socket_group))),
                    (
                        "user",
                        none(
                            user.as_deref().map(quoted),
                            "none, so whoever owns the files, if root starts the daemon",
                        ),
                    ),
                    ("isolate", Ok(isolate.to_string())),
                    (
                        "operator_interfaces",
                        Ok(list(&mut operator_interfaces.iter().map(String::as_str))),
                    ),
                    (
                        "operator_hooks",
                        Ok(list(&mut operator_hooks.iter().map(|hook| hook.keyword()))),
                    ),
                ],
            ),
            (
                "quota",
                vec![
                    ("edition", Ok(quoted(edition.keyword()))),
                    (
                        "tasks_per_day",
                        none(
                            tasks_per_day.map(|tasks| tasks.to_string()),
                            "none, so the edition says it",
                        ),
                    ),
                    (
                        "timezone",
                        Ok(quoted(timezone.iana_name().unwrap_or("UTC"))),
                    ),
                ],
            ),
            (
                "limits",
                vec![
                    ("max_running", Ok(max_running.to_string())),
                    ("max_duration", Ok(duration(*max_duration))),
                    ("disk_budget", Ok(size(*disk_budget))),
                    ("retention", Ok(duration(*retention))),
                ],
            ),
            (
                "capture",
                vec![
                    ("ring_size", Ok(size(*ring_size))),
                    (
                        "keep_free",
                        Ok(match keep_free {
                            KeepFree::Bytes(bytes) => size(*bytes),
                            KeepFree::Percent(_) => quoted(&keep_free.to_string()),
                        }),
                    ),
                    ("evict_oldest", Ok(evict_oldest.to_string())),
                ],
            ),
            (
                "analysis",
                vec![
                    ("enabled", Ok(enabled.to_string())),
                    ("memory", Ok(size(*memory))),
                    ("seconds", Ok(duration(*seconds))),
                ],
            ),
            ("console", vec![("wireshark", Ok(wireshark.to_string()))]),
            (
                "shares",
                vec![
                    ("enabled", Ok(shares_enabled.to_string())),
                    ("max_expiry", Ok(duration(*max_expiry))),
                ],
            ),
            ("log", vec![("format", Ok(quoted(format.keyword())))]),
        ]
    }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A basic string. TOML's are JSON's, but for DEL, which it wants escaped.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('\u{7f}', "\\u007f")
}

/// In the largest unit that says it exactly.
fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let exact = units.into_iter().find(|(_, shift)| {
        let unit = 1_u64 << shift;
        bytes >= unit && bytes.is_multiple_of(unit)
    });
    match exact {
        Some((unit, shift)) => format!("\"{}{unit}\"", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// The same for times.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let exact = units
        .into_iter()
        .find(|(_, unit)| seconds >= *unit && seconds.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) => format!("\"{}{name}\"", seconds / unit),
        None => format!("\"{seconds}s\""),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::read::known_keys, *};

    fn shown(text: &str, user: Option<&str>) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("config.toml");
        std::fs::write(&file, text).expect("a file");
        Config::shown(Some(&file), user).expect("it is valid")
    }

    #[test]
    fn what_is_shown_is_the_same_configuration() {
        for text in [
            "",
            "[paths]\nsocket = \"/run/a \\\"b\\\\ \\u007f é\"\n[http]\nlisten = \"[::1]:8443\"\ntls_cert = \"/c\"\n\
             tls_key = \"/k\"\nallowed_hosts = [\"a.example\", \"b.example\"]\n\
             [access]\nuser = \"root\"\nsocket_group = \"g\"\nisolate = true\noperator_interfaces = [\"eth*\", \"any\"]\noperator_hooks = [\"tc\"]\n\
             [quota]\nedition = \"enterprise\"\ntasks_per_day = 0\ntimezone = \"Europe/Berlin\"\n\
             [limits]\nmax_running = 3\nmax_duration = \"1h30m\"\ndisk_budget = 123456789\nretention = \"36h\"\n\
             [capture]\nring_size = \"128MiB\"\nkeep_free = \"7%\"\nevict_oldest = true\n[analysis]\nenabled = false\nmemory = \"1.5GiB\"\nseconds = 61\n\
             [console]\nwireshark = false\n[shares]\nenabled = false\nmax_expiry = \"1d\"\n[log]\nformat = \"json\"\n",
        ] {
            let expected = Config::parse(text).expect("it is valid");
            let told = shown(text, None);
            assert_eq!(Config::parse(&told), Ok(expected), "{told}");
        }
    }

    #[test]
    fn every_key_is_shown_with_its_origin() {
        let told = shown("[quota]\n\ntasks_per_day = 7\n", Some("alice"));
        for line in [
            "tasks_per_day = 7 # file, line 3",
            "edition = \"ultimate\" # default",
            "user = \"alice\" # option --user",
            "disk_budget = \"10GiB\" # default",
            "# listen: none, the socket alone # default",
        ] {
            assert!(told.lines().any(|one| one == line), "{line}: {told}");
        }
        for (section, key) in known_keys() {
            let (_, behind) = told
                .split_once(&format!("\n[{section}]\n"))
                .unwrap_or_else(|| panic!("no [{section}]: {told}"));
            let own = behind.split("\n[").next().unwrap_or_default();
            let has = |line: &str| {
                line.starts_with(&format!("{key} = ")) || line.starts_with(&format!("# {key}: "))
            };
            assert!(own.lines().any(has), "{section}.{key}: {told}");
        }
    }
}
