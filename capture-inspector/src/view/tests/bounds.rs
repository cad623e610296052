//! What is beyond a bound is cut or refused, and what is just within it is not.

use std::io::Write as _;

use base64ct::{Base64, Encoding as _};
use capture_packet::decode::Decoded;

use super::super::{observed::Observed, stream::Follower, *};
use crate::testing::{Pcapng, udp};

/// Pieces of a stream that are kept, and interfaces of an export.
const PIECES: usize = 500_000;
const INTERFACES: u32 = 500;

const ETHERNET: u16 = 1;

#[test]
fn a_stream_is_cut_behind_its_most_pieces() {
    let frame = udp();
    let headers = Decoded::new(ETHERNET, &frame, frame.len() as u32);
    let packet = |number: usize| Observed {
        number: number as u64,
        position: number as u64 - 1,
        ns: number as u64,
        direction: None,
        headers: &headers,
    };
    let mut follower = Follower::of(&packet(1)).expect("it has UDP");
    for number in 1..=PIECES {
        follower.packet(&packet(number));
    }
    assert_eq!(follower.pieces().len(), PIECES);
    assert!(!follower.is_cut() && !follower.is_over());
    // One more is left out, and no other is looked at.
    for number in PIECES + 1..PIECES + 10 {
        follower.packet(&packet(number));
        assert!(follower.is_cut() && follower.is_over());
        assert_eq!(follower.pieces().len(), PIECES);
    }
    let last = follower.pieces().last().map(|piece| piece.number);
    assert_eq!(last, Some(PIECES as u64));
}

/// The parts of an export, up to a packet.
fn export(view: &mut View, until_number: u64) -> Result<Vec<u8>, ViewFault> {
    let mut file = Vec::new();
    let mut next = Some(ExportState::default());
    while let Some(state) = next {
        let request = ViewRequest {
            file: None,
            filter: String::new(),
            question: Question::Export {
                state,
                from_number: 0,
                until_number,
            },
        };
        let part = view.answer(request)?;
        let part: ExportPart = serde_json::from_str(part.get()).expect("a part");
        file.extend(Base64::decode_vec(&part.data).expect("base 64"));
        next = part.next;
    }
    Ok(file)
}

/// Blocks of a pcapng file that describe an interface.
fn interfaces(mut file: &[u8]) -> u32 {
    let word = |at: usize, file: &[u8]| {
        let bytes = file[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes)
    };
    let mut count = 0;
    while !file.is_empty() {
        count += u32::from(word(0, file) == 1);
        file = &file[word(4, file) as usize..];
    }
    count
}

#[test]
fn an_export_has_a_bounded_number_of_interfaces() {
    let mut pcapng = Pcapng::new("a task", "eth0");
    for number in 1..=INTERFACES {
        pcapng = pcapng.interface(&format!("eth{number}"));
    }
    for number in 0..=INTERFACES {
        pcapng = pcapng.packet_of(number, u64::from(number), &udp());
    }
    let mut copy = tempfile::tempfile().expect("a file");
    copy.write_all(&pcapng.bytes()).expect("room");
    let mut view = View::default();
    view.add(0, copy, false).expect("a file");
    let within = export(&mut view, u64::from(INTERFACES)).expect("a file");
    assert_eq!(interfaces(&within), INTERFACES);
    let why = "the packets are of more than 500 interfaces".to_owned();
    assert_eq!(
        export(&mut view, u64::from(INTERFACES) + 1),
        Err(ViewFault::NotExported(why))
    );
}
