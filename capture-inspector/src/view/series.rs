//! The course of a capture: packets and bytes by time. Nobody knows the last time before the last packet, so that bins become
//! wider as there are more, each ten of earlier ones at most; what is asked for is summed up from them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::rfc3339;

/// Most buckets that can be asked for.
pub const MAX_BUCKETS: usize = 2000;

/// Most bins.
const MOST_BINS: u64 = 20_000;

/// Width of the first bins, in nanoseconds.
const FIRST_WIDTH: u64 = 1000;

/// Packets and bytes by time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PacketSeries {
    /// When the first bucket begins; `null` without packets.
    #[schema(required = true, format = DateTime)]
    pub start: Option<String>,
    /// Width of a bucket in seconds.
    pub bucket_seconds: f64,
    /// Packets in each bucket.
    pub packets: Vec<u64>,
    /// Their bytes on the wire.
    pub bytes: Vec<u64>,
    /// Packets that were looked at.
    pub searched: u64,
    /// Whether these are all packets.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    packets: u64,
    bytes: u64,
}

/// The bins so far. Bin n holds what lies between n and n + 1 widths after 1970.
#[derive(Debug)]
pub(crate) struct Course {
    width: u64,
    /// Number of the first bin.
    first: u64,
    bins: VecDeque<Bin>,
    /// Packets before the one time and from the other on do not count.
    span: (u64, Option<u64>),
}

impl Course {
    /// Of the packets from one time on and before another.
    pub(crate) fn of(from_ns: Option<u64>, until_ns: Option<u64>) -> Self {
        Self {
            width: FIRST_WIDTH,
            first: 0,
            bins: VecDeque::new(),
            span: (from_ns.unwrap_or(0), until_ns),
        }
    }

    /// Takes a packet.
    #[inline]
    pub(crate) fn packet(&mut self, ns: u64, wire_len: u32) {
        let (from, until) = self.span;
        if ns < from || until.is_some_and(|until| ns >= until) {
            return;
        }
        let mut place = ns / self.width;
        let last = self.first + self.bins.len() as u64;
        if place < self.first || place >= last {
            place = self.make_room(ns);
        }
        let bin = &mut self.bins[(place - self.first) as usize];
        bin.packets += 1;
        bin.bytes += u64::from(wire_len);
    }

