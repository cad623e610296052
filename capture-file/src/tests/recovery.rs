//! Recovery of what a killed agent leaves: at every length, in both formats and byte orders, and with
//! content that is not what an agent wrote.

use std::{
    fs::File,
    io,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{recover, scan};

/// A finished file of three packets, and the lengths at which a record ends.
fn capture(format: Format, name: &str) -> (Vec<u8>, Vec<usize>) {
    let mut output = Output::new(&plan(format), name);
    for n in 0..3 {
        output.give(&packet(n, &vec![n as u8; 20 + n as usize]));
    }
    let path = output.path(name);
    let (_, _, _directory) = output.finish();
    let content = fs::read(path).expect("the file");
    let mut ends = Vec::new();
    let mut at = if format == Format::Pcap { 24 } else { 0 };
    if at > 0 {
        ends.push(at);
    }
    while at < content.len() {
        let word = |offset: usize| {
            let bytes = content[at + offset..].first_chunk().expect("a word");
            u32::from_ne_bytes(*bytes) as usize
        };
        at += if format == Format::Pcap {
            16 + word(8)
        } else {
            word(4)
        };
        ends.push(at);
    }
    (content, ends)
}

fn part(directory: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.path().join(format!("{name}.part"));
    fs::write(&path, content).expect("the .part is written");
    path
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_records() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (format, name) in [(Format::Pcapng, "a.pcapng"), (Format::Pcap, "a.pcap")] {
        let (content, ends) = capture(format, name);
        for cut in 0..=content.len() {
            let part = part(&directory, name, &content[..cut]);
            let recovered = recover(&part).expect("it is recovered");
            assert!(!part.exists());
            let whole = ends
                .iter()
                .copied()
                .filter(|end| *end <= cut)
                .max()
                .unwrap_or(0);
            assert_eq!(
                (recovered.size, recovered.cut),
                (whole as u64, (cut - whole) as u64)
            );
            let Some(path) = recovered.path else {
                assert_eq!(whole, 0);
                continue;
            };
            assert_eq!(fs::read(&path).expect("the file"), content[..whole]);
            assert_eq!(read(&path).0.len() as u64, recovered.packets);
            fs::remove_file(path).expect("it is removed");
        }
    }
}

#[test]
fn the_time_stays_that_of_the_last_write() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (content, _) = capture(Format::Pcapng, "a.pcapng");
    for cut in [0, 1] {
        let part = part(&directory, "a.pcapng", &content[..content.len() - cut]);
        let then = SystemTime::now() - Duration::from_secs(3600);
        let file = File::options()
            .write(true)
            .open(&part)
            .expect("it is there");
        file.set_modified(then).expect("it is ours");
        let recovered = recover(&part).expect("it is recovered");
        assert_eq!(recovered.cut > 0, cut > 0);
        let metadata = fs::metadata(recovered.path.expect("a file")).expect("it is there");
        assert_eq!(metadata.modified().expect("a time"), then, "{cut}");
    }
}

#[test]
fn the_first_free_name_is_taken() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (content, _) = capture(Format::Pcap, "a.pcap");
    for _ in 0..3 {
        recover(&part(&directory, "a.pcap", &content)).expect("it is recovered");
    }
    let expected = [
        "a_interrupted.pcap",
        "a_interrupted_2.pcap",
        "a_interrupted_3.pcap",
    ];
    assert_eq!(names(&directory), expected);
}

fn scan_bytes(content: &[u8]) -> io::Result<crate::Scan> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), content)?;
    scan(&File::open(file.path())?)
}

fn blocks(be: bool, blocks: &[(u32, &[u32])]) -> Vec<u8> {
    let mut content = Vec::new();
    for (kind, body) in blocks {
        let len = 12 + 4 * body.len() as u32;
        for word in [&[*kind, len], *body, &[len]].concat() {
            content.extend(if be {
                word.to_be_bytes()
            } else {
                word.to_le_bytes()
            });
        }
    }
    content
}

