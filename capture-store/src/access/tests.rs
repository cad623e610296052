//! Roles, peers of sockets as the kernel has them, names.

use std::os::{fd::AsFd as _, unix::net::UnixStream};

use super::*;

fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
    Peer {
        pid: 1,
        uid,
        gid,
        groups: groups.to_vec(),
    }
}

/// As in a container of nothing but the agent.
#[test]
fn a_machine_without_groups_has_none_of_this_name() {
    assert_eq!(found::<u8>(Err(Errno::ENOENT)), Ok(None));
    assert_eq!(found(Ok(Some(1))), Ok(Some(1)));
    assert_eq!(found::<u8>(Err(Errno::EIO)), Err(Errno::EIO));
}

#[test]
fn roles() {
    use Right::{Create, DeleteOthers, DeleteOwn, Download, Stop, View};
    let rights = [View, Create, Stop, Download, DeleteOwn, DeleteOthers];
    for (role, count) in [(Role::Viewer, 1), (Role::Operator, 5), (Role::Admin, 6)] {
        let actor = Actor {
            role,
            ..Actor::daemon()
        };
        let has: Vec<_> = rights.iter().map(|right| actor.may(*right)).collect();
        assert_eq!(has, [vec![true; count], vec![false; 6 - count]].concat());
    }
}

#[test]
fn deleting_is_for_the_account_and_for_admins() {
    let other = Account::new("ci").expect("a name");
    for (role, own, others) in [
        (Role::Viewer, false, false),
        (Role::Operator, true, false),
        (Role::Admin, true, true),
    ] {
        let actor = Actor {
            role,
            ..Actor::daemon()
        };
        assert_eq!(actor.may_delete(&Account::local()), own);
        assert_eq!(actor.may_delete(&other), others);
    }
}

#[test]
fn who_may_use_the_socket() {
    let access = SocketAccess {
        own_uid: 998,
        gid: Some(900),
    };
    let role = |peer: &Peer| access.role(peer);
    assert_eq!(role(&peer(0, 0, &[])), Some(Role::Admin));
    assert_eq!(role(&peer(998, 998, &[])), Some(Role::Admin));
    assert_eq!(role(&peer(1000, 900, &[])), Some(Role::Operator));
    assert_eq!(role(&peer(1000, 1000, &[4, 900])), Some(Role::Operator));
    assert_eq!(role(&peer(1000, 1000, &[4, 24])), None);
    assert_eq!(role(&peer(1000, 0, &[0])), None);

    let alone = SocketAccess {
        own_uid: 998,
        gid: None,
    };
    assert_eq!(alone.role(&peer(1000, 900, &[900])), None);
}

#[test]
fn a_user_of_the_socket_has_an_account_of_the_own_name() {
    let root = peer(0, 0, &[]).actor(Role::Admin);
    assert_eq!(root.account.as_str(), "root");
    assert_eq!(root.caller.who.to_string(), "uid 0");
    assert_eq!(root.caller.from.to_string(), "socket pid 1");
    assert_eq!(root.role, Role::Admin);

    let nameless = peer(3_999_999_999, 900, &[]).actor(Role::Operator);
    assert_eq!(nameless.account.as_str(), "uid-3999999999");
    assert!(!nameless.may_delete(&root.account));
    assert!(root.may_delete(&nameless.account));
}

#[test]
fn the_kernel_says_who_the_peer_is() {
    let (one, _other) = UnixStream::pair().expect("a pair of sockets");
    let peer = Peer::of(one.as_fd()).expect("its peer");
    assert_eq!(peer.pid, nix::unistd::getpid().as_raw());
    assert_eq!(peer.uid, geteuid().as_raw());
    assert_eq!(peer.gid, nix::unistd::getegid().as_raw());
    let mut groups: Vec<_> = nix::unistd::getgroups()
        .expect("our groups")
        .iter()
        .map(|gid| gid.as_raw())
        .collect();
    groups.sort_unstable();
    let mut found = peer.groups.clone();
    found.sort_unstable();
    assert_eq!(found, groups);

    let null = std::fs::File::open("/dev/null").expect("a file that is no socket");
    assert!(Peer::of(null.as_fd()).is_err());
}

#[test]
fn a_peer_in_many_groups() {
    let groups: Vec<u32> = (2000..2100).collect();
    let set = groups.clone();
    // The system call itself is about one thread, unlike setgroups(3).
    let thread = std::thread::spawn(move || {
        // SAFETY: the list is as long as is said, and is only read.
        let result = unsafe { libc::syscall(libc::SYS_setgroups, set.len(), set.as_ptr()) };
        (result == 0).then(|| {
            let (one, _other) = UnixStream::pair().expect("a pair of sockets");
            Peer::of(one.as_fd()).expect("its peer").groups
        })
    });
    // Who may not change groups has not got so many.
    if let Some(found) = thread.join().expect("no panic") {
        assert_eq!(found, groups);
    }
}

#[test]
fn groups_by_name() {
    let root = SocketAccess::of_group("root").expect("the list of groups");
    assert_eq!(root.gid(), Some(0));
    let none = SocketAccess::of_group("no-such-group").expect("the list of groups");
    assert_eq!(none.gid(), None);
}

#[test]
fn names_of_accounts() {
    for name in ["a", "ci-runner", "who@example.com", "A_1.b"] {
        assert!(Account::new(name).is_some(), "{name}");
    }
    for name in ["", "a b", "a/b", "a\n", "é", &"a".repeat(65)] {
        assert!(Account::new(name).is_none(), "{name:?}");
    }
}
