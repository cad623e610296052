//! Why a network namespace cannot be entered.

use std::{io, path::PathBuf};

use capture_task::{error::ErrorKind, plan::quote};

/// Why a network namespace cannot be entered.
#[derive(Debug)]
#[non_exhaustive]
pub enum NamespaceError {
    /// It is not there.
    Unknown {
        /// Where it was looked for.
        path: PathBuf,
        /// Those that are there.
        there: Vec<String>,
    },
    /// Its file cannot be opened.
    Open {
        /// Where it is.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file is none of a network namespace.
    OtherFile {
        /// Where it is.
        path: PathBuf,
        /// Namespaces that are there.
        there: Vec<String>,
    },
    /// CAP_SYS_ADMIN is missing.
    NoPrivilege,
    /// Another reason.
    Enter(io::Error),
}

impl NamespaceError {
    pub(super) fn sentence(&self, name: &str) -> String {
        let name = quote(name);
        match self {
            Self::Unknown { path, there } => format!(
                "network namespace {name}: {} does not exist; {}",
                path.display(),
                alternatives(there)
            ),
            Self::Open { path, cause } => {
                format!("network namespace {name} ({}): {cause}", path.display())
            }
            Self::OtherFile { path, there } => format!(
                "{} is not a network namespace; {}",
                path.display(),
                alternatives(there)
            ),
            Self::NoPrivilege => {
                format!("entering the network namespace {name} needs CAP_SYS_ADMIN; run with sudo")
            }
            Self::Enter(cause) => format!("cannot enter the network namespace {name}: {cause}"),
        }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::NoPrivilege => ErrorKind::Missing,
            Self::Open { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                ErrorKind::Missing
            }
            Self::OtherFile { .. } => ErrorKind::Usage,
            Self::Open { .. } | Self::Enter(_) => ErrorKind::Runtime,
        }
    }
}

/// What could have been meant instead.
fn alternatives(there: &[String]) -> String {
    if there.is_empty() {
        return "no named ones exist; a path such as /proc/PID/ns/net works too".to_owned();
    }
    let names: Vec<_> = there.iter().map(|name| quote(name)).collect();
    format!("there are {}", names.join(", "))
}
