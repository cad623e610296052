//! Network namespaces: `--netns` moves the process into another one before anything else looks at
//! interfaces or starts a thread.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
};

use crate::error::{Error, NamespaceError, Result};

/// Where `ip netns` keeps its names.
const NAMED: &str = "/run/netns";

/// Enters a network namespace: a name of `ip netns`, a process by its number, or a path such as `/proc/PID/ns/net`.
///
/// Moves the calling thread and the threads that it starts from then on.
pub fn enter(name_or_path: &str) -> Result<()> {
    enter_path(path_of(name_or_path)).map_err(|cause| Error::Namespace {
        name: name_or_path.to_owned(),
        cause,
    })
}

fn enter_path(path: PathBuf) -> Result<(), NamespaceError> {
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let there = named();
            return Err(NamespaceError::Unknown { path, there });
        }
        Err(cause) => return Err(NamespaceError::Open { path, cause }),
    };
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| match errno {
        Errno::EPERM => NamespaceError::NoPrivilege,
        Errno::EINVAL => NamespaceError::OtherFile {
            path,
            there: named(),
        },
        errno => NamespaceError::Enter(errno.into()),
    })
}

fn path_of(name_or_path: &str) -> PathBuf {
    if name_or_path.contains('/') {
        return PathBuf::from(name_or_path);
    }
    let named = Path::new(NAMED).join(name_or_path);
    let is_number =
        !name_or_path.is_empty() && name_or_path.bytes().all(|byte| byte.is_ascii_digit());
    match is_number && !named.exists() {
        true => PathBuf::from(format!("/proc/{name_or_path}/ns/net")),
        false => named,
    }
}

/// The names of `ip netns` that there are.
pub fn named() -> Vec<String> {
    let entries = std::fs::read_dir(NAMED).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use capture_task::error::ErrorKind;

    use super::*;

    #[test]
    fn names_and_paths() {
        assert_eq!(path_of("blue"), Path::new("/run/netns/blue"));
        assert_eq!(path_of("/proc/1/ns/net"), Path::new("/proc/1/ns/net"));
        assert_eq!(path_of("./net"), Path::new("./net"));
        assert_eq!(path_of("1"), Path::new("/proc/1/ns/net"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let error = enter("no-such-namespace").expect_err("does not exist");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let sentence = error.to_string();
        assert!(
            sentence.starts_with(
                "network namespace \"no-such-namespace\": /run/netns/no-such-namespace does not exist; "
            ),
            "{sentence}"
        );
    }
}
