//! From what readers lend to what the analyzer takes.

use std::{collections::BTreeMap, io::Read};

use capture_analysis::{
    Analyzer, Baseline as Talkers, Interface, Losses, Options, Packet, PacketId, Report,
};
use capture_file::read::{self, Error, Filter, Item, Reader, Statistics};

use capture_packet::filter::Filter as DisplayFilter;

use crate::{
    chosen::Chosen,
    origin::{Interfaces, Origin},
};

/// An analysis of what comes out of a reader.
#[derive(Default)]
pub struct Feed {
    funnel: Funnel,
    only: Origin,
}

impl Feed {
    /// Takes everything up to the end, or up to damage.
    pub fn all(&mut self, reader: &mut Reader<impl Read>) -> Result<(), Error> {
        while let Some(item) = reader.next()? {
            self.take(item);
        }
        Ok(())
    }

    /// Takes what was read next.
    #[inline]
    pub fn take(&mut self, item: Item<'_>) {
        match item {
            Item::Packet(packet) => {
                let packet = self.funnel.packet_of(&mut self.only, &packet);
                self.funnel.packet(&packet);
            }
            other => self.funnel.describe(&mut self.only, other),
        }
    }

    /// The report.
    pub fn finish(mut self) -> Report {
        self.funnel.end(self.only);
        self.funnel.finish()
    }
}

/// What the packets of all files run into.
pub(crate) struct Funnel {
    analyzer: Analyzer,
    interfaces: Interfaces,
    /// Losses of each interface, as statistics tell.
    statistics: BTreeMap<u32, Lost>,
    /// Losses of each interface, as its packets tell.
    by_packets: BTreeMap<u32, u64>,
    /// Whether a file has ended that does not tell what was lost.
    is_silent: bool,
    /// The packets that are analyzed; `None` is all.
    chosen: Option<Box<Chosen>>,
}

/// Statistics count from the start of a capture, also in the later files of a rotation: the most is the sum.
#[derive(Clone, Copy, Default)]
struct Lost {
    system: Option<u64>,
    interface: Option<u64>,
}

impl Default for Funnel {
    fn default() -> Self {
        Self {
            analyzer: Analyzer::new(Options::default()),
            interfaces: Interfaces::default(),
            statistics: BTreeMap::new(),
            by_packets: BTreeMap::new(),
            is_silent: false,
            chosen: None,
        }
    }
}

