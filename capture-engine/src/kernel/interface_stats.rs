//! What the hooks saw on each interface since the agent started. The kernel's counters belong to rows,
//! which go from one interface to the next and are never set back; here they belong to interfaces.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use capture_common::HOOK_POINTS;

use super::counters::InterfaceFigures;

/// Interfaces that are remembered once nothing hangs on them any more.
const MOST_GONE: usize = 256;

/// How long one that is removed is still shown by itself, so that its last figures are seen.
const SHOWN_AFTER_REMOVAL: Duration = Duration::from_secs(5 * 60);

/// The key of all removed interfaces together: no interface has this index.
pub(crate) const REMOVED: u32 = 0;

/// Their name, which no interface can have, as it has a space.
const REMOVED_NAME: &str = "removed interfaces";

/// Figures of a row, by hook point.
pub(super) type Row = [InterfaceFigures; HOOK_POINTS];

/// What was seen on an interface.
#[derive(Clone, Debug)]
pub(crate) struct InterfaceTraffic {
    /// Its name when a task last came to it.
    pub(crate) name: String,
    /// Frames by hook point.
    pub(crate) figures: Row,
}

/// All interfaces that programs hang on, or did.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    interfaces: BTreeMap<u32, Seen>,
    /// What was seen on those that are not remembered one by one, if there are any.
    removed: Option<Row>,
}

#[derive(Debug)]
struct Seen {
    name: String,
    /// The row that it has, and what that had counted before.
    now: Option<(u32, Row)>,
    /// What was seen under earlier rows.
    before: Row,
    /// When it was first found that the host has no interface of the name any more.
    missing_since: Option<Instant>,
}

impl Traffic {
    /// Whether the interface has a row.
    pub(super) fn has(&self, ifindex: u32) -> bool {
        self.interfaces
            .get(&ifindex)
            .is_some_and(|seen| seen.now.is_some())
    }

    /// An interface has got a row, which shows `figures`.
    pub(super) fn begin(&mut self, ifindex: u32, name: &str, row: u32, figures: Row) {
        let seen = self.interfaces.entry(ifindex).or_insert_with(|| Seen {
            name: String::new(),
            now: None,
            before: Row::default(),
            missing_since: None,
        });
        name.clone_into(&mut seen.name);
        seen.now = Some((row, figures));
    }

    /// It has lost the row, which shows `figures` at the end.
    pub(super) fn end(&mut self, ifindex: u32, figures: Row) {
        if let Some(seen) = self.interfaces.get_mut(&ifindex) {
            seen.before = seen.until(figures);
            seen.now = None;
        }
        let gone: Vec<u32> = self.gone().map(|(ifindex, _)| *ifindex).collect();
        // The lowest numbers are the oldest interfaces, unless somebody chose them.
        for ifindex in gone.iter().take(gone.len().saturating_sub(MOST_GONE)) {
            self.fold(*ifindex);
        }
    }

    /// Those that nothing hangs on.
    fn gone(&self) -> impl Iterator<Item = (&u32, &Seen)> {
        self.interfaces
            .iter()
            .filter(|(_, seen)| seen.now.is_none())
    }

    /// From now on its figures are among those of the removed.
    fn fold(&mut self, ifindex: u32) {
        if let Some(Seen { before, .. }) = self.interfaces.remove(&ifindex) {
            self.removed = Some(sum(self.removed.unwrap_or_default(), before));
        }
    }

    /// Folds interfaces that the host does not have any more, some time after that was first seen. `exists` says
    /// whether there is one of a name. One that was made again under its name is the same to people, and stays.
    pub(super) fn fold_removed(&mut self, now: Instant, exists: impl Fn(&str) -> bool) {
        let mut removed = Vec::new();
        for (ifindex, seen) in &mut self.interfaces {
            if seen.now.is_some() || exists(&seen.name) {
                seen.missing_since = None;
                continue;
            }
            let since = *seen.missing_since.get_or_insert(now);
            if now.duration_since(since) >= SHOWN_AFTER_REMOVAL {
                removed.push(*ifindex);
            }
        }
        for ifindex in removed {
            self.fold(ifindex);
        }
    }

