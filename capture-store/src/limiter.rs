//! Rate limit of the audit lines about what costs a caller nothing: refusals, failures, repeated downloads and uses of a share. Beyond
//! so many a minute they are counted, and the count is one line, so that nobody can fill the disk.
//! [`Limiter::admits`] sees every event.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ulid::Ulid;

use super::audit_event::{Action, AuditEvent, Outcome};
use crate::access::{Caller, Origin, Who, host};

/// Seconds that lines are counted over.
const MINUTE: u64 = 60;

/// Refusals of one peer in that time that have a line.
const LINES_PER_PEER: u32 = 60;

/// The same for all together who have proved nothing, as one of them may have many addresses.
const LINES_OF_STRANGERS: u32 = 600;

/// Seconds that the lines of strangers are counted over in addition, and how many there may be: some megabytes.
const DAY: u64 = 24 * 60 * 60;
const LINES_OF_STRANGERS_A_DAY: u32 = 10_000;

/// Peers that are told apart; all others are one.
const MAX_PEERS: usize = 1024;

/// Files, each by one peer, whose fetches are counted; those of others each have a line.
const MAX_FETCHED_FILES: usize = 4096;

/// Those that were admitted lately.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    refused: BTreeMap<Peer, Recent>,
    strangers: Window<MINUTE>,
    strangers_today: Window<DAY>,
    fetched: BTreeMap<(Peer, Action, String), Recent>,
}

/// What counts as one peer: whoever was proved, else where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    User(u32),
    Token(Ulid),
    Share(Ulid),
    Host(IpAddr),
    Others,
}

/// What a peer did in a window.
#[derive(Debug)]
struct Recent {
    window: Window<MINUTE>,
    /// Those without a line, and who was the last of them.
    more: u64,
    caller: Caller,
}

/// Lines since a moment, until that is so many seconds ago.
#[derive(Clone, Copy, Debug, Default)]
struct Window<const SECONDS: u64> {
    since: Duration,
    lines: u32,
}

/// A count that is to be a line.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) caller: Caller,
    pub(super) action: Action,
    pub(super) object: String,
    more: u64,
    refused: String,
}

impl Summary {
    pub(super) fn event(&self) -> AuditEvent<'_> {
        AuditEvent {
            action: self.action,
            object: &self.object,
            outcome: match self.action {
                Action::FileDownload | Action::ShareUse => Outcome::DoneAgain(self.more),
                _ => Outcome::Refused(&self.refused),
            },
        }
    }
}

impl Limiter {
    /// Whether this has a line of its own; else it is counted. `now` is of [`Clock::elapsed`].
    ///
    /// [`Clock::elapsed`]: crate::clock::Clock::elapsed
    pub(super) fn admits(&self, caller: &Caller, event: AuditEvent<'_>, now: Duration) -> bool {
        let Some(peer) = Peer::of(caller) else {
            return true;
        };
        match event.outcome {
            Outcome::Refused(_) | Outcome::Failed(_) => self.lock().refusal(peer, caller, now),
            Outcome::Done if matches!(event.action, Action::FileDownload | Action::ShareUse) => {
                self.lock().fetch(peer, caller, event, now)
            }
            Outcome::Done | Outcome::DoneAgain(_) => true,
        }
    }

