use std::process::Command;

use proptest::prelude::*;

use super::{suites::WEAK, *};
use crate::testing::{
    START, tcp_frame,
    tls::{Client, certificates as chain, extension as extension_of, record, server_hello},
    tshark,
};

/// What a browser sent, in the example of the document that defines the fingerprint.
fn browser() -> Client {
    let mut client = Client::new(Some("www.example.org"));
    client.ciphers = vec![
        0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
        0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
    ];
    for kind in [
        0x1a1a, 0x001b, 0x0033, 0x4469, 0x0017, 0x002d, 0x0005, 0x0023, 0x0012, 0xff01, 0x000b,
        0x000a, 0x0015,
    ] {
        client.extensions.push(extension_of(kind, &[]));
    }
    client
        .alpn(&[b"h2", b"http/1.1"])
        .versions(&[0x2a2a, 0x0304, 0x0303])
        .signatures(&[
            0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
        ])
}

fn ja4(client: &Client, transport: Transport) -> String {
    let message = client.message();
    let hello = ClientHello::new(&message[4..]).expect("a ClientHello");
    Ja4::new(&hello, transport).to_string()
}

#[test]
fn the_published_fingerprints() {
    assert_eq!(
        ja4(&browser(), Transport::Tcp),
        "t13d1516h2_8daaf6152771_e5627efa2ab1"
    );
    let quic = ja4(&browser(), Transport::Quic);
    assert_eq!(quic, "q13d1516h2_8daaf6152771_e5627efa2ab1");
    // Without signatures, as the document has it too.
    let mut client = browser();
    client
        .extensions
        .retain(|extension| extension[..2] != [0, 13]);
    client.extensions.push(extension_of(13, &[0, 0]));
    assert!(ja4(&client, Transport::Tcp).ends_with("_6d807ffa2a79"));
    let none = Client {
        version: 0x0301,
        ciphers: Vec::new(),
        extensions: Vec::new(),
    };
    assert_eq!(
        ja4(&none, Transport::Tcp),
        "t10i000000_000000000000_000000000000"
    );
}

#[test]
fn protocols_that_are_no_text() {
    for (name, characters) in [
        (&b"\xab"[..], "ab"),
        (b"\x20", "20"),
        (b"\xab\xcd", "ad"),
        (b"\x20\x61", "21"),
        (b"\x30\xab", "3b"),
        (b"\x61\x20", "60"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"),
        (b"h", "hh"),
        (b"", "00"),
    ] {
        let client = Client::new(None).alpn(&[name]);
        assert_eq!(ja4(&client, Transport::Tcp)[8..10], *characters, "{name:?}");
    }
}

/// What tshark says of one frame.
fn fields(frame: &[u8], names: &[&str]) -> Option<String> {
    let mut args = vec!["-T", "fields"];
    args.extend(names.iter().flat_map(|name| ["-e", name]));
    let rows = tshark(1, &[(START, frame.to_vec())], &args)?;
    rows.first().cloned()
}

#[test]
fn a_client_hello_as_tshark_reads_it() {
    let client = browser();
    let bytes = client.record();
    let found = Record::new(&bytes).expect("a record");
    let (kind, len, body) = message(&bytes[Record::HEADER..]).expect("a message");
    assert_eq!(
        (found.content, kind),
        (content::HANDSHAKE, handshake::CLIENT_HELLO)
    );
    assert_eq!(found.len, len + 4);
    let hello = ClientHello::new(body).expect("a ClientHello");
    let joined = |numbers: &mut dyn Iterator<Item = u16>| {
        numbers
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let alpn: Vec<_> = hello.alpn().map(text).collect();
    let ours = [
        hello.server_name().map(text).expect("a name"),
        hello
            .ciphers()
            .map(|suite| format!("0x{suite:04x}"))
            .collect::<Vec<_>>()
            .join(","),
        joined(&mut hello.extensions.iter().map(|(kind, _)| kind)),
        alpn.join(","),
        hello
            .signature_algorithms()
            .map(|algorithm| format!("0x{algorithm:04x}"))
            .collect::<Vec<_>>()
            .join(","),
    ];
    let frame = tcp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 443), 0x018, 1, &bytes);
    let names = [
        "tls.handshake.extensions_server_name",
        "tls.handshake.ciphersuite",
        "tls.handshake.extension.type",
        "tls.handshake.extensions_alpn_str",
        "tls.handshake.sig_hash_alg",
    ];
    if let Some(theirs) = fields(&frame, &names) {
        assert_eq!(ours.join("\t"), theirs);
    }
}

