//! What the hooks saw on each interface since the agent started. The kernel's counters belong to rows,
//! which go from one interface to the next and are never set back; here they belong to interfaces.

use std::collections::BTreeMap;

use capture_common::HOOK_POINTS;

use super::counters::InterfaceFigures;

/// Interfaces that are remembered once nothing hangs on them any more.
const MOST_GONE: usize = 256;

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
pub(super) struct Traffic(BTreeMap<u32, Seen>);

#[derive(Debug)]
struct Seen {
    name: String,
    /// The row that it has, and what that had counted before.
    now: Option<(u32, Row)>,
    /// What was seen under earlier rows.
    before: Row,
}

impl Traffic {
    /// Whether the interface has a row.
    pub(super) fn has(&self, ifindex: u32) -> bool {
        self.0.get(&ifindex).is_some_and(|seen| seen.now.is_some())
    }

    /// An interface has got a row, which shows `figures`.
    pub(super) fn begin(&mut self, ifindex: u32, name: &str, row: u32, figures: Row) {
        let seen = self.0.entry(ifindex).or_insert_with(|| Seen {
            name: String::new(),
            now: None,
            before: Row::default(),
        });
        name.clone_into(&mut seen.name);
        seen.now = Some((row, figures));
    }

    /// It has lost the row, which shows `figures` at the end.
    pub(super) fn end(&mut self, ifindex: u32, figures: Row) {
        if let Some(seen) = self.0.get_mut(&ifindex) {
            seen.before = seen.until(figures);
            seen.now = None;
        }
        let gone: Vec<u32> = self
            .0
            .iter()
            .filter(|(_, seen)| seen.now.is_none())
            .map(|(ifindex, _)| *ifindex)
            .collect();
        // The lowest numbers are the oldest interfaces, unless somebody chose them.
        for ifindex in gone.iter().take(gone.len().saturating_sub(MOST_GONE)) {
            self.0.remove(ifindex);
        }
    }

    /// Everything, by interface index; `read` gives the figures of a row, where the kernel answers.
    pub(super) fn all(&self, read: impl Fn(u32) -> Option<Row>) -> BTreeMap<u32, InterfaceTraffic> {
        let all = self.0.iter().map(|(ifindex, seen)| {
            let figures = match seen.now.and_then(|(row, _)| read(row)) {
                Some(figures) => seen.until(figures),
                None => seen.before,
            };
            let name = seen.name.clone();
            (*ifindex, InterfaceTraffic { name, figures })
        });
        all.collect()
    }
}

impl Seen {
    /// All that was seen, where the present row shows `figures`.
    fn until(&self, figures: Row) -> Row {
        let Some((_, base)) = self.now else {
            return self.before;
        };
        std::array::from_fn(|point| {
            let new = figures[point].since(base[point]);
            InterfaceFigures {
                seen: self.before[point].seen + new.seen,
                malformed: self.before[point].malformed + new.malformed,
            }
        })
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

    #[test]
    fn interfaces_that_are_gone_are_forgotten_in_time() {
        let mut traffic = Traffic::default();
        for ifindex in 0..2 * MOST_GONE as u32 {
            traffic.begin(ifindex, "x", 0, row(0));
            traffic.end(ifindex, row(1));
        }
        assert_eq!(traffic.all(|_| None).len(), MOST_GONE);
    }
}
