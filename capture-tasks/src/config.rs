//! The daemon's configuration: `config.toml`, validated as a whole, with defaults for missing keys. It can be
//! reloaded; keys that need a restart are reported.

mod read;
mod shown;
#[cfg(test)]
mod tests;
mod values;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use capture_common::MAX_SLOTS;
use capture_file::{KeepFree, open_failure};
use capture_store::{
    Glob,
    access::{Account, Actor, Role},
};
use capture_task::plan::{Fault, FaultKind, Field, Hook, InterfaceSelection, Keyword, Plan};

use crate::error::{Error, Result};
pub use capture_store::{Edition, QuotaRules};

/// Where the configuration is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/capture-agent/config.toml";

/// All of it. Every value is usable as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[paths]`
    pub paths: Paths,
    /// `[http]`
    pub http: Http,
    /// `[access]`
    pub access: Access,
    /// `[quota]`
    pub quota: QuotaRules,
    /// `[limits]`
    pub limits: Limits,
    /// `[capture]`
    pub capture: Capture,
    /// `[analysis]`
    pub analysis: Analysis,
    /// `[console]`
    pub console: Console,
    /// `[shares]`
    pub shares: Shares,
    /// `[log]`
    pub log: Log,
}

/// Where things are; absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The store.
    pub database: PathBuf,
    /// One directory a task.
    pub captures: PathBuf,
    /// The API.
    pub socket: PathBuf,
}

/// The API on TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Where to listen besides the socket; with TLS unless it is a loopback address.
    pub listen: Option<SocketAddr>,
    /// `tls_cert` and `tls_key`.
    pub tls: Option<Tls>,
    /// Names, in lower case, by which clients may call this host besides its loopback names and `listen`.
    pub allowed_hosts: Vec<String>,
}

/// Files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that vouch for it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whose the daemon is, and who may use its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The group whose members may use the socket, besides root.
    pub socket_group: String,
    /// The user that a daemon started as root becomes; by default whose its files are.
    pub user: Option<String>,
    /// Whether accounts see their own tasks only, but for administrators.
    pub isolate: bool,
    /// Patterns of the interfaces that operators may capture on.
    pub operator_interfaces: Vec<String>,
    /// The hooks that they may use.
    pub operator_hooks: Vec<Hook>,
}

impl Access {
    /// The account whose tasks alone an actor sees; none for one who sees all.
    pub fn scope(&self, actor: &Actor) -> Option<Account> {
        (self.isolate && actor.role < Role::Admin).then(|| actor.account.clone())
    }

    /// What of a plan an actor may not do, a fault for each field or interface.
    pub fn refusals(&self, plan: &Plan, actor: &Actor) -> Vec<Fault> {
        if actor.role >= Role::Admin {
            return Vec::new();
        }
        let any = ["any".to_owned()];
        let names = match &plan.interfaces {
            InterfaceSelection::Any => any.as_slice(),
            InterfaceSelection::Named(names) => names,
        };
        let patterns: Vec<_> = self
            .operator_interfaces
            .iter()
            .map(|it| Glob::new(it))
            .collect();
        let mut faults = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if !patterns.iter().any(|pattern| pattern.matches(name)) {
                faults.push(Fault {
                    pointer: format!("/interfaces/{index}"),
                    kind: FaultKind::InterfaceNotAllowed {
                        name: name.as_str().into(),
                        allowed: self.operator_interfaces.clone(),
                    },
                });
            }
        }
        if !self.operator_hooks.contains(&plan.hook) {
            let words = self
                .operator_hooks
                .iter()
                .map(|hook| hook.keyword().to_owned());
            let kind = FaultKind::HookNotAllowed {
                hook: plan.hook.keyword().to_owned(),
                allowed: words.collect(),
            };
            faults.push(Fault::of(Field::Hook, kind));
        }
        faults
    }
}

/// The daemon's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Keyword for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

/// What all tasks together must stay within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most tasks at once, 1–64; the others wait.
    pub max_running: usize,
    /// Longest `duration` of a task.
    pub max_duration: Duration,
    /// Bytes of all captures.
    pub disk_budget: u64,
    /// How long files are kept once a task has ended.
    pub retention: Duration,
}

/// What captures take of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Bytes of all rings together.
    pub ring_size: u64,
    /// What captures leave free of their file system.
    pub keep_free: KeepFree,
    /// Whether files of finished tasks, the oldest first, make room for running ones.
    pub evict_oldest: bool,
}

/// The analysis of captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Whether there is any.
    pub enabled: bool,
    /// Most bytes of address space of one.
    pub memory: u64,
    /// Most processor time of the analysis of a file, and longest wait for an answer.
    pub seconds: Duration,
}

