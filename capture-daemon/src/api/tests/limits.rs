//! Those who want too much: refused or survived, and nobody else notices.

use capture_task::plan::{JsonTask, RequestOrigin};
use capture_tests::cpus::thread_cpu_time;
use serde_json::json;

use super::*;
use crate::api::{connection_pool::Bounds, extract::MAX_BODY_BYTES};

/// Short waits.
fn hasty() -> Limits {
    Limits {
        head: Duration::from_millis(300),
        write_timeout: Duration::from_millis(500),
        ..Limits::default()
    }
}

/// Writes up to 1 GiB of body, or until nobody takes it; gives the answer and what was sent.
async fn flood(lab: &Lab, head: &str, chunk: &[u8]) -> (Reply, u64) {
    let stream = UnixStream::connect(lab.socket()).await.expect("connected");
    let (mut reading, mut writing) = stream.into_split();
    writing.write_all(head.as_bytes()).await.expect("sent");
    let chunk = chunk.to_vec();
    let writer = tokio::spawn(async move {
        let mut sent = 0;
        while sent < 1 << 30 && writing.write_all(&chunk).await.is_ok() {
            sent += chunk.len() as u64;
        }
        sent
    });
    let mut answer = Vec::new();
    // The end may be a reset, as our data was not read.
    let _ = timeout(LONG, reading.read_to_end(&mut answer))
        .await
        .expect("an end in time");
    (Reply::of(&answer), writer.await.expect("it ends"))
}

#[tokio::test]
async fn a_body_of_a_gibibyte() {
    let lab = Lab::new();
    let head =
        "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let sized = format!("{head}content-length: {}\r\n\r\n", 1 << 30);
    let (reply, sent) = flood(&lab, &sized, &[b' '; 65536]).await;
    assert_eq!(reply.problem(413), "too_large");
    assert!(sent < 4 << 20, "{sent} bytes were taken");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 65536], b"\r\n"].concat();
    let (reply, sent) = flood(&lab, &chunked, &chunk).await;
    assert_eq!(reply.problem(413), "too_large");
    assert!(sent < 4 << 20, "{sent} bytes were taken");
    // The largest that is allowed is read.
    let full = format!("{{\"name\": \"{}\"}}", "x".repeat(MAX_BODY_BYTES - 12));
    assert_eq!(full.len(), MAX_BODY_BYTES);
    assert_eq!(lab.post("/api/v1/tasks", "", &full).await.status, 422);
    lab.end().await;
}

