//! Identity and rights. The peer credentials of a Unix socket or a bearer token become an [`Actor`]: the store
//! counts its account, the API checks its rights, the audit log names it.

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd},
};

use capture_task::plan::{Keyword, quote};
use nix::{
    errno::Errno,
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::{Group, Uid, User, geteuid},
};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::error::{Error, Result};

/// What a caller may do. Each role may do what the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Lists and figures.
    Viewer,
    /// Creates, stops, downloads, deletes what is its account's.
    Operator,
    /// Deletes others' tasks, and administers tokens, sessions and the audit log.
    Admin,
}

impl Keyword for Role {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("viewer", Self::Viewer),
        ("operator", Self::Operator),
        ("admin", Self::Admin),
    ];
}

/// One thing that needs a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Lists, figures, events, quota, interfaces.
    View,
    /// A new task.
    Create,
    /// The end of any running task.
    Stop,
    /// The files of any task.
    Download,
    /// The removal of a task of the same account.
    DeleteOwn,
    /// The removal of any task.
    DeleteOthers,
    /// What is in packets, and what is said of them; the history of a task; the health of the daemon.
    Inspect,
    /// Tokens, the sessions of all, the audit log.
    Administer,
}

impl Keyword for Right {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("view", Self::View),
        ("create", Self::Create),
        ("stop", Self::Stop),
        ("download", Self::Download),
        ("delete_own", Self::DeleteOwn),
        ("delete_others", Self::DeleteOthers),
        ("inspect", Self::Inspect),
        ("administer", Self::Administer),
    ];
}

impl Right {
    /// The least role that has it.
    pub fn needs(self) -> Role {
        match self {
            Self::View => Role::Viewer,
            Self::Create | Self::Stop | Self::Download | Self::DeleteOwn | Self::Inspect => {
                Role::Operator
            }
            Self::DeleteOthers | Self::Administer => Role::Admin,
        }
    }
}

/// Whose quota a task counts against: that of the token, the user's name on the socket. 1–64 letters, digits and
/// `.`, `_`, `-`, `@`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Account(String);

impl Account {
    /// The account of the daemon itself, and of commands that open the database.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The account of a user of this machine: the name, or `uid-N` for one without a name that is an account's. The
    /// lookup may ask a directory service, so it may block.
    pub fn of_user(uid: u32) -> Self {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        user.and_then(|user| Self::new(&user.name))
            .unwrap_or_else(|| Self(format!("uid-{uid}")))
    }

