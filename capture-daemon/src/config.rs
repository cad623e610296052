//! The daemon's configuration: `config.toml`, validated as a whole, with defaults for missing keys. It can be
//! reloaded; keys that need a restart are reported.

mod quota;
mod read;
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

pub use self::quota::{Edition, QuotaRules};
use crate::error::{Error, Result};

/// Where the configuration is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/capture-agent/config.toml";

/// How to run a second daemon on this machine.
pub(super) const OWN_PATHS: &str =
    "each daemon needs its own `paths.captures`, `paths.database` and `paths.socket`";

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

/// Who may use the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The group whose members may, besides root.
    pub socket_group: String,
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

/// The engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Bytes of all rings together.
    pub ring_size: u64,
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
        }
    }
}

impl Config {
    /// Reads a file; without one, [`DEFAULT_PATH`], which need not exist.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is wrong: all that is, each with its line.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        let shown = file.display();
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => {
                let message = format!("{shown}: {error}");
                return Err(match error.kind() {
                    io::ErrorKind::NotFound => Error::not_found(message),
                    io::ErrorKind::InvalidData => Error::usage(message),
                    _ => Error::runtime(message),
                });
            }
        };
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
            ("capture.ring_size", self.capture != before.capture),
        ];
        self.paths.clone_from(&before.paths);
        self.http.listen = before.http.listen;
        if has_tls != before.http.tls.is_some() {
            self.http.tls.clone_from(&before.http.tls);
        }
        self.capture = before.capture;
        let kept = changed.into_iter().filter(|(_, is_changed)| *is_changed);
        kept.map(|(key, _)| key).collect()
    }
}

/// The configuration in force, which can be read again.
#[derive(Debug)]
pub(crate) struct LiveConfig {
    path: Option<PathBuf>,
    current: RwLock<Arc<Config>>,
}

impl LiveConfig {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn load(path: Option<&Path>) -> Result<Self> {
        Ok(Self {
            path: path.map(Path::to_owned),
            current: RwLock::new(Arc::new(Config::load(path)?)),
        })
    }

    /// What is in force now. Whoever decides several things that belong together asks once.
    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads it again, for whoever then puts it in force by [`Self::set`], or does not. The keys that were
    /// changed, but that only the next start of the daemon heeds, come with it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn read_again(&self) -> Result<(Arc<Config>, Vec<&'static str>)> {
        let mut config = Config::load(self.path.as_deref())?;
        let kept = config.follow(&self.get());
        Ok((Arc::new(config), kept))
    }

    /// Puts what was read again in force.
    pub(crate) fn set(&self, config: Arc<Config>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
