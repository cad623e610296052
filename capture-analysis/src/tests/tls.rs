use crate::{
    finding::Confidence,
    severity::Severity,
    testing::{
        Lab, MILLISECOND, SECOND,
        tls::{
            Certificate, Client, QUIC_1, certificates, crypto, handshake, initial, record,
            server_hello,
        },
        udp_frame,
    },
    tests::app::talk::{CLIENT, SERVER, Talk},
};

const HANDSHAKE: u8 = 22;
const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;
const GOOD_CIPHER: u16 = 0xc02f;

fn hello() -> Vec<u8> {
    Client::new(Some("www.example.org")).record()
}

/// What a server of up to TLS 1.2 says first.
fn answer(version: u16, cipher: u16, certificate: &Certificate<'_>) -> Vec<u8> {
    let messages = [
        server_hello(version, cipher),
        certificates(&[certificate.der()]),
        handshake(14, &[]),
    ];
    record(HANDSHAKE, &messages.concat())
}

fn good() -> Certificate<'static> {
    Certificate {
        issuer: "Example CA",
        subject: "www.example.org",
        validity: ["250101000000Z", "260102000000Z"],
        names: vec!["www.example.org"],
    }
}

/// A message that is encrypted, of this length.
fn encrypted(content: u8, len: usize) -> Vec<u8> {
    record(content, &vec![0xaa; len])
}

/// How each end begins to encrypt.
fn finished() -> Vec<u8> {
    [record(20, &[1]), encrypted(HANDSHAKE, 40)].concat()
}

/// A handshake that succeeds, and some data.
fn whole(talk: Talk<'_>, answer: &[u8]) {
    talk.client(hello())
        .server(answer)
        .client(finished())
        .server(finished())
        .client(encrypted(23, 300))
        .server(encrypted(23, 3000))
        .close();
}

#[test]
fn a_good_handshake_is_only_counted() {
    let mut lab = Lab::new();
    for port in 0..3 {
        // The certificate expires within a day, and is good until then.
        whole(
            Talk::new(&mut lab, 40_000 + port, 443),
            &answer(TLS_1_2, GOOD_CIPHER, &good()),
        );
    }
    let client = Client::new(Some("www.example.org")).versions(&[TLS_1_3, TLS_1_2]);
    Talk::new(&mut lab, 41_000, 8443)
        .client(client.record())
        .server(record(HANDSHAKE, &server_hello(TLS_1_3, 0x1301)))
        .server([record(20, &[1]), encrypted(23, 2000)].concat())
        .client([record(20, &[1]), encrypted(23, 53)].concat())
        // What follows has the length of an alert.
        .client(encrypted(23, 19))
        .close();
    let outcome = lab.end();
    outcome.nothing();
    let tls = outcome.report.tls.expect("TLS in the report");
    assert_eq!((tls.connections, tls.over_quic), (4, 0));
    assert_eq!(
        tls.versions.into_iter().collect::<Vec<_>>(),
        [("TLS 1.2", 3), ("TLS 1.3", 1)]
    );
    assert_eq!(tls.names.len(), 1);
    assert_eq!(
        (tls.names[0].name.as_str(), tls.names[0].connections),
        ("www.example.org", 4)
    );
    let clients: Vec<_> = tls
        .clients
        .iter()
        .map(|client| client.connections)
        .collect();
    assert_eq!(clients, [3, 1]);
    assert!(
        tls.clients[0].ja4.starts_with("t12d0401"),
        "{:?}",
        tls.clients
    );
}

/// The server asks for another key first; what stands after ChangeCipherSpec is read all the same.
#[test]
fn a_handshake_that_is_retried() {
    let mut retry = server_hello(TLS_1_3, 0x1301);
    // SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
    let random = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];
    retry[6..38].copy_from_slice(&random);
    let client = Client::new(Some("www.example.org"))
        .versions(&[TLS_1_3])
        .record();
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443)
        .client(&client)
        .server([record(HANDSHAKE, &retry), record(20, &[1])].concat())
        .client([record(20, &[1]), client.clone()].concat())
        .server(
            [
                record(HANDSHAKE, &server_hello(TLS_1_3, 0x1301)),
                encrypted(23, 2000),
            ]
            .concat(),
        )
        .client(encrypted(23, 53))
        .close();
    let outcome = lab.end();
    outcome.nothing();
    let tls = outcome.report.tls.expect("TLS in the report");
    assert_eq!(
        (tls.connections, tls.versions.get("TLS 1.3")),
        (1, Some(&1))
    );
}

