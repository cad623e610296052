//! Sessions of browsers: a token is exchanged once for a secret in a cookie that scripts cannot read. They are in
//! memory, so that none outlives the daemon, and end with their token, after hours without use, and after a week.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capture_store::{
    Secret, TokenInfo,
    access::{Account, Actor, Caller, Origin, Role, Who},
    clock::Clock,
};
use capture_task::printable;
use http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

/// Name of the cookie. Browsers take one with this prefix only with `Secure`, for the whole site and for this host
/// alone (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-session";

/// What the cookie is besides: not for scripts, and not sent where another site leads here.
const ATTRIBUTES: &str = "; HttpOnly; Secure; SameSite=Strict; Path=/";

/// Begins every secret.
const PREFIX: &str = "ses_";

/// How long a session lives without a request.
const MAX_IDLE: Duration = Duration::from_secs(12 * 3600);

/// How long it lives at most.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Most sessions; the one that was idle for longest makes room.
const MAX_SESSIONS: usize = 1000;

/// Most sessions of an account.
const MAX_OF_ACCOUNT: usize = 100;

/// Most characters kept of what a browser says it is.
const MAX_USER_AGENT: usize = 256;

/// The sessions of the daemon.
#[derive(Debug)]
pub(super) struct Sessions {
    clock: Arc<dyn Clock>,
    by_hash: Mutex<HashMap<[u8; 32], Session>>,
}

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: Ulid,
    pub(super) token: Ulid,
    /// The token's.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) account: Account,
    /// Where the token was shown.
    pub(super) from: Origin,
    pub(super) user_agent: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) used_at: Timestamp,
    token_expires_at: Option<Timestamp>,
    /// The same by the clock that nobody sets.
    created: Duration,
    used: Duration,
}

impl Session {
    /// When it ends if nothing more is asked.
    pub(super) fn expires_at(&self) -> Timestamp {
        let after = |time: Timestamp, by: Duration| {
            SignedDuration::try_from(by).map_or(time, |by| time.saturating_add(by).unwrap_or(time))
        };
        let idle = after(self.used_at, MAX_IDLE);
        let least = idle.min(after(self.created_at, MAX_AGE));
        self.token_expires_at.map_or(least, |end| least.min(end))
    }

    /// Who asks from `from`.
    pub(super) fn actor(&self, from: Origin) -> Actor {
        Actor {
            caller: Caller {
                who: self.who(),
                from,
            },
            account: self.account.clone(),
            role: self.role,
        }
    }

    /// The bearer of the token.
    pub(super) fn who(&self) -> Who {
        Who::Token {
            id: self.token,
            name: self.name.clone(),
        }
    }

    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) >= MAX_IDLE || now.saturating_sub(self.created) >= MAX_AGE
    }
}

