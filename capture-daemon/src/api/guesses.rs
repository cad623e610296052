//! Slows down whoever is refused for lack of a valid token again and again: guessing is hopeless anyway (256 bits), and
//! must not be what the daemon spends its time on. Answers are late, not other ones, so that a client behind the same
//! address with a valid token notices nothing.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::connection_pool::PeerKey;

/// Refusals of one peer within [`WINDOW`] that come at once.
const FREE: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// How late each further one is. With the connections that a peer may have that is some hundred answers a second.
const DELAY: Duration = Duration::from_millis(500);

/// Peers that are remembered.
const MOST_PEERS: usize = 4096;

/// The peers that were refused.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<BTreeMap<PeerKey, Refused>>);

#[derive(Clone, Copy, Debug)]
struct Refused {
    since: Instant,
    count: u32,
}

impl Guesses {
    /// Counts a refusal, and gives for how long it is to be held back.
    pub(super) fn refused(&self, address: IpAddr) -> Duration {
        let now = Instant::now();
        let is_over = |refused: &Refused| now.duration_since(refused.since) >= WINDOW;
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = PeerKey::of(address);
        if peers.len() >= MOST_PEERS && !peers.contains_key(&key) {
            peers.retain(|_, refused| !is_over(refused));
            if peers.len() >= MOST_PEERS {
                // So many at once are no mistakes.
                return DELAY;
            }
        }
        let refused = peers.entry(key).or_insert(Refused {
            since: now,
            count: 0,
        });
        if is_over(refused) {
            *refused = Refused {
                since: now,
                count: 0,
            };
        }
        refused.count = refused.count.saturating_add(1);
        match refused.count > FREE {
            true => DELAY,
            false => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_often_is_slowed_down_for_a_while() {
        let guesses = Guesses::default();
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        for _ in 0..FREE {
            assert_eq!(guesses.refused(one), Duration::ZERO);
        }
        assert_eq!(guesses.refused(one), DELAY);
        assert_eq!(guesses.refused(other), Duration::ZERO);
        tokio::time::advance(WINDOW).await;
        assert_eq!(guesses.refused(one), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_remembered() {
        let guesses = Guesses::default();
        for number in 0..2 * MOST_PEERS as u32 {
            let late = guesses.refused(IpAddr::V4(number.into()));
            assert_eq!(
                late,
                if number < MOST_PEERS as u32 {
                    Duration::ZERO
                } else {
                    DELAY
                }
            );
        }
        assert_eq!(guesses.0.lock().expect("nobody panics").len(), MOST_PEERS);
        tokio::time::advance(WINDOW).await;
        assert_eq!(guesses.refused(IpAddr::V4(u32::MAX.into())), Duration::ZERO);
        assert_eq!(guesses.0.lock().expect("nobody panics").len(), 1);
    }
}