/// Bodies of at most so many bytes that have as many faults as they can, each of another kind.
fn worst_bodies(most: usize) -> Vec<(&'static str, String)> {
    let filled = |head: &str, item: &dyn Fn(usize) -> String, tail: &str| {
        let mut body = head.to_owned();
        for n in 0.. {
            let item = item(n);
            if body.len() + item.len() + tail.len() + 1 > most {
                break;
            }
            body.push_str(&item);
            body.push(',');
        }
        body.pop();
        body + tail
    };
    let list = |field: &str, item: &str| {
        let head = format!(r#"{{"name":"n","ip":"::1","peer_ip":"::2","{field}":["#);
        let item = item.to_owned();
        filled(&head, &|_| item.clone(), "]}")
    };
    let own = |pattern: &'static str| move |n: usize| pattern.replace('%', &n.to_string());
    let interfaces = r#"{"name":"n","interfaces":["#;
    let mixed = vec!["-1"; most / 8].join(",");
    let mixed = format!(r#"{{"name":"n","interfaces":["lo"],"ports":[{mixed}],"#);
    vec![
        ("empty names", list("interfaces", "\"\"")),
        (
            "unknown interfaces",
            filled(interfaces, &own("\"x%\""), "]}"),
        ),
        ("addresses", list("ip", "\"\"")),
        (
            "addresses in one text",
            filled("{\"ip\":\"", &|_| "x".to_owned(), "\"}"),
        ),
        ("ports", list("ports", "1")),
        ("ports of the peer", list("peer_ports", "-1")),
        ("lists as ports", list("ports", "[]")),
        ("unknown fields", filled("{", &own("\"%\":0"), "}")),
        (
            "fields that are nearly known",
            filled("{", &own("\"peer_ports%\":0"), "}"),
        ),
        (
            "unknown fields and ports",
            filled(&mixed, &own("\"%\":0"), "}"),
        ),
        (
            "one long field",
            format!(r#"{{"{}":0}}"#, "x".repeat(most - 8)),
        ),
        (
            "one long name",
            format!(r#"{{"name":"{}"}}"#, "\u{7f}".repeat(most - 12)),
        ),
        (
            "fields of rotation",
            filled(r#"{"rotate":{"#, &own("\"%\":0"), "}}"),
        ),
        ("deep", format!(r#"{{"ip":{}"#, "[".repeat(most - 8))),
    ]
}

/// An answer lists a hundred faults and says how many more there are; a list has its bound, whatever is in it.
#[tokio::test]
async fn bodies_of_nothing_but_faults() {
    let lab = Lab::new();
    for (kind, body) in worst_bodies(64 * 1024) {
        assert!(body.len() <= 64 * 1024, "{kind}");
        for query in ["", "?dry_run=true"] {
            let reply = lab.post(&format!("/api/v1/tasks{query}"), "", &body).await;
            assert!(
                matches!(reply.status, 400 | 422),
                "{kind}: {}",
                reply.status
            );
            let errors = reply.json()["errors"].as_array().cloned().expect("a list");
            assert!(errors.len() <= 101, "{kind}: {} errors", errors.len());
            let long = if kind == "one long field" { 70_000 } else { 0 };
            assert!(
                reply.body.len() < 30_000 + long,
                "{kind}: {} bytes",
                reply.body.len()
            );
        }
    }
    // The last one says what is not there.
    let keys: Vec<_> = (0..300).map(|n| format!(r#""k{n}":0"#)).collect();
    let body = format!(r#"{{"name":"n","interfaces":["lo"],{}}}"#, keys.join(","));
    let reply = lab.post("/api/v1/tasks", "", &body).await.json();
    assert_eq!(
        reply["errors"][100],
        json!({"pointer": "", "code": "more", "detail": "200 more faults are not listed"})
    );
    let detail = reply["detail"].as_str().expect("text");
    assert!(detail.contains("300 faults"), "{detail}");
    let query: Vec<_> = (0..300).map(|n| format!("k{n}")).collect();
    let reply = lab.get(&format!("/api/v1/quota?{}", query.join("&"))).await;
    assert_eq!(reply.json()["errors"].as_array().map(Vec::len), Some(101));
    lab.end().await;
}

/// A body four times as long costs about four times as much, and not sixteen times.
#[test]
fn faults_cost_no_more_than_their_number() {
    let cost = |body: &str| {
        let cost = || {
            let before = thread_cpu_time();
            let fields = serde_json::from_str(body).unwrap_or_default();
            let reading = JsonTask::read(fields, &["start_at"], RequestOrigin::Daemon);
            std::hint::black_box(reading);
            thread_cpu_time() - before
        };
        (0..3).map(|_| cost()).min().unwrap_or_default()
    };
    let (short, long) = (worst_bodies(64 * 1024), worst_bodies(256 * 1024));
    for ((kind, short), (_, long)) in short.into_iter().zip(long) {
        let (short, long) = (cost(&short), cost(&long));
        assert!(
            long < 6 * short + Duration::from_millis(10),
            "{kind}: {short:?}, {long:?}"
        );
    }
}

#[tokio::test]
async fn heads_that_are_too_long_or_wrong() {
    let lab = Lab::new();
    for (request, status) in [
        (
            format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000)),
            431,
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100)),
            431,
        ),
        (
            "GET /healthz HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(),
            400,
        ),
        ("GET  /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
    ] {
        assert_eq!(lab.ask(&request).await.status, status, "{request:.60}");
    }
    let long = format!("/{}", "x".repeat(20_000));
    assert!(matches!(lab.get(&long).await.status, 414 | 431));
    lab.end().await;
}

#[tokio::test]
async fn a_head_that_never_ends() {
    let lab = Lab::with("", hasty());
    let mut slow = UnixStream::connect(lab.socket()).await.expect("connected");
    slow.write_all(b"GET /healthz HTTP/1.1\r\n")
        .await
        .expect("sent");
    // A header line now and then does not help.
    let mut ended = false;
    for _ in 0..200 {
        if slow.write_all(b"x: y\r\n").await.is_err() {
            ended = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(ended, "the connection is open after two seconds");
    assert_eq!(lab.get("/healthz").await.status, 200);
    lab.end().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read() {
    let lab = Lab::with("", hasty());
    let mut deaf = UnixStream::connect(lab.socket()).await.expect("connected");
    // The answers to all these fill every buffer on the way.
    let request = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let sending = async {
        loop {
            if deaf.write_all(request.as_bytes()).await.is_err() {
                break;
            }
        }
    };
    timeout(LONG, sending)
        .await
        .expect("the connection was given up");
    assert_eq!(lab.get("/healthz").await.status, 200);
    lab.end().await;
}

#[tokio::test]
async fn whoever_keeps_all_connections_busy_is_told() {
    let bounds = Bounds {
        share: 3,
        ..Bounds::default()
    };
    let limits = Limits {
        bounds,
        ..Limits::default()
    };
    let lab = Lab::with("", limits);
    let mut busy = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(lab.socket()).await.expect("connected");
        stream
            .write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .expect("sent");
        stream.read_exact(&mut [0; 1]).await.expect("an answer");
        busy.push(stream);
    }
    let mut late = UnixStream::connect(lab.socket()).await.expect("connected");
    let mut answer = Vec::new();
    timeout(LONG, late.read_to_end(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    let reply = Reply::of(&answer);
    assert_eq!(reply.problem(503), "connections");
    assert_eq!(
        reply.header("content-length"),
        Some(reply.body.len().to_string().as_str())
    );
    drop(busy);
    let freed = async {
        while lab.try_get("/healthz").await != Some(200) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, freed).await.expect("their places are free");
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let wanted = 12_000.min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("up to the hard limit");
    }
    let count = 10_000.min(wanted as usize - 1_500);
    let lab = Lab::tcp();
    let mut idle = Vec::with_capacity(count);
    for number in 0..count {
        if number % 2 == 0 {
            let stream = UnixStream::connect(lab.socket()).await.expect("connected");
            idle.push(Box::new(stream) as Box<dyn AsyncWrite + Send + Unpin>);
        } else {
            let stream = TcpStream::connect(lab.address()).await.expect("connected");
            idle.push(Box::new(stream));
        }
    }
    let began = std::time::Instant::now();
    assert_eq!(lab.get("/healthz").await.status, 200);
    let reply = lab
        .ask_tcp("GET /healthz HTTP/1.1\r\n\r\n", "localhost")
        .await;
    assert_eq!(reply.status, 200);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    drop(idle);
    lab.end().await;
}