impl Funnel {
    /// A packet as the analyzer takes it.
    #[inline]
    pub(crate) fn packet_of<'a>(
        &mut self,
        origin: &mut Origin,
        packet: &read::Packet<'a>,
    ) -> Packet<'a> {
        // A simple packet of pcapng has no time: it is of the time of those around it.
        origin.last_ns = packet.timestamp_ns.unwrap_or(origin.last_ns);
        let interface = origin.number_of(packet.interface);
        if packet.lost_before > 0 {
            *self.by_packets.entry(interface).or_default() += packet.lost_before;
        }
        let number = packet.number;
        Packet {
            number: match origin.file {
                None => number,
                Some(file) => PacketId::OfFile { file, number }.packed(),
            },
            timestamp_ns: origin.last_ns,
            interface,
            direction: packet.direction,
            original_len: packet.original_len,
            // Statistics count the same losses, see below.
            lost_before: 0,
            data: packet.data,
        }
    }

    /// Takes only packets that pass a display filter.
    pub(crate) fn choose(&mut self, filter: DisplayFilter) {
        self.chosen = Some(Box::new(Chosen::new(filter)));
    }

    #[inline]
    pub(crate) fn packet(&mut self, packet: &Packet<'_>) {
        if let Some(chosen) = &mut self.chosen
            && !chosen.passes(packet)
        {
            return;
        }
        self.analyzer.packet(packet);
    }

    /// What a file says beside its packets.
    pub(crate) fn describe(&mut self, origin: &mut Origin, item: Item<'_>) {
        match item {
            Item::Section(section) => origin.section(*section),
            Item::Interface(interface) => self.interface(origin, *interface),
            Item::Statistics(statistics) => self.statistics(origin, &statistics),
            _ => {}
        }
    }

    fn interface(&mut self, origin: &mut Origin, interface: read::Interface) {
        let (number, is_new) = self.interfaces.add(origin, &interface);
        if !is_new {
            return;
        }
        let filter = interface.filter.and_then(|filter| match filter {
            Filter::Expression(text) => Some(text),
            Filter::Program => None,
        });
        if let Some(chosen) = &mut self.chosen {
            chosen.interface(number, interface.link_type, interface.name.clone());
        }
        let described = Interface {
            name: interface.name,
            link_type: interface.link_type,
            snap_len: interface.snap_len,
            filter,
        };
        self.analyzer.interface(number, described);
    }

    fn statistics(&mut self, origin: &mut Origin, statistics: &Statistics) {
        let number = origin.number_of(statistics.interface);
        let lost = self.statistics.entry(number).or_default();
        lost.system = lost.system.max(statistics.system_dropped);
        lost.interface = lost.interface.max(statistics.interface_dropped);
        if let Some(ended_ns) = statistics.ended_ns {
            self.analyzer.ended(ended_ns);
        }
        origin.tells_losses |= statistics.system_dropped.is_some();
    }

    /// No more packets of a file come.
    pub(crate) fn end(&mut self, origin: Origin) {
        self.is_silent |= !origin.tells_losses;
        self.interfaces.end(origin);
    }

    /// Hosts that are not among these become findings.
    pub(crate) fn compare_with(&mut self, talkers: Talkers) {
        self.analyzer.compare_with(talkers);
    }

    /// The hosts that talk, after the last packet.
    pub(crate) fn talkers(&self) -> Talkers {
        self.analyzer.baseline()
    }

    /// Leaves a packet out, as there is no time to look at it.
    pub(crate) fn skip(&mut self, origin: &mut Origin, packet: &read::Packet<'_>) {
        self.packet_of(origin, packet);
        self.analyzer.skip();
    }

    /// The report so far.
    pub(crate) fn report(&self) -> Report {
        self.analyzer.report(self.losses())
    }

    pub(crate) fn finish(mut self) -> Report {
        if let Some(losses) = self.losses() {
            self.analyzer.losses(losses);
        }
        self.analyzer.finish()
    }

    /// What was lost. Statistics and packets tell of the same losses: what is more counts.
    fn losses(&self) -> Option<Losses> {
        let mut by_packets = self.by_packets.clone();
        let mut all: Option<Losses> = None;
        for (interface, lost) in &self.statistics {
            let by_packets = by_packets.remove(interface).unwrap_or(0);
            if lost.system.is_none() && by_packets == 0 {
                continue;
            }
            let all = all.get_or_insert_default();
            all.capture += lost.system.unwrap_or(0).max(by_packets);
            all.interface += lost.interface.unwrap_or(0);
        }
        for capture in by_packets.into_values() {
            all.get_or_insert_default().capture += capture;
        }
        // Of several files all must tell before the capture is complete.
        all.filter(|lost| !self.is_silent || *lost != Losses::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Pcapng, syn};

    const SECOND: u64 = 1_000_000_000;

    fn codes(file: Pcapng) -> Vec<&'static str> {
        let bytes = file.bytes();
        let mut feed = Feed::default();
        feed.all(&mut Reader::new(&bytes[..]))
            .expect("the file is whole");
        let findings = feed.finish().findings;
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn nothing_came_until_the_capture_ended() {
        let file = || {
            Pcapng::new("a task", "eth0")
                .packet(0, &syn(1))
                .packet(SECOND, &syn(1))
        };
        // It may have ended with the last packet.
        assert!(codes(file()).is_empty());
        assert!(codes(file().ended(2 * SECOND)).is_empty());
        assert_eq!(codes(file().ended(10 * SECOND)), ["tcp.no_answer"]);
        // An end before the last packet says nothing.
        let later = file().packet(9 * SECOND, &syn(2)).ended(SECOND);
        assert_eq!(codes(later), ["tcp.no_answer"]);
    }
}
