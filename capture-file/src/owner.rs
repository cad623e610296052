//! Gives a finished file to the user for whom root has captured, as under sudo. Used by [`OutFile`](super::file::OutFile)
//! once the file has its name.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    },
    path::Path,
};

use super::path::directory_of;

/// A user, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// Gives the file to this user if it is in a directory where that user could have made it: one of the user's own,
    /// or one for all. Elsewhere the name of a file can have a meaning (`/etc/cron.d`), and root keeps it. True if it
    /// was given.
    ///
    /// # Errors
    /// Of the file system.
    pub(super) fn take(self, file: &File, path: &Path) -> io::Result<bool> {
        // The directory's owner may exchange directories meanwhile: what counts is the one in which the file is found.
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(directory_of(path))?;
        let place = directory.metadata()?;
        let is_for_all = place.mode() & libc::S_IWOTH != 0;
        if place.uid() != self.uid && !is_for_all {
            return Ok(false);
        }
        let Some(name) = path.file_name() else {
            return Ok(false);
        };
        let within = Path::new("/proc/self/fd")
            .join(directory.as_raw_fd().to_string())
            .join(name);
        let (found, own) = (fs::symlink_metadata(within)?, file.metadata()?);
        let is_same = (found.dev(), found.ino()) == (own.dev(), own.ino());
        if !is_same || !own.is_file() || own.nlink() != 1 {
            return Ok(false);
        }
        fchown(file, Some(self.uid), Some(self.gid))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A user that no test runs as.
    const SOMEBODY: Owner = Owner {
        uid: 54_321,
        gid: 54_322,
    };

    #[test]
    fn only_where_the_user_could_have_made_it() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.pcapng");
        let file = File::create_new(&path).expect("a file");
        let owner = || {
            let metadata = fs::metadata(&path).expect("metadata");
            (metadata.uid(), metadata.gid())
        };
        let set_mode = |mode| {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode))
                .expect("a mode");
        };
        let mine = owner();
        assert!(!SOMEBODY.take(&file, &path).expect("looked at"));
        assert_eq!(owner(), mine);

        // Another file has the name now.
        set_mode(0o1777);
        let moved = directory.path().join("b.pcapng");
        fs::rename(&path, &moved).expect("renamed");
        fs::write(&path, "").expect("a file");
        assert!(!SOMEBODY.take(&file, &path).expect("looked at"));
        fs::rename(&moved, &path).expect("renamed");

        // A second name, perhaps where it must not be changed.
        fs::hard_link(&path, &moved).expect("a link");
        assert!(!SOMEBODY.take(&file, &path).expect("looked at"));
        fs::remove_file(&moved).expect("removed");
        assert_eq!(owner(), mine);

        assert!(SOMEBODY.take(&file, &path).expect("looked at"));
        assert_eq!(owner(), (SOMEBODY.uid, SOMEBODY.gid));

        set_mode(0o700);
        std::os::unix::fs::chown(directory.path(), Some(SOMEBODY.uid), None).expect("an owner");
        let other = directory.path().join("c.pcapng");
        let file = File::create_new(&other).expect("a file");
        assert!(SOMEBODY.take(&file, &other).expect("looked at"));
    }
}