#[test]
fn a_server_refuses_what_is_offered() {
    let mut lab = Lab::new();
    for port in 0..3 {
        Talk::new(&mut lab, 40_000 + port, 443)
            .client(hello())
            .server(record(21, &[2, 40]))
            .close();
    }
    let outcome = lab.end();
    let finding = outcome.only("tls.failed");
    assert_eq!(
        finding.summary,
        "10.0.0.2 port 443 (www.example.org) ended 3 TLS handshakes of 10.0.0.1 with a fatal alert: handshake_failure, nothing that is offered is acceptable."
    );
    assert_eq!((finding.count, finding.severity), (3, Severity::Warn));
    assert_eq!(finding.subject.name.as_deref(), Some("www.example.org"));
}

#[test]
fn a_client_refuses_the_certificate() {
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443)
        .client(hello())
        .server(answer(TLS_1_2, GOOD_CIPHER, &good()))
        .client(record(21, &[2, 48]))
        .close();
    let outcome = lab.end();
    assert_eq!(
        outcome.only("tls.failed").summary,
        "10.0.0.1 ended a TLS handshake with 10.0.0.2 port 443 (www.example.org) with a fatal alert: unknown_ca, it does not know who signed the certificate."
    );
}

#[test]
fn a_client_refuses_what_is_encrypted() {
    let mut lab = Lab::new();
    let client = Client::new(Some("www.example.org")).versions(&[TLS_1_3]);
    Talk::new(&mut lab, 40_000, 443)
        .client(client.record())
        .server(record(HANDSHAKE, &server_hello(TLS_1_3, 0x1301)))
        .server([record(20, &[1]), encrypted(23, 2000)].concat())
        .client([record(20, &[1]), encrypted(23, 19)].concat())
        .close();
    let outcome = lab.end();
    let finding = outcome.only("tls.failed");
    assert_eq!(finding.confidence, Confidence::Medium);
    assert!(
        finding.summary.contains("encrypted alert"),
        "{}",
        finding.summary
    );
}

/// Warnings, and the alert with which every connection ends.
#[test]
fn alerts_that_are_no_failure() {
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443)
        .client(hello())
        .server(record(21, &[1, 112]))
        .server(answer(TLS_1_2, GOOD_CIPHER, &good()))
        .client(finished())
        .server(finished())
        .client(encrypted(21, 26))
        .close();
    lab.end().nothing();
}

#[test]
fn a_server_that_does_not_answer() {
    let mut lab = Lab::new();
    let _ = Talk::new(&mut lab, 40_000, 443).client(hello());
    lab.wait(20 * SECOND);
    let outcome = lab.end();
    assert_eq!(
        outcome.only("tls.failed").summary,
        "10.0.0.2 port 443 (www.example.org) acknowledged a TLS handshake of 10.0.0.1 and never answered it."
    );
    // Where packets were lost, the answer may have been among them.
    let mut lab = Lab::new();
    let _ = Talk::new(&mut lab, 40_000, 443).client(hello());
    lab.lose(1).wait(20 * SECOND);
    let outcome = lab.end();
    assert!(
        !outcome.codes().contains(&"tls.failed"),
        "{:?}",
        outcome.codes()
    );
}

