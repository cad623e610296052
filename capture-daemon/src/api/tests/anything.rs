//! Whatever is asked, the daemon answers, never with a fault of its own, and lives: random requests to the
//! real router, and as bytes to a real socket.

use std::{cell::RefCell, collections::BTreeMap, net::IpAddr};

use axum::body::Body;
use capture_store::access::Peer;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::{
    super::{auth::Source, router},
    requests::{Asked, IDS, Sender, requests},
    *,
};

/// Requests of a usual run.
const REQUESTS: usize = 2_000;

/// What random tests have in common: a daemon with tasks in several states.
struct Target {
    lab: Lab,
    router: axum::Router,
    tokens: [String; 3],
    /// The secret of a share of whole packets.
    share: String,
    /// Waiting, ended, running (or ended), none, no longer there.
    ids: [String; IDS],
    /// A task that runs on loopback can be had.
    runs: bool,
}

impl Target {
    async fn new(runs: bool) -> Self {
        let lab = Lab::with(
            "listen = \"127.0.0.1:0\"\n[quota]\nedition = \"unlimited\"",
            Limits::default(),
        );
        let router = router(lab.server.api.clone());
        let tokens = [Role::Viewer, Role::Operator, Role::Admin].map(|role| lab.token(role));
        let whole =
            json!({"expires_in": 3600, "findings": true, "packets": "whole", "anonymise": false});
        let (_, share) = lab.share(&lab.ended(), whole).await;
        let none = || ulid::Ulid::new().to_string();
        let mut this = Self {
            lab,
            router,
            tokens,
            share,
            ids: std::array::from_fn(|_| none()),
            runs,
        };
        let gone = this.create(true).await;
        this.call("DELETE", &format!("/api/v1/tasks/{gone}")).await;
        this.ids[4] = gone;
        this.refill().await;
        this
    }

    /// Replaces the tasks that requests have ended or deleted.
    async fn refill(&mut self) {
        for (place, state) in ["pending", "completed", "running"].iter().enumerate() {
            if *state == "running" && !self.runs {
                continue;
            }
            if self.state(&self.ids[place]).await.as_deref() == Some(*state) {
                continue;
            }
            let id = self.create(*state != "running").await;
            if *state == "completed" {
                self.call("POST", &format!("/api/v1/tasks/{id}/stop")).await;
            }
            let wait = async {
                while self.state(&id).await.as_deref() != Some(*state) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(LONG, wait).await.expect("it comes to that");
            self.ids[place] = id;
        }
    }

    /// Removes what requests have made, so that there is room for more.
    async fn tidy(&self) {
        let page = self
            .lab
            .get("/api/v1/tasks?state=pending&limit=1000")
            .await
            .json();
        for task in page["tasks"].as_array().expect("a list") {
            let id = task["id"].as_str().expect("an ID");
            if !self.ids.iter().any(|kept| kept == id) {
                self.call("DELETE", &format!("/api/v1/tasks/{id}?force=true"))
                    .await;
            }
        }
    }

    async fn create(&self, waits: bool) -> String {
        let mut task =
            json!({"name": "n", "interfaces": ["lo"], "max_file_bytes": "1MiB", "ports": [9]});
        if waits {
            let start = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
            task["start_at"] = json!(start.to_string());
        } else {
            task["duration"] = json!("1h");
        }
        let made = self.lab.post("/api/v1/tasks", "", &task.to_string()).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["id"].as_str().expect("an ID").to_owned()
    }

    async fn state(&self, id: &str) -> Option<String> {
        let task = self.lab.get(&format!("/api/v1/tasks/{id}")).await.json();
        task["state"].as_str().map(str::to_owned)
    }

    async fn call(&self, method: &str, path: &str) {
        let reply = self
            .lab
            .ask(&format!("{method} {path} HTTP/1.1\r\n\r\n"))
            .await;
        assert!(reply.status < 300, "{reply:?}");
    }

    /// The request with the IDs that there are.
    fn fill(&self, mut asked: Asked) -> Asked {
        for (place, id) in self.ids.iter().enumerate() {
            asked.target = asked.target.replace(&format!("{{{place}}}"), id);
        }
        if asked.target.contains("/shared") {
            let value = self.share.clone().into_bytes();
            asked.headers.push(("share".to_owned(), value));
        }
        if let Sender::Token(role) = asked.sender {
            let value = format!("Bearer {}", self.tokens[role]).into_bytes();
            asked.headers.push(("authorization".to_owned(), value));
            asked
                .headers
                .push(("host".to_owned(), b"localhost".to_vec()));
        }
        asked
    }

    /// The end of the connection that the request comes from.
    fn source(&self, sender: Sender) -> Source {
        match sender {
            Sender::Member | Sender::Outsider => {
                let id = if sender == Sender::Member { 0 } else { 65_534 };
                let peer = Arc::new(Peer {
                    pid: 1,
                    uid: id,
                    gid: id,
                    groups: Vec::new(),
                });
                let actor = matches!(sender, Sender::Member).then(Actor::command);
                Source::Unix { peer, actor }
            }
            Sender::Network | Sender::Token(_) => Source::Tcp {
                address: "192.0.2.1:5000".parse().expect("an address"),
                local: SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 80),
            },
        }
    }

