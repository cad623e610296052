//! Limits on connections. Each listener has a pool, of which a peer has a bounded share; when the share is used up,
//! the peer's oldest idle connection is closed. Thousands of idle connections neither lock others out nor cost more
//! than the pool.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use capture_store::access::host;
use tokio::sync::Notify;

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
    permits: Mutex<Permits>,
}

#[derive(Debug, Default)]
struct Permits {
    next: u64,
    /// By number: the oldest first.
    open: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    peer: PeerKey,
    shared: Arc<ConnectionState>,
}

#[derive(Debug, Default)]
struct ConnectionState {
    /// Requests that are not fully answered.
    requests: AtomicUsize,
    evicted: Notify,
}

/// A connection's place in its pool; given back on drop.
#[derive(Debug)]
pub(super) struct Permit {
    pool: Arc<Pool>,
    number: u64,
    shared: Arc<ConnectionState>,
}

/// While it lives the connection is not idle.
#[derive(Debug)]
pub(super) struct ActiveRequest(Arc<ConnectionState>);

impl Pool {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            permits: Mutex::default(),
        })
    }

    /// A permit, if need be at the cost of an idle connection; `None` where there is none to be had.
    pub(super) fn admit(self: &Arc<Self>, peer: PeerKey) -> Option<Permit> {
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
        let mut permits = self.lock();
        if permits.count(peer) >= share {
            permits.evict(|other| other == peer)?;
        } else if permits.open.len() >= most {
            let largest = permits.largest()?;
            permits.evict(|other| other == largest)?;
        }
        let number = permits.next;
        permits.next += 1;
        let shared = Arc::new(ConnectionState::default());
        let open = Connection {
            peer,
            shared: Arc::clone(&shared),
        };
        permits.open.insert(number, open);
        Some(Permit {
            pool: Arc::clone(self),
            number,
            shared,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Permits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permits {
    fn count(&self, peer: PeerKey) -> usize {
        let open = self.open.values();
        open.filter(|open| open.peer == peer).count()
    }

    /// The peer that has most idle connections.
    fn largest(&self) -> Option<PeerKey> {
        let mut idle: BTreeMap<PeerKey, usize> = BTreeMap::new();
        for open in self.open.values().filter(|open| open.is_idle()) {
            *idle.entry(open.peer).or_default() += 1;
        }
        let largest = idle.into_iter().max_by_key(|(_, count)| *count)?;
        Some(largest.0)
    }

    /// Has the oldest idle connection of such a peer closed.
    fn evict(&mut self, wanted: impl Fn(PeerKey) -> bool) -> Option<()> {
        let mut open = self.open.iter();
        let (number, _) = open.find(|(_, open)| wanted(open.peer) && open.is_idle())?;
        let number = *number;
        let open = self.open.remove(&number)?;
        open.shared.evicted.notify_one();
        Some(())
    }
}

impl Connection {
    fn is_idle(&self) -> bool {
        self.shared.requests.load(Ordering::Relaxed) == 0
    }
}

impl Permit {
    /// Ends when the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.shared.evicted.notified().await;
    }

    /// Marks a request as begun.
    pub(super) fn busy(&self) -> ActiveRequest {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(Arc::clone(&self.shared))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.lock().open.remove(&self.number);
    }
}

impl Drop for ActiveRequest {
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

    fn is_evicted(permit: &Permit) -> bool {
        permit.evicted().now_or_never().is_some()
    }

    fn admit<const N: usize>(pool: &Arc<Pool>, peer: PeerKey) -> [Permit; N] {
        std::array::from_fn(|_| pool.admit(peer).expect("a permit"))
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
        let busy: Vec<_> = held.iter().map(Permit::busy).collect();
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
        let _busy: Vec<_> = many.iter().chain(&more).map(Permit::busy).collect();
        assert!(pool.admit(PeerKey::User(3)).is_none());
        assert!(pool.admit(PeerKey::Owner(0)).is_some());
    }

    #[test]
    fn outsiders_share_little() {
        let pool = Pool::new(BOUNDS);
        let [first] = admit(&pool, PeerKey::Outsiders);
        let _second = pool.admit(PeerKey::Outsiders).expect("room was made");
        assert!(is_evicted(&first));
        assert_eq!(pool.lock().open.len(), 1);
    }

    #[test]
    fn a_seat_is_given_back() {
        let pool = Pool::new(BOUNDS);
        drop(admit::<4>(&pool, PeerKey::User(1)));
        assert!(pool.lock().open.is_empty());
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
