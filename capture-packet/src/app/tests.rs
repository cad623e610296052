use proptest::prelude::*;

use super::*;
use crate::{
    address::{Address, Mac},
    decode::Icmp,
};

/// A query or response with one question: `www.Example.org`, type A.
fn message(flags: u16, answers: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    bytes.extend([0, 1, 0, answers.len() as u8, 0, 0, 0, 0]);
    bytes.extend(b"\x03www\x07Example\x03org\x00\x00\x01\x00\x01");
    for answer in answers {
        bytes.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10");
        bytes.extend((answer.len() as u16).to_be_bytes());
        bytes.extend(*answer);
    }
    bytes
}

#[test]
fn a_response_is_read() {
    let bytes = message(0x8583, &[&[192, 0, 2, 1], &[192, 0, 2, 2]]);
    let parsed = dns::Message::new(&bytes).expect("a message");
    assert_eq!(
        (parsed.id(), parsed.is_response(), parsed.code()),
        (0x1234, true, 3)
    );
    let question = parsed.question().expect("a question");
    assert_eq!(
        (question.name.to_string().as_str(), question.kind),
        ("www.example.org", 1)
    );
    let data: Vec<_> = parsed
        .records()
        .map(|record| record.data.to_vec())
        .collect();
    assert_eq!(data, [[192, 0, 2, 1], [192, 0, 2, 2]]);
    let first = parsed.records().next().expect("a record");
    assert_eq!(
        parsed.name(first.name_at).map(|name| name.hash()),
        Some(question.name.hash())
    );
    // The order of the answer does not matter, its content does.
    let other = |answers: &[&[u8]]| {
        let bytes = message(0x8180, answers);
        dns::Message::new(&bytes).and_then(|message| message.answer_hash())
    };
    assert_eq!(
        other(&[&[192, 0, 2, 2], &[192, 0, 2, 1]]),
        parsed.answer_hash()
    );
    assert_ne!(
        other(&[&[192, 0, 2, 2], &[192, 0, 2, 3]]),
        parsed.answer_hash()
    );
    assert_eq!(other(&[]), None);
    let stream = [&[0, bytes.len() as u8], &bytes[..]].concat();
    assert_eq!(
        dns::Message::of_stream(&stream).map(|message| message.id()),
        Some(0x1234)
    );
}

#[test]
fn names_that_point_in_circles_end() {
    for name in [
        &b"\xc0\x0c"[..],
        b"\x01a\xc0\x0c",
        b"\xc0\xff",
        b"\x3f",
        b"\x40a",
        b"\x01a",
    ] {
        let bytes = [&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], name].concat();
        let message = dns::Message::new(&bytes).expect("a header");
        assert!(message.question().is_none(), "{name:?}");
        assert_eq!(message.records().count(), 0);
    }
    // As long as a name may be, and a byte longer.
    for (last, is_name) in [(61, true), (62, false)] {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for len in [63, 63, 63, last] {
            bytes.push(len);
            bytes.extend(vec![b'a'; usize::from(len)]);
        }
        bytes.extend([0, 0, 1, 0, 1]);
        let message = dns::Message::new(&bytes).expect("a header");
        assert_eq!(message.question().is_some(), is_name);
    }
}

fn name(text: &str) -> dns::Name {
    let mut bytes = Vec::new();
    for label in text.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    dns::Name::read(&bytes, 0).expect("a name").0
}

#[test]
fn domains_are_split_from_hosts() {
    for (text, domain) in [
        ("a.b.example.org", "example.org"),
        ("example.org", "example.org"),
        ("org", "org"),
        ("www.example.co.uk", "example.co.uk"),
        ("www.example.de", "example.de"),
    ] {
        let name = name(text);
        let (found, front) = name.split_domain();
        assert_eq!(found.to_string(), domain);
        assert_eq!(front.len(), text.len() - domain.len());
    }
}

#[test]
fn netbios_names_are_read() {
    let encoded: String = b"WPAD           \0"
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15].map(|nibble| char::from(b'A' + nibble)))
        .collect();
    let (found, suffix) = name(&encoded).netbios().expect("a NetBIOS name");
    assert_eq!((found.trim_ascii_end(), suffix), (&b"wpad"[..], 0));
    assert_eq!(name("www.example.org").netbios(), None);
}

#[test]
fn dhcp_is_read() {
    let mut bytes = vec![0; 240];
    bytes[..8].copy_from_slice(&[2, 1, 6, 0, 1, 2, 3, 4]);
    bytes[16..20].copy_from_slice(&[10, 0, 0, 9]);
    bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    bytes.extend([
        53, 1, 2, 0, 54, 4, 10, 0, 0, 1, 3, 8, 10, 0, 0, 254, 10, 0, 0, 253, 255, 6, 1,
    ]);
    let message = dhcp::Message::new(&bytes).expect("a message");
    assert_eq!(
        (message.kind, message.client),
        (dhcp::kind::OFFER, Mac([2, 0, 0, 0, 0, 9]))
    );
    assert_eq!(message.server, Some(Address::v4([10, 0, 0, 1])));
    assert_eq!(message.router, Some(Address::v4([10, 0, 0, 254])));
    assert_eq!(
        (message.name_server, message.given),
        (None, Address::v4([10, 0, 0, 9]))
    );
}