impl Sessions {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            by_hash: Mutex::default(),
        }
    }

    /// Begins a session of a token. Gives those that made room for it, too.
    ///
    /// # Errors
    /// The kernel has no random bytes.
    pub(super) fn create(
        &self,
        token: &TokenInfo,
        from: Origin,
        user_agent: Option<&str>,
    ) -> capture_store::Result<(Session, Secret, Vec<Session>)> {
        let secret = Secret::random(PREFIX)?;
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        let session = Session {
            id: Ulid::new(),
            token: token.id,
            name: token.name.clone(),
            role: token.role,
            account: token.account.clone(),
            from,
            user_agent: user_agent.map(shortened),
            created_at: now,
            used_at: now,
            token_expires_at: token.expires_at,
            created: elapsed,
            used: elapsed,
        };
        let mut sessions = self.lock();
        let mut ended = Vec::new();
        while let Some(session) = make_room(&mut sessions, &session.account) {
            ended.push(session);
        }
        sessions.insert(Secret::hash(secret.reveal()), session.clone());
        Ok((session, secret, ended))
    }

    /// The session of a secret, which is used by that.
    pub(super) fn find(&self, secret: &str) -> Option<Session> {
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        // What is looked up is the hash, so that the time it takes tells nothing of the secret.
        let mut sessions = self.lock();
        let session = sessions.get_mut(&Secret::hash(secret))?;
        if session.is_over(elapsed) {
            return None;
        }
        (session.used_at, session.used) = (now, elapsed);
        Some(session.clone())
    }

    /// The token of a session that is not over. To ask is no use of it.
    pub(super) fn token_of(&self, id: Ulid) -> Option<Ulid> {
        let elapsed = self.clock.elapsed();
        let sessions = self.lock();
        let session = sessions.values().find(|session| session.id == id)?;
        (!session.is_over(elapsed)).then_some(session.token)
    }

    /// Ends a session, if `may` allows it of this one.
    pub(super) fn end(&self, id: Ulid, may: impl Fn(&Session) -> bool) -> Option<Session> {
        let mut sessions = self.lock();
        let found = sessions
            .iter()
            .find(|(_, session)| session.id == id && may(session));
        let hash = *found?.0;
        sessions.remove(&hash)
    }

    /// Ends those that are over, or whose token is not in use; gives them.
    pub(super) fn sweep(&self, is_in_use: impl Fn(Ulid) -> bool) -> Vec<Session> {
        let elapsed = self.clock.elapsed();
        let mut sessions = self.lock();
        let over =
            sessions.extract_if(|_, session| session.is_over(elapsed) || !is_in_use(session.token));
        over.map(|(_, session)| session).collect()
    }

    /// All that `which` has, the newest first.
    pub(super) fn list(&self, which: impl Fn(&Session) -> bool) -> Vec<Session> {
        let sessions = self.lock();
        let mut list: Vec<_> = sessions
            .values()
            .filter(|one| which(one))
            .cloned()
            .collect();
        list.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
        list
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        // What is behind the lock is whole between any two statements.
        self.by_hash.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session in the audit log.
pub(super) fn object_of(session: &Session) -> String {
    format!("session {}", session.id)
}

/// Removes the session that was idle for longest where one more would be too many.
fn make_room(sessions: &mut HashMap<[u8; 32], Session>, account: &Account) -> Option<Session> {
    let of_account = sessions.values().filter(|one| one.account == *account);
    let is_one_account = of_account.count() >= MAX_OF_ACCOUNT;
    if !is_one_account && sessions.len() < MAX_SESSIONS {
        return None;
    }
    let candidates = sessions
        .iter()
        .filter(|(_, one)| !is_one_account || one.account == *account);
    let (hash, _) = candidates.min_by_key(|(_, one)| (one.used, one.id))?;
    let hash = *hash;
    sessions.remove(&hash)
}

fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(MAX_USER_AGENT);
    printable(&text[..end.map_or(text.len(), |(end, _)| end)])
}

/// The header that gives a browser its secret.
pub(super) fn set_cookie(secret: &Secret) -> HeaderValue {
    let cookie = format!("{COOKIE}={}{ATTRIBUTES}", secret.reveal());
    let mut value = HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The header that takes it away again.
pub(super) fn clear_cookie() -> HeaderValue {
    let cookie = format!("{COOKIE}={ATTRIBUTES}; Max-Age=0");
    HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""))
}

/// The secret that a browser sends. Of two it is none: somebody has put one there.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter();
    let pairs = all.filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|value| value.split(';'));
    let mut secrets = pairs.filter_map(|pair| {
        let (name, secret) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(secret)
    });
    let first = secrets.next()?;
    Some(if secrets.next().is_some() { "" } else { first })
}

#[cfg(test)]
mod tests {
    use capture_store::clock::FakeClock;

    use super::*;

    fn token(account: &str) -> TokenInfo {
        TokenInfo {
            id: Ulid::new(),
            name: account.to_owned(),
            role: Role::Viewer,
            account: Account::new(account).expect("a name"),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            used_at: None,
        }
    }

    fn sessions() -> (Sessions, Arc<FakeClock>) {
        let clock = FakeClock::at("2026-03-01T08:00:00Z");
        (Sessions::new(clock.clone()), clock)
    }

    fn begin(sessions: &Sessions, token: &TokenInfo) -> (Session, String, usize) {
        let made = sessions.create(token, Origin::Internal, Some("Browser\n1"));
        let (session, secret, ended) = made.expect("random bytes");
        (session, secret.reveal().to_owned(), ended.len())
    }

