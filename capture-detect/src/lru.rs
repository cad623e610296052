//! A map with a bound: an entry that was not used for long gives way to a new one, which is counted. Everything that
//! is keyed by what packets say lives in one.
//!
//! Entries stand in the order of their use, but for those that were among the latest eighth anyway: these keep their place,
//! as each move touches three other entries, which are rarely in the cache.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A place in a [`Lru`], valid until its entry is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(u32);

/// A map of the entries that were used last.
#[derive(Clone, Debug)]
pub struct Lru<K, V> {
    index: HashTable<u32>,
    /// With a seed of its own: whoever sends the packets chooses the keys, and must not find keys of the same hash.
    hasher: RandomState,
    entries: Vec<Entry<K, V>>,
    most: usize,
    /// How often an entry was put in front.
    moves: u64,
    /// The entry that was used last, and the one that was not for longest.
    newest: u32,
    oldest: u32,
    evicted: u64,
}

#[derive(Clone, Debug)]
struct Entry<K, V> {
    key: K,
    newer: u32,
    older: u32,
    /// When it was put in front, as `moves` was.
    moved: u64,
    value: V,
}

const NONE: u32 = u32::MAX;

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    /// A map of at most `most` entries, at least one.
    pub fn new(most: usize) -> Self {
        Self {
            index: HashTable::new(),
            hasher: RandomState::default(),
            entries: Vec::new(),
            most: most.clamp(1, NONE as usize - 1),
            moves: 0,
            newest: NONE,
            oldest: NONE,
            evicted: 0,
        }
    }

    /// How many entries had to give way to others.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry of this key, made by `new` where there is none. Of a full map the one that was not used for longest is
    /// given to `evict` first.
    #[inline]
    pub fn get_or_insert(
        &mut self,
        key: &K,
        new: impl FnOnce() -> V,
        evict: impl FnOnce(&K, V),
    ) -> Id {
        self.get_or_insert_hashed(self.hash(key), key, new, evict)
    }

    /// The hash of a key, for [`Self::get_or_insert_hashed`].
    #[inline]
    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// As [`Self::get_or_insert`], for a key whose hash is known.
    #[inline]
    pub(crate) fn get_or_insert_hashed(
        &mut self,
        hash: u64,
        key: &K,
        new: impl FnOnce() -> V,
        evict: impl FnOnce(&K, V),
    ) -> Id {
        let found = self
            .index
            .find(hash, |id| self.entries[*id as usize].key == *key)
            .copied();
        let id = match found {
            Some(id) if self.is_recent(id) => return Id(id),
            Some(id) => {
                self.unlink(id);
                id
            }
            None => self.insert(hash, key, new(), evict),
        };
        self.link(id);
        Id(id)
    }

    /// Whether an entry is among the latest anyway.
    #[inline]
    fn is_recent(&self, id: u32) -> bool {
        let since = self.moves - self.entries[id as usize].moved;
        since <= (self.most / 8) as u64
    }

    fn insert(&mut self, hash: u64, key: &K, value: V, evict: impl FnOnce(&K, V)) -> u32 {
        let entry = Entry {
            key: *key,
            newer: NONE,
            older: NONE,
            moved: 0,
            value,
        };
        let id = if self.entries.len() < self.most {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        } else {
            let id = self.oldest;
            self.unlink(id);
            let old_hash = self.hasher.hash_one(self.entries[id as usize].key);
            if let Ok(place) = self.index.find_entry(old_hash, |other| *other == id) {
                place.remove();
            }
            let old = std::mem::replace(&mut self.entries[id as usize], entry);
            evict(&old.key, old.value);
            self.evicted += 1;
            id
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.index
            .insert_unique(hash, id, |id| hasher.hash_one(entries[*id as usize].key));
        id
    }

    fn unlink(&mut self, id: u32) {
        let Entry { newer, older, .. } = self.entries[id as usize];
        match self.entries.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, id: u32) {
        let older = std::mem::replace(&mut self.newest, id);
        let entry = &mut self.entries[id as usize];
        entry.older = older;
        entry.newer = NONE;
        self.moves += 1;
        entry.moved = self.moves;
        match self.entries.get_mut(older as usize) {
            Some(older) => older.newer = id,
            None => self.oldest = id,
        }
    }

    /// The value at a place.
    #[inline]
    pub fn get_mut(&mut self, id: Id) -> &mut V {
        &mut self.entries[id.0 as usize].value
    }

    /// The value of a key, which does not count as a use.
    pub fn peek(&self, key: &K) -> Option<&V> {
        let hash = self.hasher.hash_one(key);
        let id = *self
            .index
            .find(hash, |id| self.entries[*id as usize].key == *key)?;
        Some(&self.entries[id as usize].value)
    }

    /// The value of a key, to be changed, which does not count as a use either.
    #[inline]
    pub fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        let id = *self
            .index
            .find(hash, |id| self.entries[*id as usize].key == *key)?;
        Some(&mut self.entries[id as usize].value)
    }

    /// The value of a key, made by `new` where there is none; what gives way is forgotten.
    #[inline]
    pub fn entry(&mut self, key: &K, new: impl FnOnce() -> V) -> &mut V {
        let id = self.get_or_insert(key, new, |_, _| ());
        self.get_mut(id)
    }

    /// The value that was not used for longest. This is a use, so that the next call gives another one.
    pub fn oldest_mut(&mut self) -> Option<&mut V> {
        let id = self.oldest;
        self.entries.get(id as usize)?;
        self.unlink(id);
        self.link(id);
        Some(&mut self.entries[id as usize].value)
    }

    /// All entries, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_knows_the_hash_of_a_key() {
        let [one, other] = [(); 2].map(|()| Lru::<u64, ()>::new(1));
        assert_ne!(one.hasher.hash_one(1), other.hasher.hash_one(1));
    }

    #[test]
    fn what_was_used_lately_stays() {
        // 0 is used all the time, and of the others each once.
        let mut table = Lru::new(64);
        for key in 1..10_000 {
            for key in [0, key] {
                table.get_or_insert(&key, || (), |key, ()| assert_ne!(*key, 0));
            }
        }
        assert_eq!(table.len(), 64);
    }

    #[test]
    fn what_was_not_used_for_longest_gives_way() {
        let mut table = Lru::new(3);
        let mut evicted = Vec::new();
        // 10 is used again before there is no room.
        for key in [10, 11, 12, 10, 13, 14, 11] {
            let id = table.get_or_insert(&key, || 0, |key, count| evicted.push((*key, count)));
            *table.get_mut(id) += 1;
        }
        assert_eq!(evicted, [(11, 1), (12, 1), (10, 2)]);
        assert_eq!((table.len(), table.evicted()), (3, 3));
        let mut left: Vec<_> = table.iter().map(|(key, count)| (*key, *count)).collect();
        left.sort_unstable();
        assert_eq!(left, [(11, 1), (13, 1), (14, 1)]);
        assert_eq!(table.peek_mut(&13), Some(&mut 1));
        assert_eq!(table.peek_mut(&10), None);
        let oldest = [(); 4].map(|()| table.oldest_mut().map(|count| std::mem::replace(count, 9)));
        assert_eq!(oldest, [Some(1), Some(1), Some(1), Some(9)]);
    }
}
