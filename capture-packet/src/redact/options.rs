//! Options of headers. With pseudonyms, an option that is not known becomes padding of the same length; so does one that
//! holds an address of a kind that is not known, a key or a digest.

use std::ops::Range;

use super::rewriter::Rewriter;

impl Rewriter<'_> {
    /// Options of IPv4 (RFC 791 section 3.1) at this place of what was taken over.
    pub(super) fn ipv4_options(&mut self, place: Range<usize>) {
        self.each_option(place, |frame, kind, option| match (kind, option.len()) {
            // Record route, loose and strict source route: addresses from the fourth byte on.
            (7 | 131 | 137, len @ 3..) if (len - 3) % 4 == 0 => {
                for address in (option.start + 3..option.end).step_by(4) {
                    frame.v4(address);
                }
                true
            }
            // Timestamps, alone or each behind an address.
            (68, len @ 4..) if len % 4 == 0 => match frame.out[option.start + 3] & 0x0f {
                0 => true,
                1 | 3 if len % 8 == 4 => {
                    for address in (option.start + 4..option.end).step_by(8) {
                        frame.v4(address);
                    }
                    true
                }
                _ => false,
            },
            // Router alert (RFC 2113).
            (148, 4) => true,
            _ => false,
        });
    }

    /// Options of TCP (RFC 9293 section 3.2).
    pub(super) fn tcp_options(&mut self, place: Range<usize>) {
        self.each_option(place, |_, kind, option| {
            // Maximum segment size, window scale, SACK permitted, SACK, timestamps.
            matches!(
                (kind, option.len()),
                (2, 4) | (3, 3) | (4, 2) | (5, 10 | 18 | 26 | 34) | (8, 10)
            )
        });
    }

    /// Goes through options of one byte (0 ends them, 1 is padding) or with a length that counts the whole option. `rewrite`
    /// says whether it knows one; others become padding. What is behind the end, or has an impossible length, becomes zeros.
    fn each_option(
        &mut self,
        place: Range<usize>,
        rewrite: impl Fn(&mut Self, u8, Range<usize>) -> bool,
    ) {
        const PADDING: u8 = 1;
        if !self.is_anonymising() {
            return;
        }
        let mut at = place.start;
        while at < place.end && self.out[at] != 0 {
            let kind = self.out[at];
            if kind == PADDING {
                at += 1;
                continue;
            }
            let len = self.out.get(at + 1).copied().map_or(0, usize::from);
            if len < 2 || at + len > place.end {
                break;
            }
            let option = at..at + len;
            if !rewrite(self, kind, option.clone()) {
                self.out[option].fill(PADDING);
            }
            at += len;
        }
        self.out[at..place.end].fill(0);
    }

    /// Options of IPv6 in a hop-by-hop or destination header (RFC 8200 section 4.2). Gives where a home address stands, of
    /// which the transport takes its packet to be.
    pub(super) fn ipv6_options(&mut self, place: Range<usize>) -> Option<usize> {
        const PAD_N: u8 = 1;
        let mut home = None;
        let mut at = place.start;
        while at < place.end {
            let kind = self.out[at];
            if kind == 0 {
                at += 1;
                continue;
            }
            let len = self.out.get(at + 1).copied().map(usize::from);
            let Some(end) = len.map(|len| at + 2 + len).filter(|end| *end <= place.end) else {
                break;
            };
            match (kind, end - at) {
                // Home address (RFC 6275 section 6.3).
                (0xc9, 18) => {
                    home = Some(at + 2);
                    self.v6(at + 2);
                }
                // Router alert (RFC 2711), jumbo payload (RFC 2675).
                (5, 4) | (0xc2, 6) => {}
                _ if self.is_anonymising() => {
                    self.out[at] = PAD_N;
                    self.out[at + 2..end].fill(0);
                }
                _ => {}
            }
            at = end;
        }
        if self.is_anonymising() {
            self.out[at.min(place.end)..place.end].fill(0);
        }
        home
    }
}
