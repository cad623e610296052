//! Network namespaces: `--netns` moves the process into another one before anything else looks at
//! interfaces or starts a thread.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use capture_task::{
    error::{Error, ErrorKind, Result},
    plan::quote,
};
use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
};

/// Where `ip netns` keeps its names.
const NAMED: &str = "/run/netns";

/// Enters a network namespace: a name of `ip netns`, or a path such as `/proc/PID/ns/net`.
///
/// Moves the calling thread and the threads that it starts from then on.
pub fn enter(name_or_path: &str) -> Result<()> {
    let path = path_of(name_or_path);
    let shown = quote(name_or_path);
    let file = File::open(&path).map_err(|error| Error {
        kind: match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Missing,
            _ => ErrorKind::Runtime,
        },
        message: format!(
            "network namespace {shown} ({}): {error}; {}",
            path.display(),
            alternatives()
        ),
    })?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| match errno {
        Errno::EPERM => Error::missing(format!(
            "entering the network namespace {shown} needs CAP_SYS_ADMIN; run with sudo"
        )),
        Errno::EINVAL => Error::usage(format!(
            "{} is not a network namespace; {}",
            path.display(),
            alternatives()
        )),
        errno => Error::runtime(format!("entering the network namespace {shown}: {errno}")),
    })
}

fn path_of(name_or_path: &str) -> PathBuf {
    if name_or_path.contains('/') {
        PathBuf::from(name_or_path)
    } else {
        Path::new(NAMED).join(name_or_path)
    }
}

/// What could have been meant.
fn alternatives() -> String {
    let mut names: Vec<_> = std::fs::read_dir(NAMED)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| quote(&entry.file_name().to_string_lossy()))
        .collect();
    names.sort();
    if names.is_empty() {
        "no named ones exist; a path such as /proc/PID/ns/net works too".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        assert_eq!(path_of("blue"), Path::new("/run/netns/blue"));
        assert_eq!(path_of("/proc/1/ns/net"), Path::new("/proc/1/ns/net"));
        assert_eq!(path_of("./net"), Path::new("./net"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let error = enter("no-such-namespace").expect_err("does not exist");
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.message.contains("\"no-such-namespace\""), "{error}");
    }
}
