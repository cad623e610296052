use proptest::prelude::*;

use super::*;
use crate::{
    app::tls::ClientHello,
    testing::{
        START,
        tls::{Client, QUIC_1, QUIC_2, crypto, initial},
        tshark, udp_frame,
    },
};

const ID: &[u8] = &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// A ClientHello in three CRYPTO frames that are out of order, with a ping between them.
fn datagram(version: u32) -> Vec<u8> {
    let hello = Client::new(Some("quic.example"))
        .versions(&[0x0304])
        .message();
    let frames = [
        crypto(40, &hello[40..]),
        vec![1],
        crypto(0, &hello[..10]),
        crypto(10, &hello[10..40]),
    ];
    initial(version, ID, true, 0, &frames.concat())
}

#[test]
fn a_client_hello_is_decrypted() {
    for version in [QUIC_1, QUIC_2] {
        let bytes = datagram(version);
        let packets: Vec<_> = Packet::all(&bytes).collect();
        let [packet] = &packets[..] else {
            panic!("{packets:?}");
        };
        assert_eq!((packet.kind, packet.destination), (Kind::Initial, ID));
        let keys = Keys::new(version, ID, Sender::Client).expect("keys");
        let content = keys.open(packet).expect("it is decrypted");
        let mut hello = vec![0; 4096];
        for frame in frames(&content) {
            if let Frame::Crypto { offset, data } = frame {
                hello[offset as usize..][..data.len()].copy_from_slice(data);
            }
        }
        let body = &hello[4..4 + usize::from(hello[3]) + usize::from(hello[2]) * 256];
        let hello = ClientHello::new(body).expect("a ClientHello");
        assert_eq!(hello.server_name(), Some(&b"quic.example"[..]));
        let server = Keys::new(version, ID, Sender::Server).expect("keys");
        assert_eq!(server.open(packet), None);
        let frame = udp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 443), &bytes);
        let names = [
            "-T",
            "fields",
            "-e",
            "quic.dcid",
            "-e",
            "tls.handshake.extensions_server_name",
        ];
        if let Some(rows) = tshark(1, &[(START, frame)], &names) {
            assert_eq!(rows, ["8394c8f03e515708\tquic.example"], "{version:#x}");
        }
    }
}

/// The server ends it with an alert, and more packets are in the datagram.
#[test]
fn packets_behind_each_other() {
    let close = [0x1c, 0x41, 0x28, 0x06, 0x00];
    let mut bytes = initial(QUIC_1, ID, false, 0, &close);
    bytes.extend(datagram(QUIC_1));
    bytes.extend([0x40; 30]);
    let packets: Vec<_> = Packet::all(&bytes).collect();
    assert_eq!(packets.len(), 2);
    let keys = Keys::new(QUIC_1, ID, Sender::Server).expect("keys");
    let content = keys.open(&packets[0]).expect("it is decrypted");
    let said: Vec<_> = frames(&content).collect();
    assert_eq!(said, [Frame::Close { code: 0x128 }]);
}

proptest! {
    #[test]
    fn any_bytes_are_no_danger(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut changed = datagram(QUIC_1);
        for (place, byte) in changes {
            let place = place.index(60);
            changed[place] = byte;
        }
        let keys = Keys::new(QUIC_1, ID, Sender::Client);
        for datagram in [&bytes, &changed] {
            for packet in Packet::all(datagram) {
                prop_assert!(packet.header_len() <= packet.bytes().len() || packet.kind == Kind::Retry);
                let _ = keys.as_ref().and_then(|keys| keys.open(&packet));
            }
        }
        let _ = frames(&bytes).count();
    }
}