    /// Everything, by interface index; `read` gives the figures of a row, where the kernel answers. What is removed
    /// is all at [`REMOVED`].
    pub(super) fn all(&self, read: impl Fn(u32) -> Option<Row>) -> BTreeMap<u32, InterfaceTraffic> {
        let removed = self.removed.map(|figures| {
            let name = REMOVED_NAME.to_owned();
            (REMOVED, InterfaceTraffic { name, figures })
        });
        let all = self.interfaces.iter().map(|(ifindex, seen)| {
            let figures = match seen.now.and_then(|(row, _)| read(row)) {
                Some(figures) => seen.until(figures),
                None => seen.before,
            };
            let name = seen.name.clone();
            (*ifindex, InterfaceTraffic { name, figures })
        });
        all.chain(removed).collect()
    }
}

fn sum(one: Row, other: Row) -> Row {
    std::array::from_fn(|point| InterfaceFigures {
        seen: one[point].seen + other[point].seen,
        malformed: one[point].malformed + other[point].malformed,
    })
}

impl Seen {
    /// All that was seen, where the present row shows `figures`.
    fn until(&self, figures: Row) -> Row {
        let Some((_, base)) = self.now else {
            return self.before;
        };
        let new = std::array::from_fn(|point| figures[point].since(base[point]));
        sum(self.before, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seen: u64) -> Row {
        [InterfaceFigures { seen, malformed: 1 }; HOOK_POINTS]
    }

    #[test]
    fn a_row_is_passed_on_and_figures_are_not() {
        let mut traffic = Traffic::default();
        traffic.begin(7, "a", 0, row(0));
        traffic.end(7, row(10));
        traffic.begin(8, "b", 0, row(10));
        let seen = |traffic: &Traffic, now: u64| {
            let all = traffic.all(|_| Some(row(now))).into_values();
            all.map(|there| (there.name, there.figures[0].seen))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            seen(&traffic, 13),
            [("a".to_owned(), 10), ("b".to_owned(), 3)]
        );
        // A task comes back to the first.
        traffic.begin(7, "a2", 1, row(100));
        assert_eq!(
            seen(&traffic, 105),
            [("a2".to_owned(), 15), ("b".to_owned(), 95)]
        );
        assert!(traffic.has(7) && !traffic.has(9));
    }

    fn total(traffic: &Traffic) -> u64 {
        let all = traffic.all(|_| Some(row(0))).into_values();
        all.map(|there| there.figures[0].seen).sum()
    }

    #[test]
    fn no_more_than_so_many_that_are_gone_are_shown_and_none_is_lost() {
        let mut traffic = Traffic::default();
        for ifindex in 1..=2 * MOST_GONE as u32 {
            traffic.begin(ifindex, "x", 0, row(0));
            traffic.end(ifindex, row(1));
        }
        assert_eq!(traffic.all(|_| None).len(), MOST_GONE + 1);
        assert_eq!(total(&traffic), 2 * MOST_GONE as u64);
    }

    #[test]
    fn removed_interfaces_become_one_after_a_while() {
        let mut traffic = Traffic::default();
        for (ifindex, name) in [(7, "veth7"), (8, "veth8"), (9, "eth0"), (10, "veth10")] {
            traffic.begin(ifindex, name, 0, row(0));
            if name != "veth10" {
                traffic.end(ifindex, row(5));
            }
        }
        let begin = Instant::now();
        let is_eth = |name: &str| name == "eth0";
        let names = |traffic: &Traffic| {
            let all = traffic.all(|_| Some(row(0))).into_values();
            all.map(|there| there.name).collect::<Vec<_>>()
        };
        traffic.fold_removed(begin, is_eth);
        // One of them is there again for a while.
        traffic.fold_removed(begin + SHOWN_AFTER_REMOVAL / 2, |name| name != "veth8");
        assert_eq!(names(&traffic), ["veth7", "veth8", "eth0", "veth10"]);
        traffic.fold_removed(begin + SHOWN_AFTER_REMOVAL, is_eth);
        assert_eq!(names(&traffic), [REMOVED_NAME, "veth7", "eth0", "veth10"]);
        traffic.fold_removed(begin + 3 * SHOWN_AFTER_REMOVAL, is_eth);
        assert_eq!(names(&traffic), [REMOVED_NAME, "eth0", "veth10"]);
        assert_eq!(total(&traffic), 15);
    }
}
