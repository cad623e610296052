//! The bytes of one direction of a TCP connection in order: resends left out, what was overtaken put in its place.

/// Most bytes that wait to be taken, or for those before them.
pub(super) const MOST_BYTES: usize = 16_384;

/// Most segments that wait for those before them. Clients of QUIC send their first message in tens of pieces, shuffled.
const MOST_AHEAD: usize = 64;

/// More than this is not kept by a window in which nothing waits.
const KEPT: usize = 2048;

/// Bytes are missing, and nothing will be known of those behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole;

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Sequence number behind the bytes that are in order; `None` before the first.
    next: Option<u32>,
    /// Bytes from there on that nobody wants to see.
    skip: u64,
    /// In order; those before `taken` were taken.
    bytes: Vec<u8>,
    taken: usize,
    /// Segments behind a hole, with the sequence numbers of their first bytes.
    ahead: Vec<(u32, Box<[u8]>)>,
}

impl Window {
    /// Makes known where the bytes begin, unless that is known.
    pub(super) fn start(&mut self, sequence: u32) {
        self.next.get_or_insert(sequence);
    }

    /// Bytes that are in order and were not taken.
    pub(super) fn ready(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Whether nobody wants to see what comes next.
    pub(super) fn is_skipping(&self) -> bool {
        self.skip > 0
    }

    /// Whether bytes are awaited that others have overtaken.
    pub(super) fn has_hole(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Whether all bytes up to this sequence number are known, or need not be.
    pub(super) fn ends_at(&self, sequence: u32) -> bool {
        self.is_skipping() || self.next == Some(sequence)
    }

    /// Memory that it takes.
    pub(super) fn held(&self) -> usize {
        let ahead = self.ahead.iter().map(|(_, bytes)| bytes.len());
        self.bytes.capacity() + ahead.sum::<usize>()
    }

    /// Adds the payload of a segment.
    pub(super) fn push(&mut self, sequence: u32, payload: &[u8]) -> Result<(), Hole> {
        self.place(sequence, payload)?;
        while let Some(place) = self.ahead.iter().position(|(at, _)| self.is_in_order(*at)) {
            let (at, bytes) = self.ahead.swap_remove(place);
            self.place(at, &bytes)?;
        }
        Ok(())
    }

    fn is_in_order(&self, sequence: u32) -> bool {
        let next = self.next.unwrap_or(sequence);
        sequence.wrapping_sub(next) as i32 <= 0
    }

    fn place(&mut self, sequence: u32, payload: &[u8]) -> Result<(), Hole> {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        let payload = match usize::try_from(ahead) {
            // What was there before stays: a sender does not change its mind.
            Err(_) => payload.get(ahead.unsigned_abs() as usize..).unwrap_or(&[]),
            Ok(ahead) => {
                let jump = self.skip.min(ahead as u64);
                self.skip -= jump;
                self.next = Some(next.wrapping_add(jump as u32));
                let distance = ahead - jump as usize;
                if distance > 0 {
                    return self.wait(sequence, distance, payload);
                }
                payload
            }
        };
        self.append(payload)
    }

    /// Puts a segment aside until what is before it comes.
    fn wait(&mut self, sequence: u32, distance: usize, payload: &[u8]) -> Result<(), Hole> {
        if payload.is_empty()
            || self
                .ahead
                .iter()
                .any(|(at, bytes)| *at == sequence && bytes.len() >= payload.len())
        {
            return Ok(());
        }
        let waiting: usize = self.ahead.iter().map(|(_, bytes)| bytes.len()).sum();
        let last = self.ready().len() + distance + payload.len();
        if self.ahead.len() >= MOST_AHEAD
            || last > MOST_BYTES
            || waiting + payload.len() > MOST_BYTES
        {
            return Err(Hole);
        }
        self.ahead.push((sequence, payload.into()));
        Ok(())
    }

    fn append(&mut self, payload: &[u8]) -> Result<(), Hole> {
        let next = self.next.unwrap_or_default();
        self.next = Some(next.wrapping_add(payload.len() as u32));
        let skipped = self.skip.min(payload.len() as u64);
        self.skip -= skipped;
        let payload = &payload[skipped as usize..];
        if self.ready().len() + payload.len() > MOST_BYTES {
            return Err(Hole);
        }
        if self.taken > 0 && !payload.is_empty() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Takes so many bytes, and leaves out those of them that are yet to come.
    pub(super) fn take(&mut self, len: usize) {
        let there = len.min(self.ready().len());
        self.taken += there;
        self.skip += (len - there) as u64;
        if self.taken == self.bytes.len() {
            self.taken = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(window: &mut Window) -> Vec<u8> {
        let bytes = window.ready().to_vec();
        window.take(bytes.len());
        bytes
    }

    #[test]
    fn what_was_overtaken_comes_in_its_place() {
        let mut window = Window::default();
        window.start(u32::MAX - 1);
        assert_eq!(window.push(1, b"de"), Ok(()));
        assert_eq!(window.ready(), b"");
        assert_eq!(window.push(u32::MAX - 1, b"abX"), Ok(()));
        assert_eq!(window.ready(), b"abXde");
        // A resend that begins earlier and ends later.
        assert_eq!(window.push(0, b"YYYfg"), Ok(()));
        assert_eq!(taken(&mut window), b"abXdefg");
    }

    #[test]
    fn a_hole_that_is_too_wide() {
        let mut window = Window::default();
        window.start(0);
        assert_eq!(window.push(MOST_BYTES as u32, b"x"), Err(Hole));
        let mut window = Window::default();
        window.start(0);
        let all = (0..100).map(|at| window.push(2 * at + 1, b"x"));
        assert!(all.collect::<Vec<_>>().contains(&Err(Hole)));
        assert!(window.held() <= 2 * MOST_BYTES);
    }

    #[test]
    fn what_is_left_out_need_not_be_there() {
        let mut window = Window::default();
        window.start(0);
        assert_eq!(window.push(0, b"head"), Ok(()));
        window.take(4 + 1_000_000);
        // In the middle of it 100,000 bytes are missing.
        assert_eq!(window.push(4, &[0; 1000]), Ok(()));
        assert_eq!(window.push(101_004, &[0; 1000]), Ok(()));
        assert_eq!(window.ready(), b"");
        assert_eq!(window.push(1_000_000, b"1234tail"), Ok(()));
        assert_eq!(taken(&mut window), b"tail");
    }

    proptest! {
        /// Segments of any cut, in any order, twice: the same bytes.
        #[test]
        fn any_order(
            start in any::<u32>(),
            cuts in proptest::collection::vec(0usize..500, 1..20),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let bytes: Vec<u8> = (0..500usize).map(|at| at as u8).collect();
            let mut window = Window::default();
            window.start(start);
            let mut ends: Vec<usize> = cuts.into_iter().chain([0, 500]).collect();
            ends.sort_unstable();
            let pieces: Vec<_> = ends.windows(2).map(|ends| ends[0]..ends[1]).collect();
            let some = order.iter().map(|index| &pieces[index.index(pieces.len())]);
            for piece in some.chain(&pieces) {
                let at = start.wrapping_add(piece.start as u32);
                prop_assert_eq!(window.push(at, &bytes[piece.clone()]), Ok(()));
                prop_assert!(bytes.starts_with(window.ready()));
            }
            prop_assert_eq!(window.ready(), &bytes[..]);
            prop_assert!(window.ahead.is_empty());
        }
    }
}
