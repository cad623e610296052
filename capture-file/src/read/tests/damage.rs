//! Damaged and hostile files: each fault by name and place.

use super::{
    build::{Builder, End, everything},
    compression::gzip,
    *,
};

/// A pcapng file of one interface and one packet, and what `damage` adds.
fn pcapng(damage: impl FnOnce(&mut Builder)) -> (Vec<u8>, u64) {
    let mut b = Builder::new(End::Little);
    b.section().interface(0, |_| {});
    b.packet(0, 1, b"first", |_| {});
    let at = b.out.len() as u64;
    damage(&mut b);
    // What comes behind the damage is not read.
    b.packet(0, 2, b"second", |_| {});
    (b.out, at)
}

macro_rules! assert_fault {
    ($damage:expr, $fault:pat) => {{
        let (file, at) = pcapng($damage);
        let (kept, error) = read_until_fault(&file[..]);
        let error = error.expect("a fault");
        assert!(matches!(error.cause, $fault), "{error:?}");
        assert_eq!(
            (error.offset, error.packet, kept.len()),
            (at, 1, 3),
            "{error}"
        );
    }};
}

fn raw_packet(b: &mut Builder, interface: u32, len: u32, data: &[u8]) {
    b.block(6, |b| {
        b.u32(interface).time(1).u32(len).u32(len).padded(data);
    });
}

#[test]
fn faults_of_pcapng_by_name_and_place() {
    assert_fault!(
        |b| raw_packet(b, 1, 4, b"data"),
        ErrorCause::UnknownInterface {
            interface: 1,
            described: 1
        }
    );
    assert_fault!(
        |b| raw_packet(b, 0, 5, b"data"),
        ErrorCause::Overrun { len: 5, room: 4 }
    );
    assert_fault!(
        |b| raw_packet(b, 0, 262_145, b"data"),
        ErrorCause::PacketTooLong { len: 262_145, .. }
    );
    assert_fault!(
        |b| raw_packet(b, 0, u32::MAX, b"data"),
        ErrorCause::PacketTooLong { .. }
    );
    assert_fault!(
        |b| {
            b.u32(6).u32(28).bytes(&[0; 20]);
        },
        ErrorCause::BlockLength { kind: 6, len: 28 }
    );
    assert_fault!(
        |b| {
            b.u32(6).u32(33).bytes(&[0; 25]);
        },
        ErrorCause::BlockLength { len: 33, .. }
    );
    assert_fault!(
        |b| {
            b.u32(9).u32(0).bytes(&[0; 8]);
        },
        ErrorCause::BlockLength { kind: 9, len: 0 }
    );
    assert_fault!(
        |b| {
            b.u32(6).u32(1 << 31).bytes(&[0; 32]);
        },
        ErrorCause::BlockTooLong { kind: 6, .. }
    );
    assert_fault!(
        |b| {
            b.u32(9).u32(16).u32(0).u32(20);
        },
        ErrorCause::TrailingLength {
            kind: 9,
            len: 16,
            trailing: 20
        }
    );
    assert_fault!(
        |b| {
            b.packet(0, 1, b"data", |_| {});
            *b.out.last_mut().expect("a block") = 1;
        },
        ErrorCause::TrailingLength { kind: 6, .. }
    );
    assert_fault!(
        |b| {
            b.packet(0, 1, b"data", |b| {
                b.u16(1).u16(9).u32(0);
            });
        },
        ErrorCause::OptionLength {
            kind: 6,
            code: 1,
            len: 9
        }
    );
    assert_fault!(
        |b| {
            b.packet(0, 1, b"data", |b| {
                b.option(2, &[1]);
            });
        },
        ErrorCause::OptionLength {
            kind: 6,
            code: 2,
            len: 1
        }
    );
    assert_fault!(
        |b| {
            b.block(0x0a0d_0d0a, |b| {
                b.u32(7).u32(1).u64(0);
            });
        },
        ErrorCause::ByteOrder {
            magic: [7, 0, 0, 0]
        }
    );
    assert_fault!(
        |b| {
            b.block(0x0a0d_0d0a, |b| {
                b.u32(0x1a2b_3c4d).u16(2).u16(0).u64(0);
            });
        },
        ErrorCause::Version { major: 2, minor: 0 }
    );
    assert_fault!(
        |b| {
            b.block(5, |b| {
                b.u32(3).time(1);
            });
        },
        ErrorCause::UnknownInterface { interface: 3, .. }
    );
    // The length of a block that is passed over leads out of the file.
    assert_fault!(
        |b| {
            b.u32(9).u32(u32::MAX - 3).u32(0);
        },
        ErrorCause::Cut { .. }
    );
}

