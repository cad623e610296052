//! Those who may not: refused, and in the audit log.

use axum::body::Body;
use capture_store::{access::Peer, clock::FakeClock};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use super::{
    super::{auth::Source, router},
    *,
};

/// The line about 40 of 100 refusals.
const NOT_LISTED: &str = "refused: 40 more refusals and failures of this peer, not listed";

/// A request over TCP with a token.
fn with(token: &str, call: &str) -> String {
    format!("{call} HTTP/1.1\r\nauthorization: Bearer {token}\r\n\r\n")
}

#[tokio::test]
async fn without_a_token_or_with_a_wrong_one() {
    let lab = Lab::tcp();
    let plain = lab
        .ask_tcp("GET /api/v1/tasks HTTP/1.1\r\n\r\n", "localhost")
        .await;
    assert_eq!(plain.problem(401), "token_missing");
    assert_eq!(
        plain.header("www-authenticate"),
        Some("Bearer realm=\"capture-agent\"")
    );
    let wrong = format!("cap_{}", "0".repeat(64));
    let wrong = lab
        .ask_tcp(&with(&wrong, "GET /api/v1/tasks"), "localhost")
        .await;
    assert_eq!(wrong.problem(401), "token_invalid");
    let unknown = lab
        .ask_tcp("GET /nothing HTTP/1.1\r\n\r\n", "localhost")
        .await;
    assert_eq!(unknown.problem(401), "token_missing");
    for probe in ["/healthz", "/readyz"] {
        let reply = lab
            .ask_tcp(&format!("GET {probe} HTTP/1.1\r\n\r\n"), "127.0.0.1")
            .await;
        assert_eq!(reply.status, 200, "{probe}");
    }
    let metrics = lab
        .ask_tcp("GET /metrics HTTP/1.1\r\n\r\n", "localhost")
        .await;
    assert_eq!(metrics.problem(401), "token_missing");
    let lines: Vec<_> = lab
        .audit()
        .into_iter()
        .filter(|line| line.action == "access")
        .collect();
    let outcomes: Vec<_> = lines.iter().map(|line| line.outcome.as_str()).collect();
    assert_eq!(
        outcomes,
        [
            "refused: token_missing",
            "refused: token_invalid",
            "refused: token_missing",
            "refused: token_missing"
        ]
    );
    assert!(
        lines
            .iter()
            .all(|line| line.who == "unknown" && line.from.starts_with("tcp 127.0.0.1:"))
    );
    assert!(lines.iter().all(|line| !line.object.contains("cap_")));
    lab.end().await;
}

/// Guessing is slowed down, and whoever has a token notices nothing of it.
#[tokio::test]
async fn many_refusals_for_lack_of_a_token_are_late() {
    let lab = Lab::tcp();
    let token = lab.token(Role::Viewer);
    let guess = "GET /api/v1/tasks HTTP/1.1\r\n\r\n";
    for _ in 0..100 {
        assert_eq!(lab.ask_tcp(guess, "localhost").await.status, 401);
    }
    let began = std::time::Instant::now();
    let late = lab.ask_tcp(guess, "localhost").await;
    assert_eq!(late.problem(401), "token_missing");
    assert!(began.elapsed() >= Duration::from_millis(500));
    let known = with(&token, "GET /api/v1/tasks");
    assert_eq!(lab.ask_tcp(&known, "localhost").await.status, 200);
    lab.end().await;
}

/// Two programs on the way could take such a request for two different ones.
#[tokio::test]
async fn a_request_that_says_twice_how_it_ends_is_refused() {
    let lab = Lab::new();
    let twice = "GET /api/v1/tasks HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let stream = UnixStream::connect(lab.socket()).await.expect("connected");
    let reply = exchange(stream, twice, "localhost").await;
    assert_eq!(reply.problem(400), "transfer_encoding");
    assert_eq!(reply.header("connection"), Some("close"));
    lab.end().await;
}

