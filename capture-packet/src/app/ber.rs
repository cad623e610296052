//! BER (X.690) as far as SNMP and LDAP need it: a tag of one byte, a length of four at most, a value.

/// A value with its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// Tag with its class.
    pub(crate) tag: u8,
    /// The bytes of the value that are there.
    pub(crate) bytes: &'a [u8],
    /// Whether all of them are.
    pub(crate) is_whole: bool,
}

/// Tags.
pub(crate) mod tag {
    /// A number.
    pub(crate) const INTEGER: u8 = 0x02;
    /// Bytes.
    pub(crate) const OCTETS: u8 = 0x04;
    /// One of several numbers.
    pub(crate) const ENUMERATED: u8 = 0x0a;
    /// Several values.
    pub(crate) const SEQUENCE: u8 = 0x30;
}

/// Values one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// Tag of the next value, length of its header, and of the value.
    fn header(&self) -> Option<(u8, usize, usize)> {
        let (head, rest) = self.0.split_first_chunk::<2>()?;
        match head[1] {
            short @ 0..=0x7f => Some((head[0], 2, usize::from(short))),
            long @ 0x81..=0x84 => {
                let bytes = rest.get(..usize::from(long - 0x80))?;
                let len = bytes.iter();
                let len = len.fold(0, |len, byte| len << 8 | usize::from(*byte));
                Some((head[0], 2 + bytes.len(), len))
            }
            _ => None,
        }
    }

    /// Bytes of the next value with its header.
    pub(crate) fn len(&self) -> Option<usize> {
        let (_, header, len) = self.header()?;
        Some(header + len)
    }

    /// The next value, of which the end may not be there.
    pub(crate) fn value(&mut self) -> Option<Value<'a>> {
        let (tag, header, len) = self.header()?;
        let rest = self.0.get(header..)?;
        let (bytes, behind) = rest.split_at(len.min(rest.len()));
        self.0 = behind;
        Some(Value {
            tag,
            bytes,
            is_whole: bytes.len() == len,
        })
    }

    /// The next value, which must be of this tag and whole.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let value = self.value()?;
        (value.tag == tag && value.is_whole).then_some(value.bytes)
    }

    /// The next value, a number of at most four bytes, or one of several.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let value = self.value()?;
        let is_number = matches!(value.tag, tag::INTEGER | tag::ENUMERATED);
        if !is_number || !value.is_whole || !(1..=4).contains(&value.bytes.len()) {
            return None;
        }
        let bytes = value.bytes.iter();
        Some(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}