/// The other one is of TCP, and says nothing of it.
#[test]
fn a_server_that_resets_or_closes() {
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443).client(hello()).reset(1);
    let outcome = lab.end();
    assert_eq!(
        outcome.only("tls.failed").summary,
        "10.0.0.2 port 443 (www.example.org) reset a TLS handshake of 10.0.0.1."
    );
    // So many that not all are cited, and one of something else on another port.
    let mut lab = Lab::new();
    for port in 0..40 {
        Talk::new(&mut lab, 40_000 + port, 443)
            .client(hello())
            .reset(1);
    }
    Talk::new(&mut lab, 50_000, 9999)
        .client("what is this?")
        .reset(1);
    let outcome = lab.end();
    assert_eq!(outcome.codes().len(), 2, "{:?}", outcome.codes());
    assert_eq!(outcome.findings_of("tls.failed").count, 40);
    assert_eq!(outcome.findings_of("tcp.reset_mid").count, 1);
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443).client(hello()).close_by(1);
    let outcome = lab.end();
    assert_eq!(
        outcome.only("tls.failed").summary,
        "10.0.0.2 port 443 (www.example.org) closed a TLS handshake of 10.0.0.1 without an answer."
    );
    // What it said before may not have been captured.
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443)
        .client(hello())
        .skip(1, 3000)
        .close_by(1);
    assert!(!lab.end().codes().contains(&"tls.failed"));
    // A client may change its mind.
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443).client(hello()).close_by(0);
    lab.end().nothing();
}

#[test]
fn a_server_that_speaks_something_else() {
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 443)
        .client(hello())
        .server("HTTP/1.1 400 Bad Request\r\n\r\n")
        .close();
    let outcome = lab.end();
    let finding = outcome.only("tls.failed");
    assert!(
        finding.summary.ends_with("with something that is not TLS."),
        "{}",
        finding.summary
    );
}

#[test]
fn certificates_that_are_not_good() {
    let cases = [
        (
            Certificate {
                validity: ["240101000000Z", "251222000000Z"],
                ..good()
            },
            "The certificate of 10.0.0.2 port 443 (www.example.org) expired on 2025-12-22, 10 days before.",
        ),
        (
            Certificate {
                validity: ["260201000000Z", "270101000000Z"],
                ..good()
            },
            "The certificate of 10.0.0.2 port 443 (www.example.org) is not valid before 2026-02-01.",
        ),
        (
            Certificate {
                names: vec!["a.example", "*.b.example", "c.example", "d.example"],
                ..good()
            },
            "The certificate of 10.0.0.2 port 443 is not for www.example.org, but for a.example, *.b.example, c.example and 1 more.",
        ),
        (
            Certificate {
                issuer: "www.example.org",
                validity: ["240101000000Z", "251222000000Z"],
                ..good()
            },
            "The certificate of 10.0.0.2 port 443 (www.example.org) expired on 2025-12-22, 10 days before and is signed by itself.",
        ),
    ];
    for (certificate, summary) in cases {
        let mut lab = Lab::new();
        whole(
            Talk::new(&mut lab, 40_000, 443),
            &answer(TLS_1_2, GOOD_CIPHER, &certificate),
        );
        assert_eq!(lab.end().only("tls.certificate").summary, summary);
    }
}

#[test]
fn versions_and_ciphers_that_are_weak() {
    for (version, cipher, what) in [
        (0x0301, GOOD_CIPHER, "TLS 1.0"),
        (0x0302, GOOD_CIPHER, "TLS 1.1"),
        (0x0300, GOOD_CIPHER, "SSL 3.0"),
        (
            TLS_1_2,
            0x000a,
            "TLS 1.2 with TLS_RSA_WITH_3DES_EDE_CBC_SHA, whose 3DES has blocks of 64 bits",
        ),
        (
            0x0301,
            0x0003,
            "TLS 1.0 with TLS_RSA_EXPORT_WITH_RC4_40_MD5, whose keys were shortened for export",
        ),
    ] {
        let mut lab = Lab::new();
        for port in 0..2 {
            whole(
                Talk::new(&mut lab, 40_000 + port, 443),
                &answer(version, cipher, &good()),
            );
        }
        let outcome = lab.end();
        let finding = outcome.only("crypto.weak");
        assert_eq!(
            finding.summary,
            format!(
                "In 2 connections, 10.0.0.2 port 443 (www.example.org) agreed with 10.0.0.1 to {what}."
            )
        );
    }
}

