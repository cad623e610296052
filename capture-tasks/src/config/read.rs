//! From the text of `config.toml` to a [`Config`]. Each key is taken out of its section by name and read by
//! its kind; what nobody took is unknown. All faults are collected, each with its line.

use std::fmt;

use capture_task::plan::{nearest, quote};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    Access, Analysis, Capture, Config, Console, Http, Limits, Log, Paths, QuotaRules, Shares, Tls,
    values,
};

/// Something that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigFault {
    /// Counted from 1.
    line: usize,
    /// One sentence.
    detail: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.detail)
    }
}

/// What a value of one kind is read by.
type Read<T> = fn(&DeValue<'_>) -> Result<T, String>;

impl Config {
    /// Reads the text, or says all that is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<ConfigFault>> {
        let document = DeTable::parse(text).map_err(|error| {
            vec![ConfigFault {
                line: line_of(text, error.span().map_or(0, |span| span.start)),
                detail: error.message().to_owned(),
            }]
        })?;
        let mut reader = ConfigReader {
            text,
            faults: Vec::new(),
            #[cfg(test)]
            known: Vec::new(),
        };
        let config = reader.config(document.get_ref());
        let ConfigReader { mut faults, .. } = reader;
        if faults.is_empty() {
            return Ok(config);
        }
        faults.sort_by_key(|fault| fault.line);
        Err(faults)
    }
}

/// A key that a text has.
pub(super) struct GivenKey {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) line: usize,
}

/// The keys of a text that can be read, with their lines.
pub(super) fn given_keys(text: &str) -> Vec<GivenKey> {
    let document = DeTable::parse(text).map(Spanned::into_inner);
    let sections = document.unwrap_or_default().into_iter();
    let keys = sections.flat_map(|(section, value)| {
        let DeValue::Table(table) = value.into_inner() else {
            return Vec::new();
        };
        let keys = table.into_iter().map(|(key, _)| GivenKey {
            section: section.get_ref().to_string(),
            line: line_of(text, key.span().start),
            key: key.into_inner().into_owned(),
        });
        keys.collect()
    });
    keys.collect()
}

/// All keys that can be given.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<(&'static str, &'static str)> {
    let mut reader = ConfigReader {
        text: "",
        faults: Vec::new(),
        known: Vec::new(),
    };
    reader.config(&DeTable::new());
    reader.known
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// The text that faults are found in.
struct ConfigReader<'t> {
    text: &'t str,
    faults: Vec<ConfigFault>,
    /// Section and name of each key that can be given.
    #[cfg(test)]
    known: Vec<(&'static str, &'static str)>,
}

