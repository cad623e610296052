//! The names that are asked for most often.

use crate::{app::dns::Name, lru::Lru, report::DnsName};

/// Most names that are counted at once, and most that the report has.
const MOST_NAMES: usize = 1024;
const TOP: usize = 20;

/// Names by how often they are asked for. One that was not asked for in a long time gives way.
#[derive(Clone, Debug)]
pub(super) struct Names(Lru<u64, (Name, u64)>);

impl Default for Names {
    fn default() -> Self {
        Self(Lru::new(MOST_NAMES))
    }
}

impl Names {
    #[inline]
    pub(super) fn add(&mut self, name: &Name, hash: u64) {
        self.0.entry(&hash, || (*name, 0)).1 += 1;
    }

    pub(super) fn top(&self) -> Vec<DnsName> {
        let mut names: Vec<_> = self
            .0
            .iter()
            .map(|(_, (name, count))| (*count, name))
            .collect();
        let most = |(count, name): &(u64, &Name)| (std::cmp::Reverse(*count), name.to_string());
        let last = names.len().min(TOP);
        if names.len() > TOP {
            names.select_nth_unstable_by_key(TOP, |(count, _)| std::cmp::Reverse(*count));
        }
        let top = &mut names[..last];
        top.sort_by_cached_key(most);
        let names = top.iter().map(|(queries, name)| DnsName {
            name: name.to_string(),
            queries: *queries,
        });
        names.collect()
    }
}