    /// Takes out the counts whose window is over, or all.
    pub(super) fn take(&self, all: bool, now: Duration) -> Vec<Summary> {
        let mut counts = self.lock();
        let Counts {
            refused, fetched, ..
        } = &mut *counts;
        let is_over = |recent: &Recent| all || recent.window.is_over(now);
        let refused = refused.extract_if(.., |_, recent| is_over(recent));
        let refused = refused.map(|(_, recent)| Summary {
            refused: format!(
                "{} more refusals and failures of this peer, not listed",
                recent.more
            ),
            more: recent.more,
            caller: recent.caller,
            action: Action::Access,
            object: String::new(),
        });
        let fetched = fetched.extract_if(.., |_, recent| is_over(recent));
        let fetched = fetched.map(|((_, action, object), recent)| Summary {
            refused: String::new(),
            more: recent.more,
            caller: recent.caller,
            action,
            object,
        });
        let all = refused.chain(fetched);
        all.filter(|summary| summary.more > 0).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn refusal(&mut self, peer: Peer, caller: &Caller, now: Duration) -> bool {
        let is_known = self.refused.contains_key(&peer);
        let peer = if !is_known && self.refused.len() >= MAX_PEERS {
            Peer::Others
        } else {
            peer
        };
        let has_room = self.refused.get(&peer);
        let has_room = has_room.is_none_or(|recent| recent.has_room(LINES_PER_PEER, now));
        // Asked last: whoever has used up their own takes nothing from other strangers.
        let is_stranger = matches!(peer, Peer::Host(_));
        let admitted = has_room && (!is_stranger || self.stranger(now));
        // A stranger without a line has no count either, which is a line too.
        let peer = if admitted || is_known {
            peer
        } else {
            Peer::Others
        };
        let recent = self.refused.entry(peer);
        let recent = recent.or_insert_with(|| Recent::new(caller, now));
        recent.note(admitted, caller, now)
    }

    /// Takes the room for one more line of a stranger, if there is some.
    fn stranger(&mut self, now: Duration) -> bool {
        self.strangers_today.has_room(LINES_OF_STRANGERS_A_DAY, now)
            && self.strangers.take(LINES_OF_STRANGERS, now)
            && self.strangers_today.take(LINES_OF_STRANGERS_A_DAY, now)
    }

    fn fetch(&mut self, peer: Peer, caller: &Caller, event: AuditEvent<'_>, now: Duration) -> bool {
        let key = (peer, event.action, event.object.to_owned());
        if self.fetched.len() >= MAX_FETCHED_FILES && !self.fetched.contains_key(&key) {
            return true;
        }
        let recent = self.fetched.entry(key);
        let recent = recent.or_insert_with(|| Recent::new(caller, now));
        let admitted = recent.has_room(1, now);
        recent.note(admitted, caller, now)
    }
}

impl Peer {
    /// Nothing for the daemon itself, and for commands, which only its owner can execute.
    fn of(caller: &Caller) -> Option<Self> {
        match (&caller.who, caller.from) {
            (_, Origin::Internal | Origin::Command) => None,
            (Who::User { uid }, _) => Some(Self::User(*uid)),
            (Who::Token { id, .. }, _) => Some(Self::Token(*id)),
            (Who::Share { id }, _) => Some(Self::Share(*id)),
            (Who::Daemon | Who::Unknown, Origin::Tcp(address)) => {
                Some(Self::Host(host(address.ip())))
            }
            (Who::Daemon | Who::Unknown, Origin::Socket { .. }) => Some(Self::Others),
        }
    }
}

impl Recent {
    fn new(caller: &Caller, now: Duration) -> Self {
        Self {
            window: Window {
                since: now,
                lines: 0,
            },
            more: 0,
            caller: caller.clone(),
        }
    }

    fn has_room(&self, most: u32, now: Duration) -> bool {
        // What is counted gets its line first.
        self.more == 0 && self.window.has_room(most, now)
    }

    /// One more, with a line or without.
    fn note(&mut self, admitted: bool, caller: &Caller, now: Duration) -> bool {
        if admitted {
            self.window.count(now);
        } else {
            self.more += 1;
            self.caller.clone_from(caller);
        }
        admitted
    }
}

impl<const SECONDS: u64> Window<SECONDS> {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= Duration::from_secs(SECONDS)
    }

    /// Whether there is room for one more line.
    fn has_room(&self, most: u32, now: Duration) -> bool {
        self.lines < most || self.is_over(now)
    }

    /// One more line.
    fn count(&mut self, now: Duration) {
        if self.is_over(now) {
            *self = Self {
                since: now,
                lines: 0,
            };
        }
        self.lines += 1;
    }

    /// Takes the room for one more line, if there is some.
    fn take(&mut self, most: u32, now: Duration) -> bool {
        let has_room = self.has_room(most, now);
        if has_room {
            self.count(now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn user(uid: u32) -> Caller {
        Caller {
            who: Who::User { uid },
            from: Origin::Socket { pid: 1 },
        }
    }

    fn stranger(network: u16, host: u16) -> Caller {
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host);
        Caller {
            who: Who::Unknown,
            from: Origin::Tcp((address, 5).into()),
        }
    }

    fn refused(object: &str) -> AuditEvent<'_> {
        AuditEvent {
            action: Action::TaskStop,
            object,
            outcome: Outcome::Refused("not found"),
        }
    }

    fn fetched(object: &str) -> AuditEvent<'_> {
        AuditEvent {
            action: Action::FileDownload,
            object,
            outcome: Outcome::Done,
        }
    }

    /// How many of so many of the same are admitted.
    fn admitted(limiter: &Limiter, caller: &Caller, event: AuditEvent<'_>, times: u32) -> usize {
        let admitted = (0..times).filter(|_| limiter.admits(caller, event, NOW));
        admitted.count()
    }

    fn outcomes(summaries: Vec<Summary>) -> Vec<String> {
        let outcomes = summaries.iter().map(|summary| {
            let AuditEvent {
                object, outcome, ..
            } = summary.event();
            format!("{} {object} {outcome:?}", summary.caller.who)
        });
        outcomes.collect()
    }

