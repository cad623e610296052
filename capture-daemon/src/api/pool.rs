//! Who may hold how many connections. Each listener has a pool; a peer has a bounded share of it,
//! and where that is used up, its own oldest idle connection makes room. So thousands of idle
//! connections neither lock anybody out nor cost more than the pool.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use crate::access::host;

/// What counts as one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerKey {
    /// An administrator of this machine: also finds room where others have used up the pool.
    Owner(u32),
    /// A user who may use the socket.
    User(u32),
    /// All the users who may not. They get an answer that says so.
    Outsiders,
    /// A host, or a /64 of IPv6, where addresses cost nothing.
    Host(IpAddr),
}

impl PeerKey {
    /// The peer behind an address of TCP.
    pub(super) fn of(address: IpAddr) -> Self {
        Self::Host(host(address))
    }
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In all.
    pub(super) most: usize,
    /// Of one peer.
    pub(super) share: usize,
    /// Of outsiders, all together.
    pub(super) outsiders: usize,
    /// For owners, beyond `most`.
    pub(super) reserve: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            most: 512,
            share: 256,
            outsiders: 16,
            reserve: 64,
        }
    }
}

/// The connections of a listener.
#[derive(Debug)]
pub(super) struct Pool {
    bounds: Bounds,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    /// By number: the oldest first.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    peer: PeerKey,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Requests that are not fully answered.
    requests: AtomicUsize,
    evicted: Notify,
}

/// A connection's place in its pool; given back on drop.
#[derive(Debug)]
pub(super) struct Seat {
    pool: Arc<Pool>,
    number: u64,
    shared: Arc<Shared>,
}

/// While it lives the connection is not idle.
#[derive(Debug)]
pub(super) struct Busy(Arc<Shared>);

impl Pool {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            seats: Mutex::default(),
        })
    }

    /// A seat, where need be at the cost of an idle connection; `None` where there is none to be had.
    pub(super) fn admit(self: &Arc<Self>, peer: PeerKey) -> Option<Seat> {
        let Bounds {
            most,
            share,
            outsiders,
            reserve,
        } = self.bounds;
        let (share, most) = match peer {
            PeerKey::Outsiders => (outsiders, most),
            PeerKey::Owner(_) => (share, most + reserve),
            PeerKey::User(_) | PeerKey::Host(_) => (share, most),
        };
        let mut seats = self.lock();
        if seats.count(peer) >= share {
            seats.evict(|other| other == peer)?;
        } else if seats.taken.len() >= most {
            let largest = seats.largest()?;
            seats.evict(|other| other == largest)?;
        }
        let number = seats.next;
        seats.next += 1;
        let shared = Arc::new(Shared::default());
        let taken = Taken {
            peer,
            shared: Arc::clone(&shared),
        };
        seats.taken.insert(number, taken);
        Some(Seat {
            pool: Arc::clone(self),
            number,
            shared,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn count(&self, peer: PeerKey) -> usize {
        let taken = self.taken.values();
        taken.filter(|taken| taken.peer == peer).count()
    }

    /// The peer that has most idle connections.
    fn largest(&self) -> Option<PeerKey> {
        let mut idle: BTreeMap<PeerKey, usize> = BTreeMap::new();
        for taken in self.taken.values().filter(|taken| taken.is_idle()) {
            *idle.entry(taken.peer).or_default() += 1;
        }
        let largest = idle.into_iter().max_by_key(|(_, count)| *count)?;
        Some(largest.0)
    }

    /// Has the oldest idle connection of such a peer closed.
    fn evict(&mut self, wanted: impl Fn(PeerKey) -> bool) -> Option<()> {
        let mut taken = self.taken.iter();
        let (number, _) = taken.find(|(_, taken)| wanted(taken.peer) && taken.is_idle())?;
        let number = *number;
        let taken = self.taken.remove(&number)?;
        taken.shared.evicted.notify_one();
        Some(())
    }
}

impl Taken {
    fn is_idle(&self) -> bool {
        self.shared.requests.load(Ordering::Relaxed) == 0
    }
}

impl Seat {
    /// Ends when the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.shared.evicted.notified().await;
    }

    /// Marks a request as begun.
    pub(super) fn busy(&self) -> Busy {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.shared))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.lock().taken.remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        most: 6,
        share: 4,
        outsiders: 1,
        reserve: 2,
    };

    fn is_evicted(seat: &Seat) -> bool {
        seat.evicted().now_or_never().is_some()
    }

    fn admit<const N: usize>(pool: &Arc<Pool>, peer: PeerKey) -> [Seat; N] {
        std::array::from_fn(|_| pool.admit(peer).expect("a seat"))
    }

    #[test]
    fn a_peer_makes_room_for_itself() {
        let pool = Pool::new(BOUNDS);
        let held: [_; 4] = admit(&pool, PeerKey::User(1));
        let busy = held[0].busy();
        let fifth = pool.admit(PeerKey::User(1)).expect("room was made");
        assert_eq!(
            held.iter().map(is_evicted).collect::<Vec<_>>(),
            [false, true, false, false]
        );
        assert!(!is_evicted(&fifth));
        drop(busy);
        let _sixth = pool.admit(PeerKey::User(1)).expect("room was made");
        assert!(is_evicted(&held[0]));
    }

    #[test]
    fn whoever_is_busy_stays() {
        let pool = Pool::new(BOUNDS);
        let held: [_; 4] = admit(&pool, PeerKey::User(1));
        let busy: Vec<_> = held.iter().map(Seat::busy).collect();
        assert!(pool.admit(PeerKey::User(1)).is_none());
        assert!(pool.admit(PeerKey::User(2)).is_some());
        drop(busy);
        assert!(pool.admit(PeerKey::User(1)).is_some());
    }

    #[test]
    fn a_full_pool_takes_from_the_one_who_has_most() {
        let pool = Pool::new(BOUNDS);
        let many: [_; 4] = admit(&pool, PeerKey::User(1));
        let few: [_; 2] = admit(&pool, PeerKey::User(2));
        let _third = pool.admit(PeerKey::User(3)).expect("room was made");
        assert!(is_evicted(&many[0]));
        assert!(!few.iter().any(is_evicted));
    }

    #[test]
    fn the_owner_always_finds_room() {
        let pool = Pool::new(BOUNDS);
        let many: [_; 4] = admit(&pool, PeerKey::User(1));
        let more: [_; 2] = admit(&pool, PeerKey::User(2));
        let _busy: Vec<_> = many.iter().chain(&more).map(Seat::busy).collect();
        assert!(pool.admit(PeerKey::User(3)).is_none());
        assert!(pool.admit(PeerKey::Owner(0)).is_some());
    }

    #[test]
    fn outsiders_share_little() {
        let pool = Pool::new(BOUNDS);
        let [first] = admit(&pool, PeerKey::Outsiders);
        let _second = pool.admit(PeerKey::Outsiders).expect("room was made");
        assert!(is_evicted(&first));
        assert_eq!(pool.lock().taken.len(), 1);
    }

    #[test]
    fn a_seat_is_given_back() {
        let pool = Pool::new(BOUNDS);
        drop(admit::<4>(&pool, PeerKey::User(1)));
        assert!(pool.lock().taken.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let key = |text: &str| PeerKey::of(text.parse().expect("an address"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }
}
