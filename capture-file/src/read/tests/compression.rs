//! gzip and zstd, in one piece and in several.

use std::io::Write;

use flate2::write::GzEncoder;

use super::{build::everything, *};

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

pub(super) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).expect("memory takes it")
}

#[test]
fn compressed_files_read_as_plain_ones() {
    let file = everything();
    let wanted = read(&file[..]);
    let (front, back) = file.split_at(file.len() / 3);
    assert_eq!(read(&gzip(&file)[..]), wanted);
    assert_eq!(read(&zstd(&file)[..]), wanted);
    // Members and frames, cut anywhere, one of them empty.
    assert_eq!(
        read(&[gzip(front), gzip(&[]), gzip(back)].concat()[..]),
        wanted
    );
    assert_eq!(
        read(&[zstd(front), zstd(&[]), zstd(back)].concat()[..]),
        wanted
    );
    // A frame that is skipped.
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    assert_eq!(read(&[&skipped[..], &zstd(&file)].concat()[..]), wanted);

    let compressed = gzip(&file);
    let mut reader = Reader::new(&compressed[..]);
    assert_eq!(reader.compression(), None);
    assert!(reader.next().expect("a section").is_some());
    assert_eq!(reader.compression(), Some(Compression::Gzip));
}

/// What was read before the damage stands.
#[test]
fn damaged_compression_ends_the_file() {
    let file = everything().repeat(200);
    let all = read(&file[..]).len();
    for compress in [gzip, zstd] {
        let compressed = compress(&file);
        let (kept, error) = read_until_fault(&compressed[..compressed.len() - 10]);
        assert!(!kept.is_empty() && kept.len() <= all);
        let error = error.expect("it is cut").cause;
        assert!(matches!(error, ErrorCause::Decompression { .. }), "{error}");

        let mut flipped = compressed.clone();
        let last = flipped.len() - 2;
        flipped[last] ^= 1;
        let error = fault(&flipped[..]).cause;
        assert!(
            matches!(error, ErrorCause::Decompression { .. }),
            "a checksum: {error}"
        );
    }
    let twice = gzip(&zstd(&file));
    let error = fault(&twice[..]).cause;
    assert!(matches!(error, ErrorCause::Unsupported { .. }), "{error}");
    let error = fault(&gzip(&[])[..]).cause;
    assert!(matches!(error, ErrorCause::Empty), "{error}");
}

/// A window of a gibibyte is not given, whatever the frame says.
#[test]
fn a_frame_with_a_huge_window_is_refused() {
    // No checksum, no size; window descriptor: exponent 20, so 2^30.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 0x09, 0, 0, b'x'];
    let error = fault(&frame[..]).cause;
    assert!(matches!(error, ErrorCause::Decompression { .. }), "{error}");
}

/// A block may hold 128 KiB, and not gigabytes of repetitions, as this one of 50,000 matches of 131,074 bytes.
#[test]
fn a_block_that_expands_beyond_its_bound_is_refused() {
    const MATCHES: u32 = 50_000;
    // Literals: one byte repeated, size in 20 bits.
    let mut block = (1 | 3 << 2 | MATCHES << 4).to_le_bytes()[..3].to_vec();
    block.push(b'A');
    // Sequences: one code each of literal length, offset and match length, for all of them.
    block.push(255);
    block.extend(((MATCHES - 0x7f00) as u16).to_le_bytes());
    block.extend([0b0101_0100, 1, 0, 52]);
    block.extend(vec![0xff; 2 * MATCHES as usize]);
    block.push(1);
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    frame.extend(&(1 | 2 << 1 | (block.len() as u32) << 3).to_le_bytes()[..3]);
    frame.extend(block);
    let error = fault(&frame[..]).cause;
    assert!(matches!(error, ErrorCause::Decompression { .. }), "{error}");
}
