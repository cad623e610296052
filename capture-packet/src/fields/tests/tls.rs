//! Messages of TLS, and packets of QUIC.

use crate::testing::{
    tcp_frame,
    tls::{Certificate, Client, QUIC_1, certificates, crypto, initial, record, server_hello},
    udp_frame,
};

/// Each connection has ports of its own, so that tshark takes each for the first of its connection.
pub(super) fn frames() -> impl Iterator<Item = Vec<u8>> {
    let client = Client::new(Some("www.example.org"));
    let modern = client
        .clone()
        .versions(&[0x0304, 0x0303])
        .alpn(&[b"h2", b"http/1.1"]);
    let certificate = Certificate {
        issuer: "Example CA",
        subject: "www.example.org",
        validity: ["260101000000Z", "260401120000Z"],
        names: vec!["www.example.org"],
    };
    let chain = certificates(&[certificate.der()]);
    let first = [server_hello(0x0303, 0xc02f), chain].concat();
    let to_server = [client.record(), modern.record(), record(21, &[2, 48])];
    let to_client = [
        record(22, &first),
        [record(22, &server_hello(0x0304, 0x1301)), record(20, &[1])].concat(),
        record(21, &[2, 40]),
    ];
    let to_server = to_server
        .into_iter()
        .zip(45_100..)
        .map(|(bytes, port)| tcp_frame(("10.0.0.1", port), ("10.0.0.2", 443), 0x18, 1, &bytes));
    let to_client = to_client
        .into_iter()
        .zip(45_200..)
        .map(|(bytes, port)| tcp_frame(("10.0.0.2", 443), ("10.0.0.1", port), 0x18, 1, &bytes));
    let hello = modern.message();
    let packet = initial(
        QUIC_1,
        &[1, 2, 3, 4, 5, 6, 7, 8],
        true,
        0,
        &crypto(0, &hello),
    );
    let quic = udp_frame(("10.0.0.1", 45_300), ("10.0.0.2", 443), &packet);
    to_server.chain(to_client).chain([quic])
}

/// Fields that the frames above must show.
pub(super) const NAMES: [&str; 16] = [
    "tls.record.content_type",
    "tls.record.version",
    "tls.record.length",
    "tls.alert_message.desc",
    "tls.handshake.type",
    "tls.handshake.length",
    "tls.handshake.version",
    "tls.handshake.ciphersuite",
    "tls.handshake.extension.type",
    "tls.handshake.extensions_server_name",
    "tls.handshake.extensions_alpn_str",
    "tls.handshake.extensions.supported_version",
    "quic.long.packet_type",
    "quic.version",
    "quic.dcil",
    "quic.token_length",
];