#[test]
fn dhcpv6_is_read_through_relays() {
    let solicit = [&[1, 0, 0, 7, 0, 1, 0, 4], &[1, 2, 3, 4][..]].concat();
    let direct = dhcpv6::Message::new(&solicit).expect("a message");
    assert_eq!((direct.kind, direct.transaction), (1, 7));
    assert!(direct.client.is_some() && direct.server.is_none());
    let len = solicit.len() as u8;
    let relayed = [&[12; 34], &[0, 9, 0, len][..], &solicit].concat();
    assert_eq!(dhcpv6::Message::new(&relayed), Some(direct));
}

#[test]
fn router_advertisements_are_read() {
    let icmp = Icmp {
        is_v6: true,
        kind: 134,
        code: 0,
        rest: 0x4080_0708,
    };
    let mut payload = vec![0; 8];
    payload.extend([1, 1, 2, 0, 0, 0, 0, 1]);
    payload.extend([3, 4, 64, 0xc0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0]);
    payload.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let found = ndp::RouterAdvertisement::new(&icmp, &payload).expect("an advertisement");
    assert_eq!((found.lifetime, found.is_managed), (1800, true));
    assert_eq!(found.mac, Some(Mac([2, 0, 0, 0, 0, 1])));
    let prefix = found.prefixes[0].map(|(prefix, len)| (prefix.to_string(), len));
    assert_eq!(prefix, Some(("2001:db8::".to_owned(), 64)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_payloads_are_no_danger(mut bytes in prop::collection::vec(any::<u8>(), 0..400), few in any::<bool>()) {
        if few && bytes.len() > 12 {
            bytes[4..12].copy_from_slice(&[0, 1, 0, 3, 0, 2, 0, 1]);
        }
        for message in [dns::Message::new(&bytes), dns::Message::of_stream(&bytes)].into_iter().flatten() {
            if let Some(question) = message.question() {
                let (domain, front) = question.name.split_domain();
                prop_assert!(question.name.to_string().ends_with(&domain.to_string()) || domain.to_string() == ".");
                prop_assert!(front.len() < 255);
                let _ = question.name.netbios();
            }
            let _ = message.answer_hash();
            for record in message.records() {
                let _ = message.name(record.name_at);
            }
        }
        let _ = dhcpv6::Message::new(&bytes);
        let icmp = Icmp { is_v6: true, kind: 134, code: 0, rest: 0 };
        let _ = ndp::RouterAdvertisement::new(&icmp, &bytes);
        if bytes.len() > 240 {
            bytes[..3].copy_from_slice(&[1, 1, 6]);
            bytes[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
            let _ = dhcp::Message::new(&bytes);
        }
    }

    /// Examples with some bytes changed, of every protocol into every parser.
    #[test]
    fn changed_messages_are_no_danger(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), which in any::<prop::sample::Index>(), len in any::<prop::sample::Index>()) {
        let mut bytes = which.get(&EXAMPLES).to_vec();
        for (at, byte) in changes {
            let place = at.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(len.index(bytes.len() + 1));
        everything(&bytes);
    }
}

/// A message of each protocol.
const EXAMPLES: [&[u8]; 14] = [
    b"GET /?a=b HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\n",
    b"HTTP/1.1 401 Unauthorized\r\nServer: b\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\0\0\0\x44\x04\x14aaaaaaaaaaaaaaaa\0\0\0\x03a,b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\0\0\0\x23\xffSMB\x72\0\0\0\0\x98aaaaaaaaaaaaaaaaaaaaaa\x01\x05\0",
    b"\0\0\0\x48\xfeSMB\x40\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x41\0\x01\0\x11\x03\0\0",
    b"\x17\0\x03\x2a\0\0\0\0aaaaaaaa",
    b"\x30\x26\x02\x01\x01\x04\x06secret\xa0\x19\x02\x01\x01",
    b"\x30\x14\x02\x01\x01\x60\x0f\x02\x01\x03\x04\x04cn=a\x80\x04pass",
    b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0",
    b"\x16\0\0\x02\xfemysql_clear_password\0",
    b"E\0\0\0\x1aSFATAL\0C28P01\0Mno\0\0",
    b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$6\r\nsecret\r\n",
    b"\xff\xfb\x01a1 AUTHENTICATE PLAIN \xff\xfa\x18\xff\xf0AGEAYg==",
];

fn everything(bytes: &[u8]) {
    let headers = [
        http::Request::new(bytes).map(|request| request.headers),
        http::Response::new(bytes).map(|response| response.headers),
    ];
    for headers in headers.into_iter().flatten() {
        headers.has_basic();
        headers.get("host");
    }
    if let Some(offer) = ssh::KexInit::new(bytes) {
        for list in 0..10 {
            let _ = offer.chosen(&offer, list);
        }
    }
    if let Some(banner) = ssh::Banner::new(bytes) {
        banner.is_version_1();
    }
    let _ = (smb::Message::new(bytes), ntp::Packet::new(bytes));
    let _ = (snmp::Message::new(bytes), ldap::Message::new(bytes));
    let _ = (database::mysql(bytes), database::is_mysql_greeting(bytes));
    let _ = (
        database::postgres(bytes),
        database::is_postgres_start(bytes),
    );
    let _ = (
        database::redis_client(bytes),
        database::is_redis_command(bytes),
    );
    let mut room = [0; 64];
    let text = login::telnet_data(bytes, &mut room);
    use login::Protocol::{Ftp, Imap, Pop3, Smtp, Telnet};
    for protocol in [Ftp, Smtp, Pop3, Imap, Telnet] {
        let mut session = login::Session::new(protocol);
        for line in text.split(|byte| *byte == b' ') {
            session.client(line);
            session.server(line);
        }
    }
}