#[test]
fn a_server_hello_as_tshark_reads_it() {
    for (version, cipher) in [(0x0303, 0xc02f), (0x0301, 0x000a), (0x0304, 0x1301)] {
        let bytes = server_hello(version, cipher);
        let hello = ServerHello::new(&bytes[4..]).expect("a ServerHello");
        assert_eq!((hello.version(), hello.cipher), (version, cipher));
        assert!(!hello.is_retry());
        let frame = tcp_frame(
            ("10.0.0.2", 443),
            ("10.0.0.1", 40_000),
            0x018,
            1,
            &record(22, &bytes),
        );
        if let Some(theirs) = fields(&frame, &["tls.handshake.ciphersuite"]) {
            assert_eq!(format!("0x{cipher:04x}"), theirs);
        }
    }
}

#[test]
fn certificates_are_taken_apart() {
    let message = chain(&[vec![1; 300], vec![2; 5]]);
    let found: Vec<_> = certificates(&message[4..]).collect();
    assert_eq!(found, [&[1; 300][..], &[2; 5]]);
    assert_eq!(certificates(&message[4..message.len() - 1]).count(), 1);
}

/// Names and numbers of weak suites and of alerts are those that tshark has.
#[test]
fn names_are_those_of_tshark() {
    assert!(WEAK.is_sorted());
    for (suite, _) in WEAK {
        assert!(weakness(*suite).is_some(), "{suite:#x}");
    }
    assert_eq!(weakness(0xc02f), None);
    assert_eq!(weakness(0x000a), Some(Weakness::TripleDes));
    assert_eq!(weakness(0x0009), Some(Weakness::Des));
    assert_eq!(weakness(0x0003), Some(Weakness::Export));
    assert_eq!(weakness(0x0005), Some(Weakness::Rc4));
    assert_eq!(weakness(0x0002), Some(Weakness::Null));
    assert_eq!(weakness(0x0034), Some(Weakness::Anonymous));
    let Ok(values) = Command::new("tshark").args(["-G", "values"]).output() else {
        eprintln!("skipped: tshark is not installed");
        return;
    };
    let values = String::from_utf8_lossy(&values.stdout).into_owned();
    let of = |field: &str| {
        let start = format!("V\t{field}\t");
        let lines = values
            .lines()
            .filter_map(move |line| line.strip_prefix(&start));
        let pairs = lines.filter_map(|line| line.split_once('\t'));
        let pairs = pairs.map(|(number, name)| (number.to_owned(), name.to_owned()));
        pairs.collect::<Vec<_>>()
    };
    let theirs = of("tls.handshake.ciphersuite");
    for (suite, name) in WEAK {
        assert!(
            theirs.contains(&(suite.to_string(), (*name).to_owned())),
            "{name}"
        );
    }
    let theirs = of("tls.alert_message.desc");
    for description in 0..=255 {
        let name = theirs
            .iter()
            .find(|(number, _)| *number == u8::to_string(&description));
        let Some(ours) = alert_name(description) else {
            continue;
        };
        let (_, name) = name.unwrap_or_else(|| panic!("{ours}"));
        assert_eq!(ours, name.to_lowercase().replace(' ', "_"));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_no_danger(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
        let _ = Record::new(&bytes);
        let whole = browser().message();
        let cut = &whole[4..whole.len().min(4 + cut)];
        for body in [&bytes[..], cut] {
            if let Some(hello) = ClientHello::new(body) {
                let _ = (hello.server_name(), hello.alpn().count(), hello.versions().count());
                let _ = Ja4::new(&hello, Transport::Tcp);
            }
            if let Some(hello) = ServerHello::new(body) {
                let _ = hello.version();
            }
            let _ = certificates(body).count();
        }
    }
}
