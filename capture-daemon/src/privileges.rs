//! Drops all capabilities but the three that capturing needs, for good, before anything is opened and while there
//! is one thread: capabilities are a thread's own, and later threads inherit them. Works as root and as a user with
//! ambient capabilities (`AmbientCapabilities=` of systemd). Root may become another user on the way
//! ([`super::user`]).

use std::collections::HashSet;

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};
use capture_engine::{KernelVersion, needed_beside_loader};
use nix::{
    sys::{
        prctl::set_no_new_privs,
        resource::{Resource, getrlimit, setrlimit},
    },
    unistd::{Gid, User, getgroups, setgroups},
};

use super::{
    config::Paths,
    user::{self, NewUser},
};
use crate::error::{Error, Result};

/// What capturing needs.
const NEEDED: [Capability; 3] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
];

/// Gives up what is not needed. Beforehand uses it for what lasts: the limits of memory and descriptors,
/// membership in the group of the socket, which can then be given to that group, and the user.
pub(super) fn give_up(
    paths: &Paths,
    new_user: Option<NewUser>,
    socket_group: Option<u32>,
) -> Result<()> {
    raise_limits();
    let make_directories = |user: &User| user::make_directories(paths, user);
    let kept = reduce(new_user, socket_group, make_directories)?;
    let names = sorted(&kept);
    log::info!("privileges kept: {}", names.join(", "));
    Ok(())
}

/// What the daemon keeps beside its supervisor, which has a loader load the kernel programs: nothing where the kernel asks for no
/// capability to work with what is loaded.
pub(super) fn leave_to_supervisor() -> Result<()> {
    let failed = |error: CapsError| {
        Error::runtime(format!(
            "cannot give up privileges, and goes no further: {error}"
        ))
    };
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let kept: CapsHashSet = match KernelVersion::running() {
        Ok(version) => {
            let needed = needed_beside_loader(version).iter().copied();
            needed.filter(|one| held.contains(one)).collect()
        }
        Err(_) => held,
    };
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)?;
    let names = match kept.is_empty() {
        true => "none".to_owned(),
        false => sorted(&kept).join(", "),
    };
    log::info!("privileges kept beside the supervisor: {names}");
    Ok(())
}

/// Takes on the user and the capabilities of the daemon, for good, and makes nothing for it.
pub(super) fn try_on(new_user: Option<NewUser>, socket_group: Option<u32>) -> Result<()> {
    reduce(new_user, socket_group, |_| ()).map(|_| ())
}

/// Leaves the user and the capabilities that the daemon keeps, which are given back. `prepare` is called before this
/// process becomes another user.
fn reduce(
    new_user: Option<NewUser>,
    socket_group: Option<u32>,
    prepare: impl FnOnce(&User),
) -> Result<CapsHashSet> {
    let group = socket_group.map(Gid::from_raw);
    let failed = |error: CapsError| {
        Error::runtime(format!(
            "cannot give up privileges, and goes no further: {error}"
        ))
    };
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let kept = kept(&held);
    // The bound of what a program that this one executes could get. It executes none; where this is not
    // allowed, `no_new_privs` serves alone.
    if held.contains(&Capability::CAP_SETPCAP) {
        for capability in caps::all().difference(&kept) {
            if caps::has_cap(None, CapSet::Bounding, *capability).unwrap_or(false) {
                caps::drop(None, CapSet::Bounding, *capability).map_err(failed)?;
            }
        }
    }
    let new_user = new_user.map(|new| permitted(new, &held)).transpose()?;
    match new_user.flatten() {
        Some(user) => {
            prepare(&user);
            user::become_user(&user, group)?;
        }
        None => group.into_iter().for_each(join_group),
    }
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)?;
    set_no_new_privs().map_err(|errno| {
        Error::runtime(format!(
            "cannot renounce new privileges (no_new_privs): {errno}"
        ))
    })?;
    Ok(kept)
}

/// The user to become, where this process may.
fn permitted(new: NewUser, held: &CapsHashSet) -> Result<Option<User>> {
    // In a container root may lack what that takes.
    let needed = [Capability::CAP_SETUID, Capability::CAP_SETGID];
    let NewUser { user, is_named } = new;
    if needed.iter().all(|one| held.contains(one)) {
        return Ok(Some(user));
    }
    if is_named {
        return Err(Error::missing(format!(
            "becoming the user {} needs CAP_SETUID and CAP_SETGID; start the daemon as that user instead",
            user.name
        )));
    }
    Ok(None)
}

/// Of what is held, what is kept. CAP_SYS_ADMIN stays where it stands for one of the three.
fn kept(held: &CapsHashSet) -> CapsHashSet {
    let mut kept: CapsHashSet = NEEDED
        .into_iter()
        .filter(|one| held.contains(one))
        .collect();
    let lacks = |capability| !held.contains(&capability);
    if (lacks(Capability::CAP_BPF) || lacks(Capability::CAP_PERFMON))
        && held.contains(&Capability::CAP_SYS_ADMIN)
    {
        kept.insert(Capability::CAP_SYS_ADMIN);
    }
    kept
}

fn sorted(capabilities: &HashSet<Capability>) -> Vec<String> {
    let mut names: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

/// Before 5.11 rings count as locked memory; and each client and each file has a descriptor. Where a limit
/// cannot be raised, what meets it will say so.
fn raise_limits() {
    if KernelVersion::running().is_ok_and(|version| version < KernelVersion::NO_MEMLOCK)
        && let Err(errno) = setrlimit(Resource::RLIMIT_MEMLOCK, u64::MAX, u64::MAX)
    {
        log::info!("the limit of locked memory stays as it is: {errno}");
    }
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(errno) = setrlimit(Resource::RLIMIT_NOFILE, most, most)
    {
        log::info!("the limit of open files stays as it is: {errno}");
    }
}

/// Root may do this now and not later; others are members by the service manager, or are not.
fn join_group(gid: Gid) {
    let joined = getgroups().and_then(|mut groups| {
        if groups.contains(&gid) {
            return Ok(());
        }
        groups.push(gid);
        setgroups(&groups)
    });
    if let Err(errno) = joined {
        log::info!("not a member of the socket's group: {errno}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_kept() {
        assert_eq!(kept(&caps::all()), NEEDED.into());
        assert_eq!(kept(&CapsHashSet::new()), CapsHashSet::new());
        let old = [
            Capability::CAP_SYS_ADMIN,
            Capability::CAP_NET_ADMIN,
            Capability::CAP_CHOWN,
        ];
        let stays = [Capability::CAP_SYS_ADMIN, Capability::CAP_NET_ADMIN];
        assert_eq!(kept(&old.into()), stays.into());
    }
}