    #[test]
    fn a_session_ends_when_it_is_idle_or_old() {
        let (sessions, clock) = sessions();
        let (idle, secret, _) = begin(&sessions, &token("a"));
        assert_eq!(idle.expires_at().to_string(), "2026-03-01T20:00:00Z");
        clock.advance(SignedDuration::from_hours(11));
        let used = sessions.find(&secret).expect("it lives");
        assert_eq!(used.expires_at().to_string(), "2026-03-02T07:00:00Z");
        // Whoever sets the clock neither ends nor prolongs it.
        clock.step(SignedDuration::from_hours(-500));
        assert!(sessions.find(&secret).is_some());
        clock.advance(SignedDuration::from_hours(12));
        assert!(sessions.find(&secret).is_none());
        assert!(sessions.token_of(idle.id).is_none());
        assert_eq!(sessions.sweep(|_| true).len(), 1);

        let (old, secret, _) = begin(&sessions, &token("a"));
        for _ in 0..15 {
            assert!(sessions.find(&secret).is_some());
            clock.advance(SignedDuration::from_hours(11));
        }
        assert_eq!(sessions.token_of(old.id), Some(old.token));
        clock.advance(SignedDuration::from_hours(3));
        assert!(sessions.find(&secret).is_none(), "a week is over");
    }

    #[test]
    fn other_secrets_are_nobody() {
        let (sessions, _) = sessions();
        let (_, secret, _) = begin(&sessions, &token("a"));
        let longer = format!("{secret}0");
        for other in ["", "ses_", &secret[..secret.len() - 1], &longer] {
            assert!(sessions.find(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_one_that_was_idle_longest_makes_room() {
        let (sessions, clock) = sessions();
        let one = token("a");
        let mut secrets = Vec::new();
        for _ in 0..MAX_OF_ACCOUNT {
            secrets.push(begin(&sessions, &one).1);
            clock.advance(SignedDuration::from_secs(1));
        }
        assert!(sessions.find(&secrets[0]).is_some());
        assert_eq!(begin(&sessions, &one).2, 1);
        assert!(sessions.find(&secrets[0]).is_some());
        assert!(sessions.find(&secrets[1]).is_none());
        let mut ended = 0;
        for number in 0..MAX_SESSIONS {
            clock.advance(SignedDuration::from_secs(1));
            ended += begin(&sessions, &token(&format!("b{number}"))).2;
        }
        assert_eq!(ended, MAX_OF_ACCOUNT);
        assert_eq!(sessions.list(|_| true).len(), MAX_SESSIONS);
        assert_eq!(sessions.list(|one| one.name == "a").len(), 0);
    }

    #[test]
    fn sessions_end_with_their_tokens() {
        let (sessions, _) = sessions();
        let (stays, goes) = (token("a"), token("b"));
        begin(&sessions, &stays);
        let (session, _, _) = begin(&sessions, &goes);
        let ended = sessions.sweep(|token| token == stays.id);
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].id, session.id);
        let brief = TokenInfo {
            expires_at: "2026-03-01T09:00:00Z".parse().ok(),
            ..stays
        };
        let (session, _, _) = begin(&sessions, &brief);
        assert_eq!(Some(session.expires_at()), brief.expires_at);
    }

    #[test]
    fn what_a_browser_says_is_one_line_and_not_endless() {
        assert_eq!(shortened("a\u{202e}\n"), printable("a\u{202e}\n"));
        assert!(!shortened("a\n").contains('\n'));
        assert!(shortened(&"ü".repeat(10_000)).chars().count() <= MAX_USER_AGENT);
    }

    #[test]
    fn one_cookie_of_this_name() {
        let found = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::COOKIE, HeaderValue::from_static(value));
            }
            cookie(&headers).map(str::to_owned)
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["a=b; session=x"]), None);
        assert_eq!(found(&["a=b; __Host-session=x"]).as_deref(), Some("x"));
        assert_eq!(found(&["__Host-session=x;a=b"]).as_deref(), Some("x"));
        assert_eq!(found(&["__host-session=x"]), None);
        let twice = found(&["__Host-session=x", "__Host-session=y"]);
        assert_eq!(twice.as_deref(), Some(""));
    }
}
