//! Files to read, byte by byte as the formats' drafts have them, in either byte order.

/// Byte order of a file that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Little,
    Big,
}

/// A file that is built.
#[derive(Clone, Debug)]
pub(super) struct Builder {
    pub(super) end: End,
    pub(super) out: Vec<u8>,
}

impl Builder {
    pub(super) fn new(end: End) -> Self {
        Self {
            end,
            out: Vec::new(),
        }
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.out.extend(match self.end {
            End::Little => value.to_le_bytes(),
            End::Big => value.to_be_bytes(),
        });
        self
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.out.extend(match self.end {
            End::Little => value.to_le_bytes(),
            End::Big => value.to_be_bytes(),
        });
        self
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.out.extend(match self.end {
            End::Little => value.to_le_bytes(),
            End::Big => value.to_be_bytes(),
        });
        self
    }

    /// A timestamp: its upper half, then its lower.
    pub(super) fn time(&mut self, ticks: u64) -> &mut Self {
        self.u32((ticks >> 32) as u32).u32(ticks as u32)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Bytes, and zeros up to a multiple of four.
    pub(super) fn padded(&mut self, bytes: &[u8]) -> &mut Self {
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.bytes(bytes).bytes(&[0; 3][..padding])
    }

    pub(super) fn option(&mut self, code: u16, value: &[u8]) -> &mut Self {
        self.u16(code).u16(value.len() as u16).padded(value)
    }

    pub(super) fn option_u32(&mut self, code: u16, value: u32) -> &mut Self {
        self.u16(code).u16(4).u32(value)
    }

    pub(super) fn option_u64(&mut self, code: u16, value: u64) -> &mut Self {
        self.u16(code).u16(8).u64(value)
    }

    pub(super) fn end_of_options(&mut self) -> &mut Self {
        self.u32(0)
    }

    /// A block with the body that `body` writes.
    pub(super) fn block(&mut self, kind: u32, body: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new(self.end);
        body(&mut inner);
        let len = inner.out.len() as u32 + 12;
        self.u32(kind).u32(len).bytes(&inner.out).u32(len)
    }

    pub(super) fn section(&mut self) -> &mut Self {
        self.block(0x0a0d_0d0a, |b| {
            b.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
        })
    }

    /// An Ethernet interface with options.
    pub(super) fn interface(
        &mut self,
        snap_len: u32,
        options: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.block(1, |b| {
            b.u16(1).u16(0).u32(snap_len);
            options(b);
        })
    }

    /// An enhanced packet with options.
    pub(super) fn packet(
        &mut self,
        interface: u32,
        ticks: u64,
        data: &[u8],
        options: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.block(6, |b| {
            b.u32(interface).time(ticks);
            b.u32(data.len() as u32).u32(data.len() as u32).padded(data);
            options(b);
        })
    }

    /// A pcap header.
    pub(super) fn pcap(&mut self, magic: u32) -> &mut Self {
        self.u32(magic).u16(2).u16(4).u64(0).u32(262_144).u32(1)
    }

    /// A pcap record.
    pub(super) fn record(&mut self, seconds: u32, fraction: u32, data: &[u8]) -> &mut Self {
        self.u32(seconds).u32(fraction);
        self.u32(data.len() as u32)
            .u32(data.len() as u32)
            .bytes(data)
    }
}

/// A file with something of everything, in one byte order and then in the other.
pub(super) fn everything() -> Vec<u8> {
    let mut out = Vec::new();
    for end in [End::Little, End::Big] {
        let mut b = Builder::new(end);
        b.block(0x0a0d_0d0a, |b| {
            b.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
            b.option(1, b"first").option(1, b"second");
            b.option(2, b"a machine")
                .option(3, b"an OS")
                .option(4, b"a tool");
            b.end_of_options();
        });
        b.interface(96, |b| {
            b.option(2, b"eth0").option(3, b"uplink").option(9, &[9]);
            b.option(11, b"\0tcp port 80")
                .option(1, b"note")
                .end_of_options();
        });
        b.interface(0, |b| {
            b.option(2, "schnittstelle-\u{fc}".as_bytes());
            b.option(9, &[0x80 | 20]).option_u64(14, 1_700_000_000);
            b.option(11, b"\x01\0\0\0\0\0\0\0\0");
        });
        b.block(10, |b| {
            b.u32(0x544c_534b).u32(6).padded(b"secret");
        });
        b.block(4, |b| {
            b.u16(0).u16(0);
        });
        b.packet(0, 1_700_000_000_123_456_789, &[1; 61], |b| {
            b.option_u32(2, 1).option_u64(4, 7).option(1, b"look");
            b.option(1, b"here\0")
                .option(0x8001, b"own")
                .end_of_options();
        });
        b.block(0x0bad, |b| {
            b.u32(32_473).padded(b"custom");
        });
        b.packet(1, 3 << 19, &[2; 60], |b| {
            b.option_u32(2, 2);
        });
        b.block(2, |b| {
            b.u16(0)
                .u16(3)
                .time(1_700_000_001_000_000_000)
                .u32(5)
                .u32(1500);
            b.padded(&[3; 5]).option_u32(2, 2).end_of_options();
        });
        b.block(3, |b| {
            b.u32(1000).padded(&[4; 96]);
        });
        b.packet(0, 1_700_000_002_000_000_000, &[], |_| {});
        b.block(5, |b| {
            b.u32(0).time(1_700_000_003_000_000_000);
            b.u16(2).u16(8).time(1_700_000_000_000_000_000);
            b.u16(3).u16(8).time(1_700_000_003_000_000_000);
            b.option_u64(4, 100)
                .option_u64(5, 1)
                .option_u64(6, 90)
                .option_u64(7, 2);
            b.option_u64(8, 88).option(1, b"sums").end_of_options();
        });
        b.block(0x777, |b| {
            b.padded(b"of a later version");
        });
        out.extend(b.out);
    }
    out
}
