//! Decoders: headers, application protocols, and the tree of fields.

use std::hint::black_box;

use capture_packet::{
    app::{
        certificate::Certificate, database, dhcp, dhcpv6, dns, http, ldap, ndp, ntp, quic, smb,
        snmp, ssh, tls,
    },
    decode::Decoded,
    fields::{Field, fields},
    frame::Frame,
    line::line,
    redact::{KEY_LEN, Pseudonyms, Redactor},
};

/// LINKTYPE_ numbers with decoders, and one without.
const LINK_TYPES: [u16; 11] = [1, 0, 9, 12, 101, 108, 113, 228, 229, 276, 147];

/// The first byte chooses the link layer, the second how much longer the frame was on the wire.
pub(crate) fn decode(data: &[u8]) {
    let [link, cut, frame @ ..] = data else {
        return;
    };
    let link_type = LINK_TYPES[usize::from(*link) % LINK_TYPES.len()];
    let wire_len = frame.len() as u32 + u32::from(*cut);
    let decoded = Decoded::new(link_type, frame, wire_len);
    check(&decoded, frame);
    if let Some(quoted) = decoded.quoted() {
        check(&quoted, frame);
    }
    let layers = fields(link_type, frame);
    for layer in &layers {
        check_field(layer, 0, frame.len());
    }
    let mut out = Vec::new();
    for mut redactor in [
        Redactor::stripping(),
        Redactor::anonymising(Pseudonyms::new(&[7; KEY_LEN])),
    ] {
        redactor.redact(link_type, frame, wire_len, &mut out);
        assert!(out.len() <= frame.len());
        // What is taken out a second time was not there any more.
        let once = out.len();
        let left = std::mem::take(&mut out);
        redactor.redact(link_type, &left, wire_len, &mut out);
        assert!(out.len() <= once);
    }
    let shown = line(&layers, &alone(link_type, frame, wire_len), None);
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}

/// A frame as the only one of its file.
pub(crate) fn alone(link_type: u16, data: &[u8], wire_len: u32) -> Frame<'_> {
    Frame {
        number: 1,
        time: None,
        link_type,
        wire_len,
        interface: 0,
        interface_name: None,
        data,
    }
}

/// The payload lies in the frame, and is no longer than the headers say.
fn check(decoded: &Decoded<'_>, frame: &[u8]) {
    let bounds = frame.as_ptr_range();
    let payload = decoded.payload.as_ptr_range();
    let is_inside = bounds.start <= payload.start && payload.end <= bounds.end;
    assert!(decoded.payload.is_empty() || is_inside);
    applications(decoded.payload);
    if let Some(icmp) = decoded.icmp() {
        black_box(ndp::RouterAdvertisement::new(icmp, decoded.payload).is_some());
    }
}

fn applications(payload: &[u8]) {
    for message in [dns::Message::new(payload), dns::Message::of_stream(payload)]
        .into_iter()
        .flatten()
    {
        black_box((
            message.answer_hash(),
            message.code(),
            message.is_broadcast(),
        ));
        if let Some(question) = message.question() {
            black_box(format!("{question:?}"));
        }
        for record in message.records() {
            black_box(format!("{record:?}"));
        }
    }
    for at in [0, 12, payload.len() / 2] {
        if let Some((name, end)) = dns::Name::read(payload, at) {
            assert!(at < end && end <= payload.len());
            let (domain, below) = name.split_domain();
            black_box((domain.hash(), name.is_below(below), name.netbios()));
            assert!(name.labels().count() <= 128);
        }
    }
    black_box(dhcp::Message::new(payload).is_some());
    black_box(dhcpv6::Message::new(payload).is_some());
    secure(payload);
    services(payload);
}

/// TLS in records, handshake messages and QUIC.
fn secure(payload: &[u8]) {
    black_box((tls::Record::new(payload), tls::Alert::new(payload)));
    let behind_header = payload.get(tls::Record::HEADER..).unwrap_or_default();
    for bytes in [payload, behind_header] {
        let Some((_, len, body)) = tls::message(bytes) else {
            continue;
        };
        assert!(body.len() <= len);
        black_box(tls::ServerHello::new(body).is_some());
        if let Some(hello) = tls::ClientHello::new(body) {
            let fingerprint = tls::Ja4::new(&hello, tls::Transport::Tcp).to_string();
            assert_eq!(fingerprint.len(), 36, "{fingerprint}");
        }
    }
    black_box(Certificate::new(payload).is_some());
    let mut rest = payload;
    while let Some((_, behind)) = quic::Packet::new(rest) {
        assert!(behind.len() < rest.len(), "it goes on");
        rest = behind;
    }
}

/// What servers and their clients say.
fn services(payload: &[u8]) {
    black_box((
        http::Request::new(payload).is_some(),
        http::Response::new(payload).is_some(),
        ssh::Banner::new(payload).is_some(),
        ssh::KexInit::new(payload).is_some(),
        smb::Message::new(payload).is_some(),
        ntp::Packet::new(payload).is_some(),
        snmp::Message::new(payload).is_some(),
        ldap::Message::new(payload).is_some(),
    ));
    black_box((
        database::mysql(payload).is_some(),
        database::postgres(payload).is_some(),
        database::redis_client(payload).is_some(),
        database::redis_server(payload).is_some(),
    ));
    if let Some(len) = database::redis_len(payload) {
        assert!(len <= payload.len());
    }
}

/// Fields lie in the frame, and are not nested without end.
fn check_field(field: &Field, depth: usize, len: usize) {
    let end = field.offset as usize + field.len as usize;
    assert!(end <= len, "{} ends at {end} of {len}", field.name);
    assert!(depth < 16, "{} is nested {depth} deep", field.name);
    let shown = field.value.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    for inner in &field.fields {
        check_field(inner, depth + 1, len);
    }
}
