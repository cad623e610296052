//! MySQL, PostgreSQL, Redis and LDAP: passwords that are sent as they are, and refused logins.

use crate::{
    app::{
        database::{self, Login},
        ldap,
    },
    facts::Facts,
    finding::Finding,
    logins::Results,
};
use crate::{
    application::Kind,
    applications::{
        credentials::{Logins, Words},
        protocol::{self, At, Guess, Peer, Step},
    },
};

/// Most messages of a connection that are looked at: a login comes early.
const MOST_MESSAGES: u8 = 64;

/// Bytes of a message that are looked at.
const HEAD: usize = 512;

/// What is special of each.
pub(super) trait Dialect: Default {
    const KIND: Kind;
    /// Display filter of the packet with the password.
    const FILTER: &'static str;

    fn guess(client: &[u8], server: &[u8]) -> Guess;

    /// Whether a login that worked is the last one of a connection.
    const IS_ONE_LOGIN: bool;

    /// Bytes of the message that these begin with; `None` where there are too few of them to tell.
    fn len(from: Peer, bytes: &[u8]) -> Option<usize>;

    /// What is said about a login, while one waits for its result or not.
    fn said(from: Peer, bytes: &[u8], is_open: bool) -> Said;
}

/// What an end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Something about a login.
    Login(Login),
    /// A login worked.
    Accepted,
    /// Something else.
    Other,
}

impl From<Option<Login>> for Said {
    fn from(login: Option<Login>) -> Self {
        login.map_or(Self::Other, Self::Login)
    }
}

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    messages: u8,
    /// The server asked for a password as it is, so that what the client says next is one.
    is_asked: bool,
    /// A login waits for its result.
    is_open: bool,
}

/// Measures one of the protocols.
#[derive(Clone, Debug, Default)]
pub(super) struct Logs<D> {
    logins: Logins,
    dialect: std::marker::PhantomData<D>,
}

impl<D: Dialect> protocol::Detector for Logs<D> {
    type State = State;

    const KIND: Kind = D::KIND;

    fn guess([client, server]: [&[u8]; 2]) -> Guess {
        D::guess(client, server)
    }

    fn bytes(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
        if from == Peer::Client && matches!(bytes, [22, 3, 1..=4, ..]) {
            return Step::Restart;
        }
        let Some(len) = D::len(from, bytes).filter(|len| bytes.len() >= HEAD.min(*len)) else {
            return match bytes.len() < HEAD {
                true => Step::More,
                false => Step::Done,
            };
        };
        state.messages += 1;
        if state.messages > MOST_MESSAGES {
            return Step::Done;
        }
        let bytes = &bytes[..len.min(bytes.len())];
        let said = match (from, state.is_asked) {
            (Peer::Client, true) => Said::Login(Login::Password),
            _ => D::said(from, bytes, state.is_open),
        };
        match (said, from) {
            (Said::Login(Login::AsksForPassword), Peer::Server) => state.is_asked = true,
            (Said::Login(Login::Password), Peer::Client) => {
                self.logins.sent(at);
                state.is_asked = false;
                state.is_open = true;
            }
            (Said::Login(Login::Refused), Peer::Server) => {
                self.logins.refused();
                (state.is_asked, state.is_open) = (false, false);
            }
            (Said::Accepted, Peer::Server) => {
                self.logins.accepted();
                (state.is_asked, state.is_open) = (false, false);
                if D::IS_ONE_LOGIN {
                    return Step::Done;
                }
            }
            _ => {}
        }
        Step::Take(len)
    }

    fn logins(&mut self) -> Option<Results> {
        self.logins.take_results()
    }

    fn findings(&self, _facts: &Facts, findings: &mut Vec<Finding>) {
        let words = Words::of_passwords(D::KIND.name, D::FILTER);
        self.logins.findings(&words, findings);
    }
}

macro_rules! dialects {
    ($($module:ident: $name:ident,)*) => {
        $(
            #[doc = concat!("The detector of ", stringify!($name), ".")]
            pub(super) mod $module {
                pub(crate) type Detector = super::Logs<super::$name>;
            }

            #[derive(Clone, Debug, Default)]
            pub(super) struct $name;
        )*
    };
}

dialects! {
    mysql: MySql,
    postgres: Postgres,
    redis: Redis,
    directory: Ldap,
}

impl Dialect for MySql {
    const KIND: Kind = Kind {
        name: "MySQL",
        ports: &[3306, 33060],
    };
    const FILTER: &'static str = "tcp.len > 0";
    const IS_ONE_LOGIN: bool = true;

