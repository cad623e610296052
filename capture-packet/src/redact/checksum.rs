//! Internet checksums (RFC 1071) of packets that were changed. One that was right is right again, and one that was wrong is
//! wrong again. What was cut counts as zeros, and nothing of an old checksum remains: it would tell two bytes of what was
//! cut, or of an address.

/// What a checksum was before the packet was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Right, or nobody can tell, as the packet was not captured whole.
    Right,
    Wrong,
    /// The sum of the pseudo-header alone: the interface was to do the rest.
    Partial,
    /// UDP without one.
    Absent,
}

/// What a checksum covers. Offsets are from the start of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Covered {
    /// Where the checksum stands.
    pub(super) field: usize,
    pub(super) start: usize,
    /// Bytes on the wire.
    pub(super) len: usize,
    /// Sums of the pseudo-header before and after the change.
    pub(super) before: u32,
    pub(super) after: u32,
    /// Whether 0 says that there is none.
    pub(super) is_optional: bool,
}

/// A checksum that is to be written once all that it covers is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checksum {
    covered: Covered,
    verdict: Verdict,
}

impl Checksum {
    /// One in the frame as it was captured.
    pub(super) fn of(frame: &[u8], covered: Covered) -> Self {
        let Covered {
            field,
            start,
            len,
            before,
            ..
        } = covered;
        let stored = frame
            .get(field..)
            .and_then(|bytes| bytes.first_chunk::<2>());
        let verdict = match (stored, frame.get(start..start.saturating_add(len))) {
            (Some([0, 0]), _) if covered.is_optional => Verdict::Absent,
            (Some(stored), _) if before != 0 && u16::from_be_bytes(*stored) == fold(before) => {
                Verdict::Partial
            }
            (Some(_), Some(whole)) if fold(before.wrapping_add(sum(whole))) != 0xffff => {
                Verdict::Wrong
            }
            _ => Verdict::Right,
        };
        Self { covered, verdict }
    }

    /// Writes it, where its place was not cut.
    pub(super) fn write(&self, out: &mut [u8]) {
        let Covered {
            field,
            start,
            len,
            after,
            is_optional,
            ..
        } = self.covered;
        let end = start.saturating_add(len).min(out.len());
        if field + 2 > out.len() {
            return;
        }
        out[field..field + 2].fill(0);
        let right = !fold(after.wrapping_add(sum(&out[start.min(end)..end])));
        let value = match self.verdict {
            Verdict::Absent => 0,
            Verdict::Partial => fold(after),
            Verdict::Right if right == 0 && is_optional => 0xffff,
            Verdict::Right => right,
            Verdict::Wrong if right == 0x0101 => 0x0202,
            Verdict::Wrong => right ^ 0x0101,
        };
        out[field..field + 2].copy_from_slice(&value.to_be_bytes());
    }
}

/// The sum of 16-bit words, not folded to the end. A packet has too few for it to overflow.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    let (words, last) = bytes.as_chunks::<2>();
    let words = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum = words.fold(0, |sum: u32, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    sum + last.first().map_or(0, |last| u32::from(*last) << 8)
}

/// A sum in 16 bits.
fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}
