//! What is missing of a direction of data: ranges that were jumped over, each with the stamps of the segment that did so.
//! A sender sends in order, so what fills a hole was sent either before that segment, and overtaken, or after it.

use super::{Segment, sequence::after};

/// Most holes of one direction that are remembered; the oldest is forgotten where there are more.
const MOST: usize = 128;

/// When a segment was sent, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    tsval: Option<u32>,
    ip_id: Option<u16>,
    ns: u64,
}

impl Stamp {
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        Self {
            tsval: segment.tsval(),
            ip_id: segment.ip_id,
            ns: segment.ns,
        }
    }

    /// Whether `segment` was sent after this one. Where neither TSval nor IP identification tell, something that comes
    /// `soon_ns` later at least was.
    pub(super) fn is_before(&self, segment: &Segment<'_>, ids_count: bool, soon_ns: u64) -> bool {
        if let (Some(then), Some(now)) = (self.tsval, segment.tsval())
            && then != now
        {
            return after(now, then);
        }
        if let (Some(then), Some(now)) = (self.ip_id, segment.ip_id)
            && ids_count
            && then != now
        {
            return (now.wrapping_sub(then) as i16) > 0;
        }
        segment.ns.saturating_sub(self.ns) >= soon_ns
    }
}

/// One range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    start: u32,
    end: u32,
    /// Of the segment behind it.
    pub behind: Stamp,
}

/// All of one direction, in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct Holes {
    list: Vec<Hole>,
    /// The last that had to be forgotten, from the start of the first of them.
    forgotten: Option<Hole>,
}

impl Holes {
    /// Opens one behind all others.
    pub(super) fn open(&mut self, start: u32, end: u32, behind: Stamp) {
        if self.list.len() == MOST {
            let oldest = self.list.remove(0);
            let start = self.forgotten.map_or(oldest.start, |hole| hole.start);
            self.forgotten = Some(Hole { start, ..oldest });
        }
        self.list.push(Hole { start, end, behind });
    }

    /// Fills what lies in a range; the first hole that this touches, be it a forgotten one.
    pub(super) fn fill(&mut self, segment: &Segment<'_>) -> Option<Hole> {
        let (start, end) = (segment.seq(), segment.end);
        let mut found = None;
        let mut index = 0;
        while let Some(hole) = self.list.get(index).copied() {
            if !after(end, hole.start) || !after(hole.end, start) {
                index += 1;
                continue;
            }
            found.get_or_insert(hole);
            let left = after(start, hole.start).then_some(Hole { end: start, ..hole });
            let right = after(hole.end, end).then_some(Hole { start: end, ..hole });
            match (left, right) {
                (None, None) => {
                    self.list.remove(index);
                }
                (Some(part), None) | (None, Some(part)) => {
                    self.list[index] = part;
                    index += 1;
                }
                (Some(left), Some(right)) => {
                    self.list[index] = left;
                    if self.list.len() < MOST {
                        self.list.insert(index + 1, right);
                    }
                    index += 2;
                }
            }
        }
        let is_forgotten = |hole: &Hole| after(hole.end, start) && !after(hole.start, start);
        found.or_else(|| self.forgotten.filter(is_forgotten))
    }

    /// What lies in front of what was just filled by an overtaken segment was sent before that one.
    pub(super) fn sent_before(&mut self, segment: &Segment<'_>) {
        if let Some(hole) = self.list.iter_mut().find(|hole| hole.end == segment.seq()) {
            hole.behind = Stamp::of(segment);
        }
    }

    /// Forgets what lies before `ack`: it arrived, though not here. Bytes that were forgotten.
    pub(super) fn forget(&mut self, ack: u32) -> u32 {
        let mut missed = 0u32;
        self.forgotten = self.forgotten.filter(|hole| after(hole.end, ack));
        self.list.retain_mut(|hole| {
            if !after(ack, hole.start) {
                return true;
            }
            let end = if after(hole.end, ack) { ack } else { hole.end };
            missed = missed.saturating_add(end.wrapping_sub(hole.start));
            hole.start = end;
            hole.end != end
        });
        missed
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