/// Links by which somebody without a token sees a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Whether there are any. Those that were made show nothing while there are none.
    pub enabled: bool,
    /// How long one may be in force.
    pub max_expiry: Duration,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            enabled: true,
            max_expiry: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            database: "/var/lib/capture-agent/state.db".into(),
            captures: "/var/lib/capture-agent/captures".into(),
            socket: "/run/capture-agent/api.sock".into(),
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            socket_group: "capture-agent".to_owned(),
            user: None,
            isolate: false,
            operator_interfaces: vec!["*".to_owned()],
            operator_hooks: Hook::WORDS.iter().map(|(_, hook)| *hook).collect(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: MAX_SLOTS,
            max_duration: Duration::from_secs(24 * 3600),
            disk_budget: 10 << 30,
            retention: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            ring_size: 64 << 20,
            keep_free: KeepFree::default(),
            evict_oldest: false,
        }
    }
}

/// What is shown of captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// Whether packets may be taken apart by Wireshark, where it is installed.
    pub wireshark: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self { wireshark: true }
    }
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            enabled: true,
            memory: 512 << 20,
            seconds: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Reads a file; without one, [`DEFAULT_PATH`], which need not exist.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is wrong: all that is, each with its line.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        let Some(text) = text_of(path)? else {
            return Ok(Self::default());
        };
        let shown = path.unwrap_or(Path::new(DEFAULT_PATH)).display();
        Self::parse(&text).map_err(|faults| {
            let lines: Vec<_> = faults
                .iter()
                .map(|fault| format!("{shown}, {fault}"))
                .collect();
            Error::usage(lines.join("\n"))
        })
    }

    /// Puts `self`, just read, in the place of what was in force. What only a start of the daemon can change
    /// stays as it was; the keys for which that makes a difference come back.
    fn follow(&mut self, before: &Self) -> Vec<&'static str> {
        let has_tls = self.http.tls.is_some();
        let changed = [
            (
                "paths.database",
                self.paths.database != before.paths.database,
            ),
            (
                "paths.captures",
                self.paths.captures != before.paths.captures,
            ),
            ("paths.socket", self.paths.socket != before.paths.socket),
            ("http.listen", self.http.listen != before.http.listen),
            ("http.tls_cert", has_tls != before.http.tls.is_some()),
            ("access.user", self.access.user != before.access.user),
            (
                "capture.ring_size",
                self.capture.ring_size != before.capture.ring_size,
            ),
        ];
        self.paths.clone_from(&before.paths);
        self.http.listen = before.http.listen;
        if has_tls != before.http.tls.is_some() {
            self.http.tls.clone_from(&before.http.tls);
        }
        self.access.user.clone_from(&before.access.user);
        self.capture.ring_size = before.capture.ring_size;
        let kept = changed.into_iter().filter(|(_, is_changed)| *is_changed);
        kept.map(|(key, _)| key).collect()
    }
}

/// The text of a file; none where that of [`DEFAULT_PATH`] does not exist.
fn text_of(path: Option<&Path>) -> Result<Option<String>> {
    let file = path.unwrap_or(Path::new(DEFAULT_PATH));
    let error = match fs::read_to_string(file) {
        Ok(text) => return Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => {
            return Ok(None);
        }
        Err(error) => error,
    };
    let message = format!("{}: {}", file.display(), open_failure(file, &error));
    Err(match error.kind() {
        io::ErrorKind::NotFound => Error::not_found(message),
        io::ErrorKind::InvalidData => Error::usage(message),
        _ => Error::runtime(message),
    })
}

/// The configuration in force, which can be read again.
#[derive(Debug)]
pub struct LiveConfig {
    path: Option<PathBuf>,
    /// Whether there was a file at the start.
    was_found: bool,
    current: RwLock<Arc<Config>>,
}

impl LiveConfig {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(path: Option<&Path>) -> Result<Self> {
        Ok(Self {
            path: path.map(Path::to_owned),
            was_found: path.unwrap_or(Path::new(DEFAULT_PATH)).exists(),
            current: RwLock::new(Arc::new(Config::load(path)?)),
        })
    }

    /// Where it came from at the start; `None` where there was no file, and all values are defaults.
    pub fn file(&self) -> Option<&Path> {
        let path = self.path.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        self.was_found.then_some(path)
    }

    /// What is in force now. Whoever decides several things that belong together asks once.
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads it again, for whoever then puts it in force by [`Self::set`], or does not. The keys that were
    /// changed, but that only the next start of the daemon heeds, come with it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read_again(&self) -> Result<(Arc<Config>, Vec<&'static str>)> {
        let mut config = Config::load(self.path.as_deref())?;
        let kept = config.follow(&self.get());
        Ok((Arc::new(config), kept))
    }

    /// Puts what was read again in force.
    pub fn set(&self, config: Arc<Config>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
