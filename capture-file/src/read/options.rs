//! Options behind the fixed part of a pcapng block (section 3.5 of the draft).

use std::borrow::Cow;

use super::{error::ErrorCause, order::ByteOrder};

/// `opt_endofopt`.
const END: u16 = 0;
/// `opt_comment`.
pub(super) const COMMENT: u16 = 1;

/// The options of a block that are left to look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    order: ByteOrder,
    /// Type of the block, for faults.
    kind: u32,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    pub(super) const NONE: Options<'static> = Options {
        order: ByteOrder::Little,
        kind: 0,
        rest: &[],
    };

    #[inline]
    pub(super) fn new(order: ByteOrder, kind: u32, rest: &'a [u8]) -> Self {
        Self { order, kind, rest }
    }

    /// The next option; `None` at their end, which need not be marked.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Opt<'a>>, ErrorCause> {
        let Some((head, rest)) = self.rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let code = self.order.u16(head, 0);
        if code == END {
            self.rest = &[];
            return Ok(None);
        }
        let len = self.order.u16(head, 2);
        let Some((value, rest)) = rest.split_at_checked(usize::from(len)) else {
            return Err(length(self.kind, code, len));
        };
        let padding = usize::from(len).next_multiple_of(4) - usize::from(len);
        self.rest = rest.get(padding..).unwrap_or_default();
        Ok(Some(Opt {
            code,
            value,
            order: self.order,
            kind: self.kind,
        }))
    }

    /// The comments among them. A fault ends them, which these options do not have once they were checked.
    pub(super) fn comments(mut self) -> impl Iterator<Item = Cow<'a, str>> {
        std::iter::from_fn(move || {
            loop {
                let option = self.next().ok()??;
                if option.code == COMMENT {
                    return Some(option.text());
                }
            }
        })
    }
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt<'a> {
    pub(super) code: u16,
    pub(super) value: &'a [u8],
    order: ByteOrder,
    kind: u32,
}

impl<'a> Opt<'a> {
    #[inline]
    pub(super) fn u8(&self) -> Result<u8, ErrorCause> {
        match self.value {
            [value] => Ok(*value),
            _ => Err(self.cause()),
        }
    }

    #[inline]
    pub(super) fn u32(&self) -> Result<u32, ErrorCause> {
        match self.value.len() {
            4 => Ok(self.order.u32(self.value, 0)),
            _ => Err(self.cause()),
        }
    }

    #[inline]
    pub(super) fn u64(&self) -> Result<u64, ErrorCause> {
        match self.value.len() {
            8 => Ok(self.order.u64(self.value, 0)),
            _ => Err(self.cause()),
        }
    }

    pub(super) fn timestamp(&self) -> Result<u64, ErrorCause> {
        match self.value.len() {
            8 => Ok(self.order.timestamp(self.value, 0)),
            _ => Err(self.cause()),
        }
    }

    /// UTF-8 without an end mark. Some writers count a final NUL in.
    pub(super) fn text(&self) -> Cow<'a, str> {
        let value = self.value.strip_suffix(&[0]).unwrap_or(self.value);
        String::from_utf8_lossy(value)
    }

    #[cold]
    fn cause(&self) -> ErrorCause {
        // Its length came as a u16.
        length(self.kind, self.code, self.value.len() as u16)
    }
}

#[cold]
fn length(kind: u32, code: u16, len: u16) -> ErrorCause {
    ErrorCause::OptionLength { kind, code, len }
}