    #[test]
    fn each_peer_has_so_many_a_minute_and_then_a_count() {
        let limiter = Limiter::default();
        let (one, other) = (user(1), user(2));
        assert_eq!(admitted(&limiter, &one, refused("x"), 100), 60);
        // Another object, or another act, is no way around it.
        assert_eq!(admitted(&limiter, &one, refused("y"), 10), 0);
        let failed = AuditEvent {
            outcome: Outcome::Failed("disk"),
            ..fetched("x")
        };
        assert_eq!(admitted(&limiter, &one, failed, 10), 0);
        assert_eq!(admitted(&limiter, &other, refused("x"), 10), 10);
        // What was done is always there.
        let done = AuditEvent {
            outcome: Outcome::Done,
            ..refused("x")
        };
        assert_eq!(admitted(&limiter, &one, done, 100), 100);

        assert_eq!(
            limiter
                .take(false, NOW + Duration::from_secs(MINUTE) / 2)
                .len(),
            0
        );
        let later = NOW + Duration::from_secs(MINUTE);
        // Until the count has its line, nothing else of the peer has one.
        assert!(!limiter.admits(&one, refused("x"), later));
        let expected = "uid 1  Refused(\"61 more refusals and failures of this peer, not listed\")";
        assert_eq!(outcomes(limiter.take(false, later)), [expected]);
        assert!(limiter.admits(&one, refused("x"), later));
        assert_eq!(limiter.take(true, later).len(), 0);
    }

    #[test]
    fn a_token_is_one_peer_wherever_it_is_used() {
        let limiter = Limiter::default();
        let id = Ulid::from_parts(1, 1);
        for network in 0..100 {
            let name = "ci".to_owned();
            let caller = Caller {
                who: Who::Token { id, name },
                ..stranger(network, 1)
            };
            let admitted = limiter.admits(&caller, refused("x"), NOW);
            assert_eq!(admitted, network < 60, "{network}");
        }
    }

    #[test]
    fn the_daemon_and_commands_are_not_limited() {
        let limiter = Limiter::default();
        let failed = AuditEvent {
            action: Action::ConfigReload,
            object: "config.toml",
            outcome: Outcome::Failed("line 1"),
        };
        for (who, from) in [
            (Who::Daemon, Origin::Internal),
            (Who::User { uid: 0 }, Origin::Command),
        ] {
            let caller = Caller { who, from };
            assert_eq!(admitted(&limiter, &caller, failed, 1000), 1000);
        }
    }

    #[test]
    fn strangers_of_many_addresses_have_little_together() {
        let limiter = Limiter::default();
        // One that has used up its own takes nothing from the others.
        assert_eq!(admitted(&limiter, &stranger(0, 1), refused("x"), 5000), 60);
        assert_eq!(admitted(&limiter, &stranger(0, 2), refused("x"), 10), 0);
        let lines = (1..10_000).filter(|n| limiter.admits(&stranger(*n, 1), refused("x"), NOW));
        assert_eq!(lines.count(), 540);
        // Who has proved something has room still.
        assert_eq!(admitted(&limiter, &user(1), refused("x"), 10), 10);
        // The first, and all that had no line.
        let summaries = limiter.take(true, NOW);
        let counts: Vec<_> = summaries.iter().map(|summary| summary.more).collect();
        assert_eq!(counts, [4950, 9459]);
    }

    #[test]
    fn strangers_have_so_many_a_day_and_those_known_are_none_of_them() {
        let limiter = Limiter::default();
        let day = |since: Duration, minutes: u32| {
            let lines = (0..minutes).map(|minute| {
                let now = since + Duration::from_secs(MINUTE) * minute;
                limiter.take(true, now);
                let lines =
                    (0..700).filter(|n| limiter.admits(&stranger(*n, 1), refused("x"), now));
                lines.count()
            });
            lines.sum::<usize>()
        };
        assert_eq!(day(NOW, 60), 10_000);
        assert_eq!(admitted(&limiter, &user(1), refused("x"), 10), 10);
        assert_eq!(day(NOW + Duration::from_secs(DAY), 10), 6000);
    }

    #[test]
    fn a_file_that_is_fetched_again_is_counted_and_another_has_its_line() {
        let limiter = Limiter::default();
        assert_eq!(admitted(&limiter, &user(1), fetched("a/0"), 1000), 1);
        assert_eq!(admitted(&limiter, &user(1), fetched("a/1"), 1), 1);
        assert_eq!(admitted(&limiter, &user(2), fetched("a/0"), 1), 1);
        let later = NOW + Duration::from_secs(MINUTE);
        assert_eq!(
            outcomes(limiter.take(false, later)),
            ["uid 1 a/0 DoneAgain(999)"]
        );
        assert!(limiter.admits(&user(1), fetched("a/0"), later));
    }
}