impl ConfigReader<'_> {
    fn config(&mut self, document: &DeTable<'_>) -> Config {
        let mut root = Section::new("", document);
        let paths = self.section(&mut root, "paths", Self::paths);
        let http = self.section(&mut root, "http", Self::http);
        let access = self.section(&mut root, "access", Self::access);
        let quota = self.section(&mut root, "quota", Self::quota);
        let limits = self.section(&mut root, "limits", Self::limits);
        let capture = self.section(&mut root, "capture", Self::capture);
        let analysis = self.section(&mut root, "analysis", Self::analysis);
        let console = self.section(&mut root, "console", Self::console);
        let shares = self.section(&mut root, "shares", Self::shares);
        let log = self.section(&mut root, "log", Self::log);
        self.unknown(&root);
        Config {
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
        }
    }

    fn paths(&mut self, section: &mut Section<'_>) -> Paths {
        let defaults = Paths::default();
        Paths {
            database: self.or(section, "database", values::path, defaults.database),
            captures: self.or(section, "captures", values::path, defaults.captures),
            socket: self.or(section, "socket", values::socket, defaults.socket),
        }
    }

    fn http(&mut self, section: &mut Section<'_>) -> Http {
        let listen = self.given(section, "listen", values::address);
        let cert = self.given(section, "tls_cert", values::path);
        let key = self.given(section, "tls_key", values::path);
        let allowed_hosts = self.or(section, "allowed_hosts", values::hosts, Vec::new());
        let (has_cert, has_key) = (section.has("tls_cert"), section.has("tls_key"));
        if has_cert != has_key {
            let (here, missing) = if has_cert {
                ("tls_cert", "tls_key")
            } else {
                ("tls_key", "tls_cert")
            };
            let detail = format!("`http.{here}` needs `http.{missing}` beside it");
            self.add(section.at(here), detail);
        }
        if let Some(listen) = listen
            && !listen.ip().is_loopback()
            && !has_cert
        {
            let detail = format!(
                "`http.listen`: {listen} can be reached from elsewhere, which needs TLS; give `tls_cert` and `tls_key`, or listen on 127.0.0.1"
            );
            self.add(section.at("listen"), detail);
        }
        Http {
            listen,
            tls: cert.zip(key).map(|(cert, key)| Tls { cert, key }),
            allowed_hosts,
        }
    }

    fn access(&mut self, section: &mut Section<'_>) -> Access {
        let defaults = Access::default();
        Access {
            socket_group: self.or(
                section,
                "socket_group",
                values::group,
                defaults.socket_group,
            ),
            user: self.given(section, "user", values::user),
            isolate: self.or(section, "isolate", values::flag, defaults.isolate),
            operator_interfaces: self.or(
                section,
                "operator_interfaces",
                values::interfaces,
                defaults.operator_interfaces,
            ),
            operator_hooks: self.or(
                section,
                "operator_hooks",
                values::hooks,
                defaults.operator_hooks,
            ),
        }
    }

    fn quota(&mut self, section: &mut Section<'_>) -> QuotaRules {
        let defaults = QuotaRules::default();
        QuotaRules {
            edition: self.or(section, "edition", values::word, defaults.edition),
            tasks_per_day: self.given(section, "tasks_per_day", values::tasks_per_day),
            timezone: self.or(section, "timezone", values::timezone, defaults.timezone),
        }
    }

    fn limits(&mut self, section: &mut Section<'_>) -> Limits {
        let defaults = Limits::default();
        Limits {
            max_running: self.or(
                section,
                "max_running",
                values::max_running,
                defaults.max_running,
            ),
            max_duration: self.or(
                section,
                "max_duration",
                values::duration,
                defaults.max_duration,
            ),
            disk_budget: self.or(section, "disk_budget", values::bytes, defaults.disk_budget),
            retention: self.or(section, "retention", values::duration, defaults.retention),
        }
    }

    fn capture(&mut self, section: &mut Section<'_>) -> Capture {
        let defaults = Capture::default();
        Capture {
            ring_size: self.or(section, "ring_size", values::ring_size, defaults.ring_size),
            keep_free: self.or(section, "keep_free", values::keep_free, defaults.keep_free),
            evict_oldest: self.or(section, "evict_oldest", values::flag, defaults.evict_oldest),
        }
    }

    fn analysis(&mut self, section: &mut Section<'_>) -> Analysis {
        let defaults = Analysis::default();
        Analysis {
            enabled: self.or(section, "enabled", values::flag, defaults.enabled),
            memory: self.or(section, "memory", values::analysis_memory, defaults.memory),
            seconds: self.or(section, "seconds", values::duration, defaults.seconds),
        }
    }

    fn console(&mut self, section: &mut Section<'_>) -> Console {
        let defaults = Console::default();
        Console {
            wireshark: self.or(section, "wireshark", values::flag, defaults.wireshark),
        }
    }

    fn shares(&mut self, section: &mut Section<'_>) -> Shares {
        let defaults = Shares::default();
        Shares {
            enabled: self.or(section, "enabled", values::flag, defaults.enabled),
            max_expiry: self.or(
                section,
                "max_expiry",
                values::share_expiry,
                defaults.max_expiry,
            ),
        }
    }

    fn log(&mut self, section: &mut Section<'_>) -> Log {
        let defaults = Log::default();
        Log {
            format: self.or(section, "format", values::word, defaults.format),
        }
    }

    /// A section, which may be absent.
    fn section<'a, T>(
        &mut self,
        root: &mut Section<'a>,
        name: &'static str,
        read: impl FnOnce(&mut Self, &mut Section<'a>) -> T,
    ) -> T {
        let table = match root
            .take(name)
            .map(|value| (value.get_ref(), root.at(name)))
        {
            Some((DeValue::Table(table), _)) => Some(table),
            Some((_, at)) => {
                self.add(at, format!("`{name}` is a section; write [{name}]"));
                None
            }
            None => None,
        };
        let mut section = Section {
            name,
            table,
            known: Vec::new(),
        };
        let values = read(self, &mut section);
        #[cfg(test)]
        self.known
            .extend(section.known.iter().map(|key| (name, *key)));
        self.unknown(&section);
        values
    }

    /// A key's value, where it is given and right.
    fn given<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        read: Read<T>,
    ) -> Option<T> {
        let value = section.take(key)?;
        match read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(detail) => {
                let detail = format!("`{}.{key}`: {detail}", section.name);
                self.add(section.at(key), detail);
                None
            }
        }
    }

    fn or<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        read: Read<T>,
        default: T,
    ) -> T {
        self.given(section, key, read).unwrap_or(default)
    }

    /// Every key that was not asked for.
    fn unknown(&mut self, section: &Section<'_>) {
        let kind = if section.name.is_empty() {
            "section"
        } else {
            "key"
        };
        for key in section.table.into_iter().flat_map(|table| table.keys()) {
            let name = key.get_ref().as_ref();
            if section.known.contains(&name) {
                continue;
            }
            let hint = nearest(name, section.known.iter().copied())
                .map(|near| format!(" (did you mean `{near}`?)"))
                .unwrap_or_default();
            let place = match section.name {
                "" => String::new(),
                name => format!(" of [{name}]"),
            };
            let detail = format!("{} is no {kind}{place}{hint}", quote(name));
            self.add(key.span().start, detail);
        }
    }

    fn add(&mut self, offset: usize, detail: String) {
        self.faults.push(ConfigFault {
            line: line_of(self.text, offset),
            detail,
        });
    }
}

/// A table of the document, and which of its keys are known.
struct Section<'a> {
    name: &'static str,
    table: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    fn new(name: &'static str, table: &'a DeTable<'a>) -> Self {
        Self {
            name,
            table: Some(table),
            known: Vec::new(),
        }
    }

    fn entry(&self, key: &str) -> Option<(&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)> {
        self.table?
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)
    }

    /// The value of a key, which is known from then on.
    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entry(key).map(|(_, value)| value)
    }

    fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where a key stands in the text.
    fn at(&self, key: &str) -> usize {
        self.entry(key).map_or(0, |(name, _)| name.span().start)
    }
}
