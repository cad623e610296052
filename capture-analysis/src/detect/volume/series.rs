//! Figures over time: a bounded number of intervals, whose width doubles where the capture goes on.

use crate::{finding::time, histogram::Samples, report};

/// Most intervals.
const MOST: usize = 256;

/// Width to begin with.
const NARROWEST_NS: u64 = 1_000_000;

/// Intervals from the first packet on.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    start_ns: u64,
    /// 0 before the first packet: no time is within.
    width_ns: u64,
    /// Where the interval of the latest packet begins, and its index.
    current_ns: u64,
    current: usize,
    intervals: Vec<Interval>,
}

#[derive(Clone, Debug, Default)]
struct Interval {
    packets: u64,
    bytes: u64,
    resent: u64,
    round_trips: Samples,
}

impl Series {
    #[inline]
    pub(super) fn packet(&mut self, ns: u64, wire_len: u32) {
        let interval = self.at(ns);
        interval.packets += 1;
        interval.bytes += u64::from(wire_len);
    }

    #[inline]
    pub(super) fn round_trip(&mut self, ns: u64, round_trip_ns: u64) {
        self.at(ns).round_trips.add(round_trip_ns);
    }

    pub(super) fn resent(&mut self, ns: u64) {
        self.at(ns).resent += 1;
    }

    #[inline]
    fn at(&mut self, ns: u64) -> &mut Interval {
        if ns.wrapping_sub(self.current_ns) >= self.width_ns {
            self.seek(ns);
        }
        &mut self.intervals[self.current]
    }

    /// Goes to the interval of a time. What is earlier than the first packet, as the clock was set back, is in the first.
    #[cold]
    fn seek(&mut self, ns: u64) {
        if self.intervals.is_empty() {
            self.start_ns = ns;
            self.width_ns = NARROWEST_NS;
        }
        let after_ns = ns.saturating_sub(self.start_ns);
        while after_ns / self.width_ns >= MOST as u64 {
            self.widen();
        }
        self.current = (after_ns / self.width_ns) as usize;
        self.current_ns = self.start_ns + self.current as u64 * self.width_ns;
        if self.intervals.len() <= self.current {
            self.intervals
                .resize_with(self.current + 1, Interval::default);
        }
    }

    fn widen(&mut self) {
        // 256 intervals of 2^63 ns are more than there is time: this does not overflow.
        self.width_ns = self.width_ns.saturating_mul(2);
        let pairs = self.intervals.chunks(2);
        self.intervals = pairs
            .map(|pair| {
                let mut sum = pair[0].clone();
                if let Some(other) = pair.get(1) {
                    sum.add(other);
                }
                sum
            })
            .collect();
    }

    /// As it is reported; `None` without packets.
    pub(super) fn report(&self) -> Option<report::Series> {
        let intervals = self.intervals.iter();
        let quantile = |share: f64| {
            let of = move |interval: &Interval| {
                let round_trips = interval.round_trips.histogram();
                (!round_trips.is_empty()).then(|| round_trips.quantile_ns(share) / 1000)
            };
            let values: Vec<_> = self.intervals.iter().map(of).collect();
            values.iter().any(Option::is_some).then_some(values)
        };
        let resent = self.intervals.iter().map(|it| it.resent);
        (!self.intervals.is_empty()).then(|| report::Series {
            start: time(self.start_ns),
            interval: self.width_ns as f64 / 1e9,
            packets: intervals.clone().map(|it| it.packets).collect(),
            bytes: intervals.map(|it| it.bytes).collect(),
            retransmissions: resent
                .clone()
                .any(|count| count > 0)
                .then(|| resent.collect()),
            rtt_p50_us: quantile(0.5),
            rtt_p95_us: quantile(0.95),
        })
    }
}

impl Interval {
    fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.resent += other.resent;
        self.round_trips.merge(&other.round_trips);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(of: &[u64]) -> u64 {
        of.iter().sum()
    }

    #[test]
    fn width_doubles_and_nothing_is_lost() {
        let mut series = Series::default();
        let start = 1_767_225_600_000_000_000;
        for packet in 0..10_000_u64 {
            let ns = start + packet * 1_000_000;
            series.packet(ns, 100);
            if packet % 10 == 0 {
                series.resent(ns);
                series.round_trip(ns, 5_000_000);
            }
        }
        let report = series.report().expect("a series");
        assert_eq!(report.interval, 0.064);
        assert_eq!(report.packets.len(), 157);
        assert_eq!(report.packets[..156], [64; 156]);
        assert_eq!(sum(&report.packets), 10_000);
        assert_eq!(sum(&report.bytes), 1_000_000);
        assert_eq!(sum(&report.retransmissions.expect("resends")), 1_000);
        let us = report.rtt_p50_us.expect("round trips")[3].expect("a round trip");
        assert!(us.abs_diff(5_000) < 1_000, "{us}");
    }

    #[test]
    fn any_time_has_its_place() {
        let mut series = Series::default();
        for ns in [5_000_000_000, u64::MAX, 0, 7, u64::MAX / 2, 5_000_000_001] {
            series.packet(ns, 1);
        }
        let report = series.report().expect("a series");
        assert_eq!(sum(&report.packets), 6);
        assert!(report.packets.len() <= MOST);
    }

    #[test]
    fn an_interval_without_round_trips_says_so() {
        let mut series = Series::default();
        series.packet(1_000_000, 1);
        series.packet(4_000_000, 1);
        let report = series.report().expect("a series");
        assert_eq!(report.packets, [1, 0, 0, 1]);
        assert_eq!((report.rtt_p50_us, report.retransmissions), (None, None));
        series.round_trip(4_000_000, 5_000);
        let round_trips = series.report().expect("a series").rtt_p95_us;
        assert_eq!(round_trips, Some(vec![None, None, None, Some(5)]));
        assert_eq!(Series::default().report(), None);
    }
}