    fn guess(_client: &[u8], server: &[u8]) -> Guess {
        match database::is_mysql_greeting(server) {
            true => Guess::Yes,
            false if server.len() < 12 => Guess::Maybe,
            false => Guess::No,
        }
    }

    fn len(_from: Peer, bytes: &[u8]) -> Option<usize> {
        let [low, middle, high, _number] = *bytes.first_chunk::<4>()?;
        Some(4 + u32::from_le_bytes([low, middle, high, 0]) as usize)
    }

    fn said(from: Peer, bytes: &[u8], _is_open: bool) -> Said {
        match (from, bytes) {
            // An OK packet.
            (Peer::Server, [_, 0, 0, number, 0, ..]) if *number >= 2 => Said::Accepted,
            (Peer::Server, _) => database::mysql(bytes).into(),
            _ => Said::Other,
        }
    }
}

impl Dialect for Postgres {
    const KIND: Kind = Kind {
        name: "PostgreSQL",
        ports: &[5432, 5433, 6432],
    };
    const FILTER: &'static str = "tcp.payload[0:1] == 70";
    const IS_ONE_LOGIN: bool = true;

    fn guess(client: &[u8], _server: &[u8]) -> Guess {
        match database::is_postgres_start(client) {
            true => Guess::Yes,
            // With the name of its first parameter.
            false if client.len() < 13 => Guess::Maybe,
            false => Guess::No,
        }
    }

    fn len(from: Peer, bytes: &[u8]) -> Option<usize> {
        // The answer to the question for TLS is one letter.
        if let (Peer::Server, [b'S' | b'N']) = (from, bytes) {
            return Some(1);
        }
        // What a client begins with has no letter before its length.
        let kind = usize::from(*bytes.first()? != 0);
        let len = bytes.get(kind..)?.first_chunk::<4>()?;
        Some(kind + (u32::from_be_bytes(*len) as usize).max(4))
    }

    fn said(from: Peer, bytes: &[u8], _is_open: bool) -> Said {
        match (from, bytes) {
            // AuthenticationOk.
            (Peer::Server, [b'R', 0, 0, 0, 8, 0, 0, 0, 0, ..]) => Said::Accepted,
            (Peer::Server, _) => database::postgres(bytes).into(),
            _ => Said::Other,
        }
    }
}

impl Dialect for Redis {
    const KIND: Kind = Kind {
        name: "Redis",
        ports: &[6379, 6380, 26379],
    };
    const FILTER: &'static str = "tcp.payload matches \"(?i)auth\"";
    const IS_ONE_LOGIN: bool = true;

    fn guess(client: &[u8], _server: &[u8]) -> Guess {
        match database::is_redis_command(client) {
            true => Guess::Yes,
            false if client.is_empty() => Guess::Maybe,
            false if client.len() < 8 => Guess::prefix(client, b"*"),
            false => Guess::No,
        }
    }

    fn len(from: Peer, bytes: &[u8]) -> Option<usize> {
        match from {
            Peer::Client => database::redis_len(bytes),
            // Of its answers only those matter that are lines.
            Peer::Server => Some(bytes.len()),
        }
    }

    fn said(from: Peer, bytes: &[u8], is_open: bool) -> Said {
        match from {
            Peer::Client => database::redis_client(bytes).into(),
            Peer::Server if is_open && bytes.starts_with(b"+OK") => Said::Accepted,
            Peer::Server => database::redis_server(bytes).into(),
        }
    }
}

impl Dialect for Ldap {
    const KIND: Kind = Kind {
        name: "LDAP",
        ports: &[ldap::PORT, 3268],
    };
    const FILTER: &'static str = "tcp.len > 0";
    // Servers of applications log everybody in over the same one.
    const IS_ONE_LOGIN: bool = false;

    fn guess(client: &[u8], _server: &[u8]) -> Guess {
        match ldap::Message::new(client) {
            Some(_) => Guess::Yes,
            None if client.len() < 8 => Guess::prefix(client, b"\x30"),
            None => Guess::No,
        }
    }

    fn len(_from: Peer, bytes: &[u8]) -> Option<usize> {
        ldap::len(bytes)
    }

    fn said(from: Peer, bytes: &[u8], _is_open: bool) -> Said {
        match (from, ldap::Message::new(bytes)) {
            (Peer::Client, Some(ldap::Message::SimpleBind)) => Said::Login(Login::Password),
            (Peer::Server, Some(ldap::Message::Bound)) => Said::Accepted,
            (Peer::Server, Some(ldap::Message::Refused)) => Said::Login(Login::Refused),
            _ => Said::Other,
        }
    }
}
