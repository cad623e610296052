//! Lines of one end of a connection, each of which comes when its end is there.

/// Longest line.
const MAX_LINE: usize = 8192;

/// How far the bytes that wait were looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    looked_at: u16,
}

/// What the bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'b> {
    /// A line without its end, and its length with it.
    Whole(&'b [u8], usize),
    /// The end is not there yet.
    Open,
    /// No line is that long.
    TooLong,
}

impl Lines {
    /// The first line of bytes that begin where the last line ended, or with those that were there the last time.
    pub(super) fn first<'b>(&mut self, bytes: &'b [u8]) -> Line<'b> {
        let from = usize::from(self.looked_at).min(bytes.len());
        match bytes[from..].iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                self.looked_at = 0;
                let line = &bytes[..from + at];
                let len = line.len() + 1;
                Line::Whole(line.strip_suffix(b"\r").unwrap_or(line), len)
            }
            None if bytes.len() > MAX_LINE => Line::TooLong,
            None => {
                self.looked_at = bytes.len() as u16;
                Line::Open
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_when_its_end_is_there() {
        let mut lines = Lines::default();
        assert_eq!(lines.first(b"HEL"), Line::Open);
        assert_eq!(lines.first(b"HELO\r\nnext\n"), Line::Whole(b"HELO", 6));
        assert_eq!(lines.first(b"next\n"), Line::Whole(b"next", 5));
        assert_eq!(lines.first(&[b'x'; MAX_LINE]), Line::Open);
        assert_eq!(lines.first(&[b'x'; MAX_LINE + 1]), Line::TooLong);
    }
}