    /// Asks the router, and gives the status.
    async fn ask(&self, asked: &Asked) -> StatusCode {
        let Asked {
            sender,
            method,
            target,
            headers,
            body,
        } = asked;
        let mut request = Request::builder()
            .method(method.as_str())
            .uri(target.as_str());
        for (name, value) in headers {
            request = request.header(name.as_str(), value.as_slice());
        }
        // What http cannot even say does not get to the router.
        let Ok(mut request) = request.body(Body::from(body.clone())) else {
            return StatusCode::OK;
        };
        request.extensions_mut().insert(self.source(*sender));
        let answer = timeout(LONG, self.router.clone().oneshot(request)).await;
        let (head, body) = answer
            .expect("an answer")
            .expect("never an error")
            .into_parts();
        let is_stream = head
            .headers
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream");
        if !is_stream {
            let body = timeout(LONG, body.collect()).await.expect("in time");
            let body = body.expect("a whole body").to_bytes();
            judge(head.status, &head.headers, &body, method == "HEAD");
        }
        head.status
    }

    /// Sends the bytes to the socket, or over TCP, and gives the status.
    async fn send(&self, asked: &Asked) -> StatusCode {
        let Asked {
            sender,
            method,
            target,
            headers,
            body,
        } = asked;
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if !headers.iter().any(|(name, _)| name == "content-length") {
            bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend([b"\r\n", body.as_slice()].concat());
        let answer = match sender {
            Sender::Member | Sender::Outsider => {
                let stream = UnixStream::connect(self.lab.socket())
                    .await
                    .expect("connected");
                send(stream, &bytes).await
            }
            Sender::Network | Sender::Token(_) => {
                let stream = TcpStream::connect(self.lab.address())
                    .await
                    .expect("connected");
                send(stream, &bytes).await
            }
        };
        judge_bytes(&answer, method == "HEAD")
    }
}

/// Sends what may or may not be a whole request, and reads what comes.
async fn send(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Vec<u8> {
    // It may be answered, and the connection closed, before it is read to its end.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let hang_up = Duration::from_millis(50);
    if timeout(hang_up, read(&mut stream, &mut answer))
        .await
        .is_err()
    {
        // It is not whole, and more is waited for; or it is a stream.
        let _ = stream.shutdown().await;
        timeout(LONG, read(&mut stream, &mut answer))
            .await
            .expect("it ends");
    }
    answer
}

/// Reads to the end, or to where a stream of events has begun.
async fn read(stream: &mut (impl AsyncRead + Unpin), answer: &mut Vec<u8>) {
    let mut some = [0; 4096];
    while !answer.ends_with(b"retry: 1000\n\n\r\n") {
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend(&some[..count]),
        }
    }
}

/// The status of what came, which is nothing where the request was none.
fn judge_bytes(answer: &[u8], is_head: bool) -> StatusCode {
    let continues = b"HTTP/1.1 100 Continue\r\n\r\n";
    let answer = answer.strip_prefix(continues).unwrap_or(answer);
    if answer.is_empty() {
        return StatusCode::IM_A_TEAPOT;
    }
    let reply = Reply::of(answer);
    let status = StatusCode::from_u16(reply.status).expect("a status");
    // What is no HTTP is answered by hyper, without a body.
    let is_none =
        matches!(reply.status, 400 | 414 | 431) && reply.header("content-length") == Some("0");
    if !is_none {
        let mut headers = HeaderMap::new();
        for line in reply.head.lines().skip(1) {
            let (name, value) = line.split_once(": ").expect("a header");
            let name: http::HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        judge(status, &headers, &reply.body, is_head);
    }
    status
}

/// Holds an answer to what all answers are held to.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], is_head: bool) {
    assert!(
        status < StatusCode::INTERNAL_SERVER_ERROR
            || matches!(
                status,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
            ),
        "{status}: {}",
        String::from_utf8_lossy(body)
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    if status < StatusCode::BAD_REQUEST || (is_head && body.is_empty()) {
        return;
    }
    let reply = Reply {
        status: status.as_u16(),
        head: format!(
            "\r\ncontent-type: {}",
            headers["content-type"].to_str().expect("text")
        ),
        body: body.to_vec(),
    };
    let code = reply.problem(status.as_u16());
    assert!(
        !code.is_empty() && code != "refused",
        "{status} says nothing: {code}"
    );
    match status {
        StatusCode::UNAUTHORIZED => assert!(headers.contains_key("www-authenticate")),
        StatusCode::METHOD_NOT_ALLOWED => assert!(headers.contains_key("allow")),
        StatusCode::TOO_MANY_REQUESTS => assert!(headers.contains_key("retry-after")),
        _ => {}
    }
}

/// Asks as often as the environment says, divided by `part`; a request that fails is made as small as it goes.
fn ask_often(
    part: usize,
    target: Target,
    runtime: &Runtime,
    ask: impl AsyncFn(&Target, &Asked) -> StatusCode,
) {
    let seed: u64 = capture_tests::count_from_env("CAPTURE_TEST_SEED", 25) as u64;
    let cases = capture_tests::count_from_env("CAPTURE_TEST_REQUESTS", REQUESTS) / part;
    println!("seed: CAPTURE_TEST_SEED={seed}");
    let seed: [u8; 32] = std::array::from_fn(|place| seed.to_le_bytes()[place % 8]);
    let config = Config {
        cases: cases.try_into().expect("not that many"),
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let target = RefCell::new(target);
    let statuses = RefCell::new(BTreeMap::<_, usize>::new());
    let ran = runner.run(&requests(), |asked| {
        let mut target = target.borrow_mut();
        let status = runtime.block_on(async {
            let status = ask(&target, &target.fill(asked)).await;
            match status {
                StatusCode::ACCEPTED | StatusCode::NO_CONTENT => target.refill().await,
                StatusCode::INSUFFICIENT_STORAGE => target.tidy().await,
                _ => {}
            }
            status
        });
        *statuses.borrow_mut().entry(status.as_u16()).or_default() += 1;
        Ok(())
    });
    println!("answers: {:?}", statuses.borrow());
    if let Err(error) = ran {
        panic!("{error}");
    }
    let Target { lab, .. } = target.into_inner();
    runtime.block_on(async {
        for probe in ["/healthz", "/readyz"] {
            assert_eq!(lab.get(probe).await.status, 200);
        }
        lab.end().await;
    });
    // Otherwise the requests were not what they are meant to be.
    for status in [200, 201, 202, 204, 400, 401, 403, 404, 405, 415, 422] {
        let is_there = statuses.borrow().contains_key(&status);
        assert!(is_there, "nothing was answered by {status}");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

#[test]
fn no_request_makes_the_api_fail() {
    let runtime = runtime();
    let target = runtime.block_on(Target::new(false));
    ask_often(1, target, &runtime, Target::ask);
}

#[test]
fn no_bytes_make_the_api_fail() {
    let runtime = runtime();
    let target = runtime.block_on(Target::new(false));
    ask_often(2, target, &runtime, Target::send);
}

mod privileged {
    use capture_tests::rights;

    use super::*;

    #[test]
    fn no_request_about_a_running_task_makes_the_api_fail() {
        rights::as_unit();
        let runtime = runtime();
        let target = runtime.block_on(Target::new(true));
        ask_often(4, target, &runtime, Target::ask);
    }
}