/// What was lost or cut might have said otherwise.
#[test]
fn holes_are_not_judged() {
    let expired = Certificate {
        validity: ["240101000000Z", "251222000000Z"],
        ..good()
    };
    let mut lab = Lab::new();
    let talk = Talk::new(&mut lab, 40_000, 443).client(hello());
    let bytes = answer(0x0301, GOOD_CIPHER, &expired);
    let _ = talk
        .skip(1, 40)
        .server(&bytes[40..])
        .server(vec![0; 20_000]);
    assert!(!lab.end().codes().iter().any(|code| code.starts_with("tls")));
}

/// Split into segments of one byte, which come in the wrong order.
#[test]
fn any_segments() {
    let expired = Certificate {
        validity: ["240101000000Z", "251222000000Z"],
        ..good()
    };
    let mut lab = Lab::new();
    let mut talk = Talk::new(&mut lab, 40_000, 443).client(hello());
    let bytes = answer(TLS_1_2, GOOD_CIPHER, &expired);
    for pair in bytes.chunks(2) {
        talk = talk.swapped(1, pair);
    }
    let _ = talk;
    // tshark does not put segments in order as long as it is not told to.
    assert_eq!(lab.end().codes(), ["net.reordering", "tls.certificate"]);
}

#[test]
fn on_another_port() {
    let mut lab = Lab::new();
    whole(
        Talk::new(&mut lab, 40_000, 4444),
        &answer(TLS_1_2, GOOD_CIPHER, &good()),
    );
    assert_eq!(
        lab.end().only("service.odd_port").summary,
        "TLS is spoken on ports where that is not usual: 10.0.0.2 port 4444 (1 connection)."
    );
}

#[test]
fn after_starttls_and_through_a_proxy() {
    let expired = Certificate {
        validity: ["240101000000Z", "251222000000Z"],
        ..good()
    };
    let bytes = answer(TLS_1_2, GOOD_CIPHER, &expired);
    let mut lab = Lab::new();
    let talk = Talk::new(&mut lab, 40_000, 25)
        .server("220 mail.example ESMTP\r\n")
        .client("EHLO a.example\r\n")
        .server("250-mail.example\r\n250 STARTTLS\r\n")
        .client("STARTTLS\r\n")
        .server("220 Go ahead\r\n");
    whole(talk, &bytes);
    let outcome = lab.end();
    outcome.only("tls.certificate");
    let mut lab = Lab::new();
    let talk = Talk::new(&mut lab, 40_000, 3128)
        .client("CONNECT www.example.org:443 HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
        .server("HTTP/1.1 200 Connection established\r\n\r\n");
    whole(talk, &bytes);
    lab.end().only("tls.certificate");
}

const ID: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

#[test]
fn quic_is_followed_too() {
    let client = Client::new(Some("quic.example"))
        .versions(&[TLS_1_3])
        .alpn(&[b"h3"]);
    let hello = client.message();
    // Two packets, the second first.
    let packets = [
        initial(QUIC_1, ID, true, 1, &crypto(50, &hello[50..])),
        initial(QUIC_1, ID, true, 0, &crypto(0, &hello[..50])),
    ];
    let mut lab = Lab::new();
    for packet in &packets {
        lab.send(udp_frame((CLIENT, 40_000), (SERVER, 443), packet));
    }
    lab.wait(MILLISECOND);
    let close = initial(QUIC_1, ID, false, 0, &[0x1c, 0x41, 0x78, 0x06, 0x00]);
    lab.send(udp_frame((SERVER, 443), (CLIENT, 40_000), &close));
    let outcome = lab.end();
    assert_eq!(
        outcome.only("tls.failed").summary,
        "10.0.0.2 port 443 (quic.example) ended a TLS handshake of 10.0.0.1 with a fatal alert: no_application_protocol, they share no protocol of the application."
    );
    let tls = outcome.report.tls.expect("TLS in the report");
    assert_eq!((tls.connections, tls.over_quic), (1, 1));
    assert!(
        tls.clients[0].ja4.starts_with("q13d0403h3_"),
        "{:?}",
        tls.clients
    );
}
