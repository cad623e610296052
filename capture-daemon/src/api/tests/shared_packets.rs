//! The packets that shares show: of their copy, for as long as they are in force.

use capture_store::clock::FakeClock;
use serde_json::json;

use super::{
    shares::{CLIENT, SECRET, SERVER, holds},
    *,
};

/// What a share may be asked about packets. All answers of one are whole after a while.
const CALLS: [&str; 15] = [
    "packets?limit=500&columns=ip.src,ip.dst,ip.addr,udp.payload,data.data,frame.interface_name",
    "packets?filter=ip.addr+%3d%3d+198.51.100.77",
    "packets?filter=ip.addr+%3d%3d+10.83.97.211",
    "packets?filter=frame+contains+%22hunter2%22",
    "packets?filter=udp",
    "packets/1",
    "packets/2",
    "packets/1/stream",
    "packets/2/stream?side=client",
    "packets/at?time=2026-01-01T00:00:02Z",
    "packets/position?number=3&filter=tcp",
    "conversations",
    "conversations?filter=udp&sort=start",
    "series",
    "series?filter=tcp",
];

impl Lab {
    /// Asks until all packets were looked at.
    async fn whole_by_share(&self, secret: &str, call: &str) -> Reply {
        let ask = async {
            loop {
                let reply = self
                    .by_share(secret, &format!("GET /api/v1/shared/{call}"))
                    .await;
                assert_eq!(reply.status, 200, "{call}: {reply:?}");
                if reply.json()["complete"] != false {
                    break reply;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, ask).await.expect("it is whole in time")
    }
}

/// An address and a secret as they may stand in text, JSON, base 16 and base 64.
fn traces(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut traces = vec![bytes.to_vec(), hex.to_uppercase().into_bytes()];
    traces.push(hex.into_bytes());
    if let Ok(address) = <[u8; 4]>::try_from(bytes) {
        let address = std::net::Ipv4Addr::from(address).to_string();
        traces.push(address.into_bytes());
    }
    traces
}

#[tokio::test]
async fn packets_of_an_anonymous_share_hold_no_address_and_no_payload() {
    let lab = Lab::tcp();
    let id = lab.ended();
    let wanted = json!({"expires_in": 3600, "packets": "headers"});
    let (_, secret) = lab.share(&id, wanted).await;
    let unwanted: Vec<_> = [&CLIENT[..], &SERVER, SECRET]
        .into_iter()
        .flat_map(traces)
        .chain([id.to_string().into_bytes(), b"from 198".to_vec()])
        .collect();
    for call in CALLS {
        let reply = lab.whole_by_share(&secret, call).await;
        let bytes = [reply.head.as_bytes(), &reply.body].concat();
        for trace in &unwanted {
            let shown = String::from_utf8_lossy(trace);
            assert!(!holds(&bytes, trace), "{call}: {shown} in {reply:?}");
        }
        // A stream is base 64.
        let json = reply.json();
        for segment in json["segments"].as_array().into_iter().flatten() {
            assert_eq!(segment["data"], "", "{call}");
        }
    }
    // A filter by a true address or by payload finds nothing, one by a pseudonym does.
    for call in &CALLS[1..4] {
        let found = lab.whole_by_share(&secret, call).await.json();
        assert_eq!(found["matched"], 0, "{call}");
    }
    let all = lab.whole_by_share(&secret, "packets").await.json();
    assert_eq!(all["matched"], 41);
    let pseudonym = all["rows"][0]["destination"].as_str().expect("an address");
    let call = format!("packets?filter=ip.dst+%3d%3d+{pseudonym}");
    let found = lab.whole_by_share(&secret, &call).await.json();
    assert_eq!(found["matched"], 41);
    // They are the packets of the file, which is the capture without payload.
    let file = lab.by_share(&secret, "GET /api/v1/shared/file").await;
    let octets: std::net::Ipv4Addr = pseudonym.parse().expect("of IPv4");
    assert!(holds(&file.body, &octets.octets()));
    lab.end().await;
}

#[tokio::test]
async fn a_share_shows_the_packets_that_it_is_for() {
    let lab = Lab::tcp();
    let id = lab.ended();
    let note = json!({"marked": true, "comment": "for us alone"}).to_string();
    let length = note.len();
    let put = format!(
        "PUT /api/v1/tasks/{id}/notes/1 HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{note}"
    );
    assert_eq!(lab.ask(&put).await.status, 200);
    let (_, none) = lab.share(&id, json!({"expires_in": 60})).await;
    for call in CALLS {
        let reply = lab
            .by_share(&none, &format!("GET /api/v1/shared/{call}"))
            .await;
        assert_eq!(reply.problem(409), "not_shared", "{call}");
    }
    let whole = json!({"expires_in": 60, "packets": "whole", "anonymise": false});
    let (_, whole) = lab.share(&id, whole).await;
    let headers = json!({"expires_in": 60, "packets": "headers", "anonymise": false});
    let (_, headers) = lab.share(&id, headers).await;
    for (secret, has_payload) in [(&whole, true), (&headers, false)] {
        let rows = lab.whole_by_share(secret, CALLS[0]).await;
        assert!(holds(&rows.body, b"198.51.100.77"));
        assert!(!holds(&rows.body, b"for us alone"), "{rows:?}");
        let row = &rows.json()["rows"][0];
        assert!(row["marked"] != true, "{row}");
        let found = lab.whole_by_share(secret, CALLS[3]).await.json();
        assert_eq!(found["matched"], u64::from(has_payload));
        let packet = lab.whole_by_share(secret, CALLS[5]).await;
        assert!(!holds(&packet.body, b"for us alone"), "{packet:?}");
    }
    // No more than what reads the copy: not Wireshark, no files, no stream that goes on, no export, no notes.
    for (call, status) in [
        ("packets?follow=true", 400),
        ("packets?file=0", 400),
        ("packets/1?decoder=wireshark", 400),
        ("packets/1?filter=udp", 400),
        ("packets/1/stream?as=raw", 400),
        ("packets/0", 404),
        ("packets/42", 404),
        ("packets/x", 404),
        ("packets?filter=no.such", 422),
        ("packets?columns=no.such", 422),
        ("filter?text=udp&task=x", 400),
        ("export", 404),
        ("notes", 404),
    ] {
        let reply = lab
            .by_share(&whole, &format!("GET /api/v1/shared/{call}"))
            .await;
        reply.problem(status);
    }
    let check = lab
        .by_share(&none, "GET /api/v1/shared/filter?text=tcp.prt")
        .await;
    assert_eq!(check.json()["valid"], false);
    let fields = lab
        .by_share(
            &none,
            "GET /api/v1/shared/filter/fields?prefix=tcp.&limit=3",
        )
        .await;
    assert_eq!(fields.json()["fields"].as_array().map(Vec::len), Some(3));
    // Operators see their notes still.
    let own = lab.get(&format!("/api/v1/tasks/{id}/packets/1")).await;
    assert!(holds(&own.body, b"for us alone"), "{own:?}");
    lab.end().await;
}

#[tokio::test]
async fn looking_at_packets_is_one_use_while_they_are_looked_at() {
    let lab = Lab::tcp();
    let id = lab.ended();
    let wanted = json!({"expires_in": 3600, "packets": "headers"});
    let (share, secret) = lab.share(&id, wanted.clone()).await;
    let (other, by_other) = lab.share(&id, wanted).await;
    let rows = "GET /api/v1/shared/packets";
    let asked = futures_util::future::join_all((0..6).map(|_| lab.by_share(&secret, rows))).await;
    assert!(asked.iter().all(|reply| reply.status == 200), "{asked:?}");
    for call in CALLS {
        lab.whole_by_share(&secret, call).await;
    }
    lab.whole_by_share(&by_other, "packets").await;
    let list = lab.get(&format!("/api/v1/tasks/{id}/shares")).await.json();
    assert_eq!(
        (&list["shares"][0]["uses"], &list["shares"][1]["uses"]),
        (&json!(1), &json!(1))
    );
    let lines = lab.audit();
    let uses = lines.iter().filter(|line| line.action == "share.use");
    let uses: Vec<_> = uses.map(|line| line.object.as_str()).collect();
    let object = |share: &str| format!("{id} share {share}: packets");
    assert_eq!(uses, [object(&share), object(&other)]);
    lab.end().await;
}

#[tokio::test]
async fn packets_are_shown_for_as_long_as_the_share_is_in_force() {
    let clock = FakeClock::at("2026-03-01T08:00:00Z");
    let lab = Lab::at("listen = \"127.0.0.1:0\"", Limits::default(), clock.clone());
    let id = lab.ended();
    let whole = json!({"expires_in": 7200, "packets": "whole", "anonymise": false});
    let anonymous = json!({"expires_in": 3600, "packets": "headers"});
    let (first, by_first) = lab.share(&id, whole.clone()).await;
    let (_, by_anonymous) = lab.share(&id, anonymous).await;
    let (_, by_last) = lab.share(&id, whole).await;
    let is_over = async |secret: &str| {
        let reply = lab.by_share(secret, "GET /api/v1/shared/packets/1").await;
        assert_eq!(reply.problem(401), "share_invalid");
    };
    for secret in [&by_first, &by_anonymous, &by_last] {
        lab.whole_by_share(secret, "packets").await;
    }
    let revoke = format!("DELETE /api/v1/shares/{first} HTTP/1.1\r\n\r\n");
    assert_eq!(lab.ask(&revoke).await.status, 204);
    is_over(&by_first).await;
    lab.whole_by_share(&by_last, "packets").await;
    clock.set("2026-03-01T09:00:00Z");
    is_over(&by_anonymous).await;
    lab.whole_by_share(&by_last, "packets").await;
    let delete = format!("DELETE /api/v1/tasks/{id} HTTP/1.1\r\n\r\n");
    assert_eq!(lab.ask(&delete).await.status, 204);
    is_over(&by_last).await;
    lab.end().await;
}
