//! `daemon --check`: whether a start would get on with its configuration. It looks with the rights that the daemon would
//! have, user and capabilities, which this process keeps from then on; it makes nothing and needs no kernel.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use capture_file::open_failure;
use capture_store::{
    access::SocketAccess,
    ownership::{own_name, why_denied},
};
use capture_task::Cause;
use nix::{
    errno::Errno,
    unistd::{AccessFlags, eaccess, geteuid},
};

use super::{
    api,
    config::{Config, DEFAULT_PATH, LiveConfig},
    modes, privileges, socket_group,
    user::{self, NewUser},
};
use crate::error::{Error, Result};

/// Checks the configuration as a start and a SIGHUP do, beside a daemon that may be running, and gives a line that says
/// what was read and as whom it was looked at.
///
/// # Errors
/// All that is wrong with it, each fault with its line; a file or directory that the daemon could not use.
pub fn check(path: Option<&Path>, user: Option<&str>) -> Result<String> {
    let live = LiveConfig::load(path)?;
    let config = live.get();
    let wanted = user.or(config.access.user.as_deref());
    let group = SocketAccess::of_group(&config.access.socket_group)?.gid();
    let is_root = geteuid().is_root();
    let stranger = wanted.filter(|name| !is_root && **name != own_name());
    let new_user = match stranger {
        Some(name) => {
            user::must_exist(name)?;
            None
        }
        None => user::wanted(&config.paths, wanted)?,
    };
    let places = places(&config, new_user.as_ref());
    privileges::try_on(new_user, group.filter(|_| is_root))?;
    let name = own_name();
    if let Some(file) = live.file()
        && let Err(error) = File::open(file)
    {
        log::warn!(
            "{}: {}; the user {name} must be able to read it, or a reload (SIGHUP) fails",
            file.display(),
            Cause(&error)
        );
    }
    api::check(&config)?;
    for place in places.iter().filter(|_| stranger.is_none()) {
        place.check()?;
    }
    // Last, as these only warn.
    socket_group(&config)?;
    modes::warn(&live);
    let whom = match stranger {
        Some(stranger) => format!(
            "checked as {name}, who is not {stranger}: files and directories are not; run it as root for these"
        ),
        None => format!("checked as {name}"),
    };
    Ok(match live.file() {
        Some(file) => format!("OK: {} ({whom})", file.display()),
        None => format!("OK: no {DEFAULT_PATH}, so all values are defaults ({whom})"),
    })
}

/// Something that the daemon writes.
struct Place {
    key: &'static str,
    path: PathBuf,
    /// What must be there already: the path itself, or the directory in which it will be made.
    present: PathBuf,
    needs: AccessFlags,
}

/// What the daemon writes, as far as it is not made for it at the start.
fn places(config: &Config, new_user: Option<&NewUser>) -> Vec<Place> {
    let paths = &config.paths;
    let directory = AccessFlags::W_OK | AccessFlags::X_OK;
    let parent = |path: &Path| path.parent().map(Path::to_owned);
    let wanted = [
        ("paths.captures", Some(paths.captures.clone()), directory),
        ("paths.database", parent(&paths.database), directory),
        (
            "paths.database",
            Some(paths.database.clone()).filter(|path| path.exists()),
            AccessFlags::R_OK | AccessFlags::W_OK,
        ),
        ("paths.socket", parent(&paths.socket), directory),
    ];
    let wanted = wanted.into_iter().filter_map(|(key, path, needs)| {
        let path = path?;
        let present = path.ancestors().find(|path| path.exists())?.to_owned();
        // Root makes the directories of the user that it becomes.
        let is_made = present != path && new_user.is_some();
        (!is_made).then_some(Place {
            key,
            path,
            present,
            needs,
        })
    });
    wanted.collect()
}

impl Place {
    fn check(&self) -> Result<()> {
        eaccess(&self.present, self.needs).map_err(|errno: Errno| {
            let error = io::Error::from(errno);
            let message = format!(
                "`{}`: {}: {}{}",
                self.key,
                self.path.display(),
                open_failure(&self.path, &error),
                why_denied(&self.path, &error)
            );
            // The kinds, and so the exit codes, of the start.
            match (self.key, errno) {
                ("paths.database", Errno::EACCES) => Error::missing(message),
                _ => Error::runtime(message),
            }
        })
    }
}