const SECTION: (u32, &[u32]) = (0x0a0d_0d0a, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
const INTERFACE: (u32, &[u32]) = (1, &[1, 0]);
/// Interface 0, no time, four bytes kept.
const PACKET: (u32, &[u32]) = (6, &[0, 0, 0, 4, 60, 0x0102_0304]);

#[test]
fn either_byte_order_and_several_sections() {
    let big = blocks(true, &[SECTION, INTERFACE, PACKET]);
    let little = blocks(false, &[SECTION, INTERFACE, PACKET, PACKET]);
    let found = scan_bytes(&[big.clone(), little.clone()].concat()).expect("a capture");
    assert_eq!(
        (found.packets, found.size),
        (3, (big.len() + little.len()) as u64)
    );

    let mut pcap = vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4];
    pcap.extend([0; 16]);
    pcap.extend([0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 60, 9, 9]);
    assert_eq!(scan_bytes(&pcap).expect("a capture").packets, 1);
}

/// Each of these ends the scan at the block before.
#[test]
fn damaged_blocks_end_the_scan() {
    let sound = blocks(false, &[SECTION, INTERFACE, PACKET]);
    let damaged: [(&str, Vec<u8>); 8] = [
        ("zeros, as after a power failure", vec![0; 100]),
        (
            "a length that is no multiple of four",
            [[6, 0, 0, 0], [33, 0, 0, 0]].concat().repeat(9),
        ),
        (
            "a length below the least",
            [[6, 0, 0, 0], [4, 0, 0, 0]].concat().repeat(9),
        ),
        (
            "a length beyond the file",
            [[6, 0, 0, 0], [0xfc, 0xff, 0xff, 0xff]].concat().repeat(9),
        ),
        (
            "an interface that is not there",
            blocks(false, &[(6, &[1, 0, 0, 4, 60, 0])]),
        ),
        (
            "a packet larger than its block",
            blocks(false, &[(6, &[0, 0, 0, 5, 60, 0])]),
        ),
        (
            "a section of no byte order",
            blocks(false, &[(0x0a0d_0d0a, &[0; 4])]),
        ),
        ("another length at the end", {
            let mut block = blocks(false, &[PACKET]);
            let last = block.len() - 4;
            block[last] += 4;
            block
        }),
    ];
    for (what, bytes) in damaged {
        let found = scan_bytes(&[&sound[..], &bytes].concat()).expect("a capture");
        assert_eq!(
            (found.size, found.packets),
            (sound.len() as u64, 1),
            "{what}"
        );
    }
    let (pcap, _) = capture(Format::Pcap, "a.pcap");
    let found = scan_bytes(&[&pcap[..], &[0; 4096]].concat()).expect("a capture");
    assert_eq!((found.size, found.packets), (pcap.len() as u64, 3));
}

/// A block larger than the window, and one whose length is read across its edge.
#[test]
fn large_blocks_are_stepped_over() {
    let large = vec![0; 100_000];
    let mut list: Vec<(u32, &[u32])> = vec![SECTION, INTERFACE];
    for _ in 0..5 {
        list.push((0x7fff, &large));
        list.push(PACKET);
    }
    let content = blocks(true, &list);
    let found = scan_bytes(&content).expect("a capture");
    assert_eq!((found.size, found.packets), (content.len() as u64, 5));
}

#[test]
fn what_is_no_capture_is_left_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let broken_section = blocks(false, &[(0x0a0d_0d0a, &[0; 4])]);
    for content in [&b"important notes"[..], &[0; 4096], &broken_section] {
        let path = part(&directory, "a.pcapng", content);
        let error = recover(&path).expect_err("it is refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&path).expect("the file"), content);
        let error = open(&plan(Format::Pcapng), &directory.path().join("a.pcapng"));
        assert!(error.is_err_and(|error| error.to_string().contains("not a capture file")));
    }
    let link = directory.path().join("b.part");
    std::os::unix::fs::symlink(directory.path().join("a.pcapng.part"), &link).expect("a link");
    recover(&link).expect_err("links are not followed");
    recover(directory.path()).expect_err("a directory is not recovered");
}

#[test]
fn noise_is_scanned_without_panic() {
    let (content, _) = capture(Format::Pcapng, "a.pcapng");
    for seed in 0..2000_usize {
        let mut noisy = content.clone();
        for step in 0..4 {
            let at = seed.wrapping_mul(2_654_435_761).wrapping_add(step * 97) % noisy.len();
            noisy[at] ^= (seed >> step) as u8 | 1;
        }
        if let Ok(found) = scan_bytes(&noisy) {
            assert!(found.size <= noisy.len() as u64);
        }
    }
}