    /// An account by name, where the name is one.
    pub fn new(name: &str) -> Option<Self> {
        is_label(name).then(|| Self(name.to_owned()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a name of an account or a token can stand in a log line and in a table as it is.
pub(super) fn is_label(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
}

/// Who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The daemon by itself: deadlines, retention, recovery.
    Daemon,
    /// A user of this machine.
    User {
        /// User ID, as the kernel says.
        uid: u32,
    },
    /// The bearer of a token.
    Token {
        /// The token's ID, which is no secret.
        id: Ulid,
        /// Its name.
        name: String,
    },
    /// The bearer of a share.
    Share {
        /// The share's ID, which is no secret.
        id: Ulid,
    },
    /// Somebody who did not prove anything.
    Unknown,
}

impl Who {
    /// Without the ID of a token: for people, who know it by its name.
    pub fn short(&self) -> String {
        match self {
            Self::Token { name, .. } => format!("token {name}"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon => f.write_str("daemon"),
            Self::User { uid } => write!(f, "uid {uid}"),
            Self::Token { id, name } => write!(f, "token {name} {id}"),
            Self::Share { id } => write!(f, "share {id}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// From where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Within the daemon.
    Internal,
    /// A command that opened the database itself.
    Command,
    /// The Unix socket.
    Socket {
        /// Process ID of the peer when it connected.
        pid: i32,
    },
    /// TCP.
    Tcp(SocketAddr),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internal => f.write_str("internal"),
            Self::Command => f.write_str("command"),
            Self::Socket { pid } => write!(f, "socket pid {pid}"),
            Self::Tcp(address) => write!(f, "tcp {address}"),
        }
    }
}

/// Who asks and from where: all that the audit log needs, also of those who have no rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub who: Who,
    /// From where.
    pub from: Origin,
}

/// What counts as one host: an address, or a /64 of IPv6, where addresses cost nothing.
pub fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Somebody with rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// For the audit log.
    pub caller: Caller,
    /// Whose quota.
    pub account: Account,
    /// Which rights.
    pub role: Role,
}

impl Actor {
    /// The daemon by itself.
    pub fn daemon() -> Self {
        Self::local(Who::Daemon, Origin::Internal, Role::Admin)
    }

    /// The user of a command that opened the database itself, which only its owner and root can.
    pub fn command() -> Self {
        let uid = nix::unistd::getuid().as_raw();
        Self::local(Who::User { uid }, Origin::Command, Role::Admin)
    }

    fn local(who: Who, from: Origin, role: Role) -> Self {
        Self {
            caller: Caller { who, from },
            account: Account::local(),
            role,
        }
    }

    /// Whether the role is enough.
    pub fn may(&self, right: Right) -> bool {
        self.role >= right.needs()
    }

    /// Whether a task of this account may be deleted.
    pub fn may_delete(&self, owner: &Account) -> bool {
        let right = if *owner == self.account {
            Right::DeleteOwn
        } else {
            Right::DeleteOthers
        };
        self.may(right)
    }
}

/// The other end of a Unix socket when it connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process ID.
    pub pid: i32,
    /// Effective user ID.
    pub uid: u32,
    /// Effective group ID.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Peer {
    /// Asks the kernel about the peer of a connected socket. The answer is of the time of `connect`:
    /// what the process became since does not count.
    ///
    /// # Errors
    /// It is no Unix socket, or is not connected.
    pub fn of(socket: BorrowedFd<'_>) -> Result<Self> {
        let failed = |error: &dyn fmt::Display| {
            Error::runtime(format!("cannot tell who is on the socket: {error}"))
        };
        let credentials = getsockopt(&socket, PeerCredentials).map_err(|errno| failed(&errno))?;
        Ok(Self {
            pid: credentials.pid(),
            uid: credentials.uid(),
            gid: credentials.gid(),
            groups: peer_groups(socket).map_err(|error| failed(&error))?,
        })
    }

    /// The peer as an actor of the role that [`SocketAccess::role`] gives it. Looks its name up, see
    /// [`Account::of_user`].
    pub fn actor(&self, role: Role) -> Actor {
        Actor {
            caller: self.caller(),
            account: Account::of_user(self.uid),
            role,
        }
    }

    /// The peer for the audit log, whatever its rights.
    pub fn caller(&self) -> Caller {
        Caller {
            who: Who::User { uid: self.uid },
            from: Origin::Socket { pid: self.pid },
        }
    }
}

/// `SO_PEERGROUPS` of socket(7), since Linux 4.13.
fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<u32> = vec![0; 32];
    loop {
        let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice()))
            .map_err(|_| io::Error::from_raw_os_error(libc::ERANGE))?;
        // SAFETY: the kernel writes at most `bytes` bytes to the buffer, which is that long, and any
        // bytes are group IDs.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // The kernel has said how many there are.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// What was looked up, if it is there: a machine may also say so by one of these errors (getgrnam_r(3)), as one without
/// `/etc/group` does.
fn found<T>(looked_up: nix::Result<Option<T>>) -> nix::Result<Option<T>> {
    match looked_up {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        other => other,
    }
}

/// Who may use the Unix socket: root and the daemon's own user as administrators, members of one group as
/// operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAccess {
    own_uid: u32,
    gid: Option<u32>,
}

impl SocketAccess {
    /// Looks the group up. One that does not exist has no members.
    ///
    /// # Errors
    /// The list of groups cannot be read.
    pub fn of_group(name: &str) -> Result<Self> {
        let group = found(Group::from_name(name)).map_err(|errno| {
            Error::runtime(format!("cannot look up the group {}: {errno}", quote(name)))
        })?;
        Ok(Self {
            own_uid: geteuid().as_raw(),
            gid: group.map(|group| group.gid.as_raw()),
        })
    }

    /// The group's ID, which the socket is given to, where the group exists.
    pub fn gid(&self) -> Option<u32> {
        self.gid
    }

    /// What a peer may do; nothing if it is an outsider.
    pub fn role(&self, peer: &Peer) -> Option<Role> {
        let is_member = self
            .gid
            .is_some_and(|gid| peer.gid == gid || peer.groups.contains(&gid));
        match peer.uid {
            0 => Some(Role::Admin),
            uid if uid == self.own_uid => Some(Role::Admin),
            _ if is_member => Some(Role::Operator),
            _ => None,
        }
    }
}
