//! From what a reader lends to what the analyzer takes.

use std::{collections::BTreeMap, io::Read};

use capture_analysis::{Analyzer, Interface, Losses, Options, Packet, Report};
use capture_file::read::{Error, Filter, Item, Reader, Statistics};

/// An analysis of what comes out of a reader.
pub(super) struct Feed {
    analyzer: Analyzer,
    /// The latest statistics of each interface.
    statistics: BTreeMap<u32, Statistics>,
    /// Losses of each interface, as its packets tell.
    lost: BTreeMap<u32, u64>,
    last_ns: u64,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            analyzer: Analyzer::new(Options::default()),
            statistics: BTreeMap::new(),
            lost: BTreeMap::new(),
            last_ns: 0,
        }
    }
}

impl Feed {
    /// Takes everything up to the end, or up to damage.
    pub(super) fn all(&mut self, reader: &mut Reader<impl Read>) -> Result<(), Error> {
        while let Some(item) = reader.next()? {
            self.take(item);
        }
        Ok(())
    }

    fn take(&mut self, item: Item<'_>) {
        match item {
            Item::Packet(packet) => {
                // A simple packet of pcapng has no time: it is of the time of those around it.
                self.last_ns = packet.timestamp_ns.unwrap_or(self.last_ns);
                if packet.lost_before > 0 {
                    *self.lost.entry(packet.interface).or_default() += packet.lost_before;
                }
                self.analyzer.packet(&Packet {
                    number: packet.number,
                    timestamp_ns: self.last_ns,
                    interface: packet.interface,
                    direction: packet.direction,
                    original_len: packet.original_len,
                    // Statistics count the same losses, see below.
                    lost_before: 0,
                    data: packet.data,
                });
            }
            Item::Interface(interface) => {
                let filter = interface.filter.and_then(|filter| match filter {
                    Filter::Expression(text) => Some(text),
                    Filter::Program => None,
                });
                let described = Interface {
                    name: interface.name,
                    link_type: interface.link_type,
                    snap_len: interface.snap_len,
                    filter,
                };
                self.analyzer.interface(interface.id, described);
            }
            Item::Statistics(statistics) => {
                self.statistics.insert(statistics.interface, *statistics);
            }
            _ => {}
        }
    }

    /// The report. Statistics and packets tell of the same losses: what is more counts.
    pub(super) fn finish(mut self) -> Report {
        for (interface, statistics) in &self.statistics {
            let by_packets = self.lost.remove(interface).unwrap_or(0);
            if statistics.system_dropped.is_none() && by_packets == 0 {
                continue;
            }
            self.analyzer.losses(Losses {
                capture: statistics.system_dropped.unwrap_or(0).max(by_packets),
                interface: statistics.interface_dropped.unwrap_or(0),
            });
        }
        for capture in self.lost.into_values() {
            self.analyzer.losses(Losses {
                capture,
                interface: 0,
            });
        }
        self.analyzer.finish()
    }
}