/// Interfaces of the section before are no longer described.
#[test]
fn a_section_begins_anew() {
    let mut b = Builder::new(End::Big);
    b.section().interface(0, |_| {}).section();
    raw_packet(&mut b, 0, 4, b"data");
    let error = fault(&b.out[..]);
    let wanted = ErrorCause::UnknownInterface {
        interface: 0,
        described: 0,
    };
    assert_eq!(error.cause.to_string(), wanted.to_string());
    assert_eq!((error.offset, error.packet), (28 + 20 + 28, 0));
}

#[test]
fn faults_of_pcap_by_name_and_place() {
    let file = |damage: fn(&mut Builder)| {
        let mut b = Builder::new(End::Big);
        b.pcap(0xa1b2_c3d4).record(1, 1, b"first");
        damage(&mut b);
        let error = fault(&b.out[..]);
        assert_eq!((error.offset, error.packet), (24 + 16 + 5, 1), "{error}");
        error.cause
    };
    let too_long = file(|b| {
        b.u64(0).u32(262_145).u32(0).bytes(&[0; 100]);
    });
    assert!(matches!(
        too_long,
        ErrorCause::PacketTooLong { len: 262_145, .. }
    ));
    let zeros = file(|b| {
        b.bytes(&[0; 512]);
    });
    assert!(matches!(zeros, ErrorCause::Zeros));
    let cut = file(|b| {
        b.u64(1).u32(100).u32(100).bytes(&[0; 99]);
    });
    assert!(matches!(cut, ErrorCause::Cut { there: 115 }));
    let cut = file(|b| {
        b.bytes(&[1; 15]);
    });
    assert!(matches!(cut, ErrorCause::Cut { there: 15 }));
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    assert!(matches!(fault(&b""[..]).cause, ErrorCause::Empty));
    assert!(matches!(
        fault(&b"\xd4"[..]).cause,
        ErrorCause::Cut { there: 1 }
    ));
    assert!(matches!(
        fault(&b"hello world"[..]).cause,
        ErrorCause::NotACapture { magic: [b'h', ..] }
    ));
    let error = fault(&b"snoop\0\0\0\0\0\0\x02"[..]);
    assert_eq!(
        error.to_string(),
        "the format snoop is not supported (at byte 0, after packet 0)"
    );
    let mut b = Builder::new(End::Little);
    b.u32(0xa1b2_c3d4).u16(2).u16(3).u64(0).u64(0);
    assert!(matches!(
        fault(&b.out[..]).cause,
        ErrorCause::Version { major: 2, minor: 3 }
    ));
}

#[test]
fn interfaces_are_bounded() {
    let mut b = Builder::new(End::Little);
    for _ in 0..2 {
        b.section();
        for _ in 0..40_000 {
            b.interface(0, |_| {});
        }
    }
    let (kept, error) = read_until_fault(&b.out[..]);
    let error = error.expect("too many").cause;
    assert!(
        matches!(error, ErrorCause::TooManyInterfaces { .. }),
        "{error}"
    );
    assert_eq!(kept.len(), 65_536 + 2);

    let mut b = Builder::new(End::Little);
    b.section();
    for _ in 0..300 {
        b.interface(0, |b| {
            b.option(2, &[b'x'; 65_535]);
        });
    }
    let error = fault(&b.out[..]).cause;
    assert!(
        matches!(error, ErrorCause::TooManyInterfaces { .. }),
        "{error}"
    );
}

/// Memory grows with the data that is there, not with the length that a block claims.
#[test]
fn a_claimed_length_takes_no_memory() {
    let (mut file, at) = pcapng(|_| {});
    file.truncate(at as usize);
    let mut b = Builder::new(End::Little);
    b.u32(6).u32(16 << 20).bytes(&[0; 1000]);
    file.extend(b.out);
    let mut reader = Reader::new(&file[..]);
    while reader.next().is_ok_and(|item| item.is_some()) {}
    assert!(reader.buffer_len() <= 512 * 1024, "{}", reader.buffer_len());
}

#[test]
fn a_failing_source_is_an_error() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
    }
    let file = everything();
    let error = fault((&file[..]).chain(Failing)).cause;
    assert!(matches!(error, ErrorCause::Io(_)), "{error}");
    let error = fault((&gzip(&file)[..]).chain(Failing)).cause;
    assert!(matches!(error, ErrorCause::Io(_)), "{error}");
}
