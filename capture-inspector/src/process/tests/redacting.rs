//! Copies through a process: they are those of this process, piece by piece.

use super::*;
use crate::{PseudonymKey, Redaction, input::Input, redaction::RedactedCopy, testing::Pcap};

fn there(pcap: &Pcap, redaction: &Redaction) -> Result<Vec<u8>, Error> {
    let mut inspector = start();
    inspector.add("a", &pcap.file())?;
    inspector.redact(redaction.clone())?;
    let mut whole = Vec::new();
    loop {
        let piece = inspector.piece()?;
        if piece.is_empty() {
            return Ok(whole);
        }
        whole.extend(piece);
    }
}

fn here(pcap: &Pcap, redaction: &Redaction) -> Vec<u8> {
    let inputs = vec![Input::file("a", pcap.file())];
    let mut copy = RedactedCopy::new(inputs, redaction.clone()).expect("it begins");
    let pieces = std::iter::from_fn(|| Some(copy.next().expect("packets")));
    pieces
        .take_while(|piece| !piece.is_empty())
        .flatten()
        .collect()
}

#[test]
fn a_copy_comes_whole() {
    let pcap = Pcap::unanswered(5000);
    for redaction in [
        Redaction::Payload,
        Redaction::Addresses(PseudonymKey([7; 32])),
    ] {
        let got = there(&pcap, &redaction).expect("a copy");
        assert!(got.len() > 300_000, "{} bytes in several pieces", got.len());
        assert_eq!(got, here(&pcap, &redaction));
    }
}

#[test]
fn what_is_no_capture_has_no_copy() {
    let none = Pcap(b"no capture at all".to_vec());
    let error = there(&none, &Redaction::Payload).expect_err("no packets");
    assert!(matches!(error, Error::Unreadable(_)), "{error}");
}

#[test]
fn a_key_does_not_show() {
    let redaction = Redaction::Addresses(PseudonymKey([211; 32]));
    assert!(!format!("{redaction:?}").contains("211"));
}