/// Load balancers ask under their own name for the service, or in HTTP/1.0 without any.
#[tokio::test]
async fn probes_are_answered_under_any_name_and_noted_nowhere() {
    let lab = Lab::tcp();
    for probe in ["/healthz", "/readyz"] {
        for host in ["service.example", "10.96.0.1:80", "a b", ""] {
            let request = format!("GET {probe} HTTP/1.1\r\n\r\n");
            assert_eq!(lab.ask_tcp(&request, host).await.status, 200, "{host:?}");
            let reply = exchange(
                UnixStream::connect(lab.socket()).await.expect("connected"),
                &request,
                host,
            );
            assert_eq!(reply.await.status, 200, "{host:?}");
        }
        let mut stream = TcpStream::connect(lab.address()).await.expect("connected");
        let request = format!("GET {probe} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        // Nothing else is let through by that.
        let request = format!("POST {probe} HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        let reply = lab.ask_tcp(&request, "service.example").await;
        assert_eq!(reply.problem(403), "foreign_host");
    }
    let acts = lab.acts();
    assert_eq!(acts.len(), 2, "those of POST: {acts:?}");
    lab.end().await;
}

#[tokio::test]
async fn a_viewer_only_looks() {
    let lab = Lab::tcp();
    let viewer = lab.token(Role::Viewer);
    let operator = lab.token(Role::Operator);
    let id = ulid::Ulid::new();
    for call in [
        "/api/v1/tasks",
        "/api/v1/quota",
        "/api/v1/version",
        "/api/v1/interfaces",
        "/api/v1/interfaces/route?to=127.0.0.1",
        "/api/v1/session",
        "/api/v1/sessions",
        "/api/v1/storage",
        "/metrics",
    ] {
        let reply = lab
            .ask_tcp(&with(&viewer, &format!("GET {call}")), "localhost")
            .await;
        assert_eq!(reply.status, 200, "{call}");
    }
    let refused = [
        "POST /api/v1/tasks".to_owned(),
        format!("POST /api/v1/tasks/{id}/stop"),
        format!("DELETE /api/v1/tasks/{id}"),
        format!("GET /api/v1/tasks/{id}/files/0"),
        format!("GET /api/v1/tasks/{id}/report.html"),
        format!("GET /api/v1/tasks/{id}/packets"),
        format!("GET /api/v1/tasks/{id}/packets/at?time=2026-03-01T08:00:00Z"),
        format!("GET /api/v1/tasks/{id}/packets/position?number=1"),
        format!("GET /api/v1/tasks/{id}/packets/1"),
        format!("GET /api/v1/tasks/{id}/findings"),
        format!("GET /api/v1/tasks/{id}/history"),
        format!("GET /api/v1/tasks/{id}/packets?follow=true"),
        format!("GET /api/v1/tasks/{id}/packets/1?decoder=wireshark"),
        format!("GET /api/v1/tasks/{id}/packets/1/stream"),
        format!("GET /api/v1/tasks/{id}/packets/1/stream?as=raw"),
        format!("GET /api/v1/tasks/{id}/conversations"),
        format!("GET /api/v1/tasks/{id}/series"),
        format!("GET /api/v1/tasks/{id}/export"),
        format!("GET /api/v1/tasks/{id}/notes"),
        "GET /api/v1/filter?text=udp".to_owned(),
        "GET /api/v1/filter/fields".to_owned(),
        "POST /api/v1/probes".to_owned(),
    ];
    for call in &refused {
        let reply = lab.ask_tcp(&with(&viewer, call), "localhost").await;
        assert_eq!(reply.problem(403), "role", "{call}");
    }
    // Somebody who may is told what is wrong instead.
    for (call, status) in refused
        .iter()
        .zip([415].into_iter().chain([404; 18]).chain([200, 200, 415]))
    {
        let reply = lab.ask_tcp(&with(&operator, call), "localhost").await;
        assert_eq!(reply.status, status, "{call}");
    }
    let acts = lab.acts();
    let acts: Vec<_> = acts
        .iter()
        .map(|(action, outcome)| format!("{action} {outcome}"))
        .collect();
    assert_eq!(
        acts[..22],
        [
            "task.create refused: role",
            "task.stop refused: not allowed",
            "task.delete refused: not allowed",
            "file.download refused: not allowed",
            "report.download refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "access refused: role",
            "access refused: role",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "packets.open refused: not allowed",
            "access refused: not allowed",
            "access refused: role",
            "access refused: role",
            "probe refused: role",
        ]
    );
    let who = &lab.audit().pop().expect("a line").who;
    assert!(!who.is_empty());
    let json = "content-type: application/json";
    let note = format!("PUT /api/v1/tasks/{id}/notes/1");
    let both = format!("{{\"task\": \"{id}\", \"baseline\": \"{id}\"}}");
    for (call, body) in [
        (note.as_str(), "{}"),
        ("POST /api/v1/compare", both.as_str()),
    ] {
        for (token, status) in [(&viewer, 403), (&operator, 404)] {
            let head = with(token, call);
            let length = format!("\r\n{json}\r\ncontent-length: {}\r\n", body.len());
            let request = head.replacen("\r\n", &length, 1) + body;
            let reply = lab.ask_tcp(&request, "localhost").await;
            assert_eq!(reply.status, status, "{call}");
        }
    }
    lab.end().await;
}

#[tokio::test]
async fn an_operator_administers_nothing() {
    let lab = Lab::tcp();
    let (viewer, operator) = (lab.token(Role::Viewer), lab.token(Role::Operator));
    let admin = lab.token(Role::Admin);
    let id = ulid::Ulid::new();
    let calls = [
        ("GET /api/v1/tokens".to_owned(), 200),
        ("POST /api/v1/tokens".to_owned(), 415),
        (format!("DELETE /api/v1/tokens/{id}"), 404),
        ("GET /api/v1/audit".to_owned(), 200),
        ("POST /api/v1/audit/verify".to_owned(), 415),
    ];
    for (call, status) in calls {
        for token in [&viewer, &operator] {
            let reply = lab.ask_tcp(&with(token, &call), "localhost").await;
            assert_eq!(reply.problem(403), "role", "{call}");
        }
        let reply = lab.ask_tcp(&with(&admin, &call), "localhost").await;
        assert_eq!(reply.status, status, "{call}");
        let nobody = format!("{call} HTTP/1.1\r\n\r\n");
        let nobody = lab.ask_tcp(&nobody, "localhost").await;
        assert_eq!(nobody.problem(401), "token_missing", "{call}");
    }
    let acts: Vec<_> = lab.acts().into_iter().map(|(action, _)| action).collect();
    for action in [
        "token.list",
        "token.create",
        "token.revoke",
        "audit.list",
        "audit.verify",
    ] {
        let refused = acts.iter().filter(|act| *act == action).count();
        assert!(refused >= 2, "{action}: {acts:?}");
    }
    let doctor = with(&viewer, "GET /api/v1/doctor");
    assert_eq!(lab.ask_tcp(&doctor, "localhost").await.problem(403), "role");
    lab.end().await;
}

#[tokio::test]
async fn an_event_stream_ends_with_its_token() {
    let clock = FakeClock::at("2026-03-01T08:00:00Z");
    let lab = Lab::at("listen = \"127.0.0.1:0\"", Limits::default(), clock.clone());
    let end = "2026-03-01T09:00:00Z".parse().ok();
    let listen = async |name: &str, expires_at| {
        let new = NewToken {
            name: name.to_owned(),
            role: Role::Viewer,
            account: None,
            expires_at,
        };
        let made = lab.tasks.store().token_create(&new, &Actor::command());
        let secret = made.expect("a token").1;
        let mut stream = TcpStream::connect(lab.address()).await.expect("connected");
        let request = with(secret.reveal(), "GET /api/v1/events").replacen(
            "\r\n",
            "\r\nhost: localhost\r\n",
            1,
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        until(&mut stream, "retry: 1000\n\n").await;
        stream
    };
    let mut stays = listen("stays", None).await;
    let mut revoked = listen("revoked", None).await;
    let mut over = listen("over", end).await;
    let store = lab.tasks.store();
    store
        .token_revoke("revoked", &Actor::command())
        .expect("it is in use");
    clock.set("2026-03-01T09:00:00Z");
    for stream in [&mut revoked, &mut over] {
        let mut rest = String::new();
        let read = timeout(LONG, stream.read_to_string(&mut rest)).await;
        read.expect("it ends in time").expect("it ends in order");
        // The last chunk: for the client the stream has an end, and is not broken.
        assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    }
    let task = json!({"name": "n", "interfaces": ["lo"], "start_at": "2026-03-01T10:00:00Z"});
    let made = lab.post("/api/v1/tasks", "", &task.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    event(&mut stays, "task").await;
    lab.end().await;
}

#[tokio::test]
async fn foreign_hosts_and_pages() {
    let lab = Lab::with(
        "listen = \"127.0.0.1:0\"\nallowed_hosts = [\"capture.example\"]",
        Limits::default(),
    );
    let token = lab.token(Role::Admin);
    let call = with(&token, "GET /api/v1/tasks");
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:8080", 200),
        ("capture.example", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("", 400),
    ] {
        assert_eq!(lab.ask_tcp(&call, host).await.status, status, "{host}");
    }
    for (origin, status) in [
        ("http://localhost", 200),
        ("https://evil.example", 403),
        ("http://localhost:3000", 403),
        ("null", 403),
    ] {
        let call = call.replacen("\r\n", &format!("\r\norigin: {origin}\r\n"), 1);
        let reply = lab.ask_tcp(&call, "localhost").await;
        assert_eq!(reply.status, status, "{origin}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    // On the socket too, though no browser gets there.
    let reply = exchange(
        UnixStream::connect(lab.socket()).await.expect("connected"),
        "GET /metrics HTTP/1.1\r\n\r\n",
        "evil.example",
    );
    assert_eq!(reply.await.problem(403), "foreign_host");
    let refusals = lab.acts();
    let foreign = |code: &str| {
        let outcome = format!("refused: {code}");
        refusals
            .iter()
            .filter(|(_, found)| *found == outcome)
            .count()
    };
    assert_eq!((foreign("foreign_host"), foreign("foreign_origin")), (3, 3));
    lab.end().await;
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_fill_the_log() {
    let lab = Lab::tcp();
    for _ in 0..100 {
        let reply = lab
            .ask_tcp("GET /api/v1/tasks HTTP/1.1\r\n\r\n", "localhost")
            .await;
        assert_eq!(reply.status, 401);
    }
    let store = lab.tasks.store().clone();
    lab.end().await;
    let filter = AuditFilter {
        limit: 1000,
        ..AuditFilter::default()
    };
    let lines = store.audit_list(&filter, &Actor::command()).expect("a log");
    let access: Vec<_> = lines
        .iter()
        .filter(|line| line.action == "access")
        .collect();
    assert_eq!(access.len(), 61);
    assert_eq!(access[0].outcome, NOT_LISTED);
}

/// Acts that are refused cost whoever tries them nothing. All that there are, by one who may not, and by one
/// who may, of tasks that are not there.
#[tokio::test]
async fn a_flood_of_refused_acts_does_not_fill_the_log() {
    let lab = Lab::tcp();
    let id = ulid::Ulid::new();
    let calls = [
        format!("POST /api/v1/tasks/{id}/stop"),
        format!("DELETE /api/v1/tasks/{id}"),
        format!("GET /api/v1/tasks/{id}/files/0"),
    ];
    for (role, status) in [(Role::Viewer, 403), (Role::Operator, 404)] {
        let token = lab.token(role);
        for number in 0..100 {
            let call = with(&token, &calls[number % calls.len()]);
            let reply = lab.ask_tcp(&call, "localhost").await;
            assert_eq!(reply.status, status, "{role:?}");
        }
    }
    let store = lab.tasks.store().clone();
    lab.end().await;
    for who in ["Viewer", "Operator"] {
        let who = format!("token {who} ");
        let mut lines = audit(&store);
        lines.retain(|line| line.who.starts_with(&who));
        assert_eq!(lines.len(), 61, "{who}");
        let last = lines.last().expect("a line");
        assert_eq!(last.outcome, NOT_LISTED, "{who}");
    }
}

/// What the store refuses within its transactions.
#[tokio::test]
async fn a_flood_of_refused_tasks_does_not_fill_the_log() {
    let lab = Lab::new();
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let start = start.to_string();
    let task = |name: &str| {
        json!({"name": name, "interfaces": ["lo"], "max_file_bytes": "1MiB", "start_at": start})
            .to_string()
    };
    let key = "idempotency-key: one\r\n";
    let first = lab.post("/api/v1/tasks", key, &task("first")).await;
    assert_eq!(first.status, 201, "{first:?}");
    for _ in 0..100 {
        let other = lab.post("/api/v1/tasks", key, &task("other")).await;
        assert_eq!(other.problem(409), "key_reused");
        // What is not valid, only a question, or a repetition, has no line at all.
        assert_eq!(lab.post("/api/v1/tasks", "", "{}").await.status, 422);
        let other = task("other");
        let asked = lab.post("/api/v1/tasks?dry_run=1", "", &other).await;
        assert_eq!(asked.status, 200);
        let again = lab.post("/api/v1/tasks", key, &task("first")).await;
        assert_eq!(again.status, 201);
    }
    let acts = lab.end_with_acts().await;
    assert_eq!(acts.len(), 1 + 61);
    assert_eq!(acts.last().expect("a line").1, NOT_LISTED);
}

#[tokio::test]
async fn tls_is_what_curl_takes_and_the_certificate_can_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cert, key) = certificate(directory.path(), "first");
    let http = format!(
        "listen = \"127.0.0.1:0\"\ntls_cert = \"{}\"\ntls_key = \"{}\"",
        cert.display(),
        key.display()
    );
    let lab = Lab::with(&http, Limits::default());
    let token = lab.token(Role::Viewer);
    let first = directory.path().join("first.copy");
    fs::copy(&cert, &first).expect("copied");
    let port = lab.address().port();
    let curl = async |ca: &Path| {
        let output = tokio::task::spawn_blocking({
            let (ca, token) = (ca.to_owned(), token.clone());
            move || {
                Command::new("curl")
                    .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
                    .arg(ca)
                    .args(["-H", &format!("Authorization: Bearer {token}")])
                    .arg(format!("https://localhost:{port}/api/v1/tasks"))
                    .output()
                    .expect("curl starts")
            }
        });
        let output = output.await.expect("curl ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(curl(&first).await, "200");
    // Plain HTTP on that port is told so, and gets nothing else.
    let mut plain = TcpStream::connect(lab.address()).await.expect("connected");
    plain
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes).await;
    let answer = String::from_utf8_lossy(&bytes);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("begin its URL with https://"), "{answer}");

    // A pair that does not fit changes nothing.
    let (other, other_key) = certificate(directory.path(), "other");
    fs::copy(&other, &cert).expect("copied");
    lab.server
        .reload(&lab.config.get())
        .expect_err("the key is another's");
    assert_eq!(curl(&first).await, "200");
    fs::copy(&other_key, &key).expect("copied");
    lab.server.reload(&lab.config.get()).expect("they fit");
    assert_eq!(curl(&first).await, "000");
    assert_eq!(curl(&other).await, "200");
    lab.end().await;
}

mod privileged {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What curl says as another user.
    async fn as_user(lab: &Lab, groups: &str) -> String {
        // Even where the file would let them.
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(lab.socket(), open.clone()).expect("it is ours");
        fs::set_permissions(lab.directory.path(), open).expect("it is ours");
        let (socket, groups) = (lab.socket(), groups.to_owned());
        let output = tokio::task::spawn_blocking(move || {
            Command::new("setpriv")
                .args([
                    "--reuid=65534",
                    "--regid=65534",
                    &groups,
                    "curl",
                    "-sS",
                    "--unix-socket",
                ])
                .arg(socket)
                .args(["-w", " %{http_code}", "http://localhost/api/v1/quota"])
                .output()
                .expect("setpriv starts")
        });
        let output = output.await.expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[tokio::test]
    async fn another_user_on_the_socket() {
        let lab = Lab::new();
        let answer = as_user(&lab, "--clear-groups").await;
        assert!(
            answer.contains("not_a_member") && answer.ends_with(" 403"),
            "{answer}"
        );
        // A supplementary group is enough.
        let answer = as_user(&lab, "--groups=0").await;
        assert!(answer.ends_with(" 200"), "{answer}");
        let lines = lab.audit();
        let line = lines
            .iter()
            .find(|line| line.action == "access")
            .expect("a refusal");
        assert_eq!(
            (line.who.as_str(), line.outcome.as_str()),
            ("uid 65534", "refused: not_a_member")
        );
        assert!(line.from.starts_with("socket pid "));
        lab.end().await;
    }
}

#[tokio::test]
async fn rights_by_the_socket_follow_its_group() {
    let lab = Lab::new();
    let api = &lab.server.api;
    let peer = Arc::new(Peer {
        pid: 1,
        uid: 65_534,
        gid: api.policies.current().access.gid().expect("a group"),
        groups: Vec::new(),
    });
    let actor = Some(peer.actor(Role::Operator));
    let member = Source::Unix { peer, actor };
    let router = router(api.clone());
    // A connection that stays.
    let ask = async |path: &str| {
        let request = Request::get(path).header("host", "localhost");
        let mut request = request.body(Body::empty()).expect("a request");
        request.extensions_mut().insert(member.clone());
        let answer = router.clone().oneshot(request).await;
        answer.expect("an answer")
    };
    assert_eq!(ask("/api/v1/quota").await.status(), 200);
    let events = ask("/api/v1/events").await;
    assert_eq!(events.status(), 200);
    let mut config = (*lab.config.get()).clone();
    config.access.socket_group = "no-such-group".to_owned();
    lab.server.reload(&config).expect("it is heeded");
    assert_eq!(ask("/api/v1/quota").await.status(), 403);
    // What is sent already ends too.
    let ended = timeout(Duration::from_secs(2), events.into_body().collect()).await;
    assert!(ended.is_ok(), "the events go on");
    lab.end().await;
}

#[tokio::test]
async fn the_page_is_for_everybody_and_for_our_names_alone() {
    let lab = Lab::tcp();
    let page = lab.ask_tcp("GET / HTTP/1.1\r\n\r\n", "localhost").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("a policy");
    assert_eq!(policy, capture_console::POLICY);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let script = format!("/ui/{}/js/app.js", capture_console::HASH);
    let file = lab
        .ask_tcp(&format!("GET {script} HTTP/1.1\r\n\r\n"), "localhost")
        .await;
    assert_eq!(file.status, 200);
    let kept = file
        .header("cache-control")
        .expect("how long it may be kept");
    assert!(kept.contains("immutable"), "{kept}");
    for (request, host, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "evil.example", 403),
        ("POST / HTTP/1.1\r\n\r\n", "localhost", 401),
        ("GET /ui/0/js/app.js HTTP/1.1\r\n\r\n", "localhost", 404),
        (
            &format!("GET {script}/../../../api/v1/tasks HTTP/1.1\r\n\r\n"),
            "localhost",
            404,
        ),
        ("GET /ui/ HTTP/1.1\r\n\r\n", "localhost", 404),
        ("GET /api/v1/tasks HTTP/1.1\r\n\r\n", "localhost", 401),
    ] {
        let answer = lab.ask_tcp(request, host).await;
        assert_eq!(answer.status, status, "{request}");
        if status != 200 {
            let policy = answer.header("content-security-policy").expect("a policy");
            assert!(policy.contains("sandbox"), "{request}: {policy}");
        }
    }
}