    /// Has a bin for a time, and gives its number.
    #[cold]
    fn make_room(&mut self, ns: u64) -> u64 {
        loop {
            let place = ns / self.width;
            if self.bins.is_empty() {
                self.first = place;
                self.bins.push_back(Bin::default());
                return place;
            }
            let last = self.first + self.bins.len() as u64 - 1;
            if place.max(last) - place.min(self.first) < MOST_BINS {
                while place < self.first {
                    self.bins.push_front(Bin::default());
                    self.first -= 1;
                }
                let bins = place.max(last) - self.first + 1;
                self.bins.resize(bins as usize, Bin::default());
                return place;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        let factor = factor(self.width);
        let mut wider = VecDeque::new();
        for (number, bin) in (self.first..).zip(&self.bins) {
            if number % factor == 0 || wider.is_empty() {
                wider.push_back(Bin::default());
            }
            if let Some(last) = wider.back_mut() {
                last.packets += bin.packets;
                last.bytes += bin.bytes;
            }
        }
        self.first /= factor;
        self.width *= factor;
        self.bins = wider;
    }

    /// At most so many buckets: of the whole span where both of its ends were given, else from the first packet to the last.
    pub(crate) fn buckets(&self, most: usize) -> PacketSeries {
        let most = most.clamp(1, MAX_BUCKETS) as u64;
        let (low, high) = match self.span {
            (from, Some(until)) if from > 0 => (from / self.width, until.div_ceil(self.width)),
            _ => (self.first, self.first + self.bins.len() as u64),
        };
        let mut series = PacketSeries {
            start: None,
            bucket_seconds: self.width as f64 / 1e9,
            packets: Vec::new(),
            bytes: Vec::new(),
            searched: 0,
            complete: false,
        };
        if low >= high {
            return series;
        }
        let (mut width, mut each) = (self.width, 1);
        let buckets = |each: u64| (high - 1) / each - low / each + 1;
        while buckets(each) > most {
            let factor = factor(width);
            width = width.saturating_mul(factor);
            each *= factor;
        }
        let begin = low / each;
        series.start = rfc3339(begin.saturating_mul(width));
        series.bucket_seconds = width as f64 / 1e9;
        series.packets.resize(buckets(each) as usize, 0);
        series.bytes.resize(series.packets.len(), 0);
        for (number, bin) in (self.first..).zip(&self.bins) {
            // Of a span each bin is in it, at least in part.
            let place = (number / each).saturating_sub(begin) as usize;
            if let (Some(packets), Some(bytes)) =
                (series.packets.get_mut(place), series.bytes.get_mut(place))
            {
                *packets += bin.packets;
                *bytes += bin.bytes;
            }
        }
        series
    }
}

/// From one width to the next: 1 µs, 2 µs, 10 µs, 20 µs and so on up to the second; then as clocks have it: 1 s, 5 s, 10 s, 1 min,
/// 5 min, 10 min, 1 h, 6 h, 12 h, 1 d, and tenfold.
fn factor(width: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    match (width / SECOND, width % SECOND) {
        (0, _) if width.to_string().starts_with('1') => 2,
        (0, _) => 5,
        (1 | 60, _) => 5,
        (5 | 300 | 21_600 | 43_200, _) => 2,
        (10 | 600 | 3600, _) => 6,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn sums(series: &PacketSeries) -> (u64, u64) {
        (series.packets.iter().sum(), series.bytes.iter().sum())
    }

    #[test]
    fn nothing_is_lost_when_bins_become_wider() {
        let mut course = Course::of(None, None);
        let start = 1_767_225_600 * SECOND;
        for n in 0..100_000 {
            course.packet(start + n * 7_777_777, 100);
        }
        // Before the first, and far behind the last.
        course.packet(start - 3 * SECOND, 1);
        course.packet(start + 40 * 86_400 * SECOND, 1);
        for buckets in [1, 7, 300, MAX_BUCKETS, usize::MAX] {
            let series = course.buckets(buckets);
            assert_eq!(sums(&series), (100_002, 10_000_002), "{buckets}");
            assert!(series.packets.len() <= buckets.min(MAX_BUCKETS));
            assert_eq!(series.bytes.len(), series.packets.len());
        }
    }

    #[test]
    fn buckets_begin_at_whole_widths_and_hold_what_is_theirs() {
        let mut course = Course::of(None, None);
        let start = 1_767_225_600 * SECOND;
        for n in 0..3000 {
            course.packet(start + n * SECOND / 10, 60);
        }
        let series = course.buckets(300);
        assert_eq!(series.bucket_seconds, 1.0);
        assert_eq!(series.packets, [10; 300]);
        assert_eq!(series.bytes, [600; 300]);
        assert_eq!(
            series.start.as_deref(),
            Some("2026-01-01T00:00:00.000000000Z")
        );
    }

    #[test]
    fn a_part_is_seen_nearer() {
        let start = 1_767_225_600 * SECOND;
        let span = (Some(start + 10 * SECOND), Some(start + 12 * SECOND));
        let mut course = Course::of(span.0, span.1);
        for n in 0..3000 {
            course.packet(start + n * SECOND / 10, 60);
        }
        let part = course.buckets(300);
        assert_eq!(part.bucket_seconds, 0.01);
        assert_eq!(part.packets.len(), 200);
        assert_eq!(
            part.start.as_deref(),
            Some("2026-01-01T00:00:10.000000000Z")
        );
        assert_eq!(sums(&part), (20, 1200));
        // All of it, as it was asked for, also where nothing is.
        let empty = Course::of(span.0, span.1).buckets(20);
        assert_eq!(empty.packets, [0; 20]);
        // A span without any time.
        let mut none = Course::of(span.1, span.0);
        none.packet(start + 11 * SECOND, 60);
        assert!(none.buckets(10).packets.is_empty());
    }

    #[test]
    fn no_time_is_too_odd() {
        let mut course = Course::of(None, None);
        assert!(course.buckets(10).packets.is_empty());
        for ns in [u64::MAX, 0, 1, u64::MAX / 2, 5] {
            course.packet(ns, u32::MAX);
        }
        let series = course.buckets(2000);
        assert_eq!(sums(&series).0, 5);
        assert!(series.packets.len() <= 2000);
        assert!(course.bins.len() as u64 <= MOST_BINS);
    }
}
