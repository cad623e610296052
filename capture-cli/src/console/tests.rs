//! The console as a browser meets it, in front of a daemon of these tests.

use axum::{
    Router, body::Body as AxumBody, extract::Request as AxumRequest, response::IntoResponse as _,
    routing::any,
};
use futures_util::stream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
    sync::mpsc,
    time::timeout,
};

use capture_client::{Address, Client};

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A console, and what its daemon is asked.
struct Lab {
    port: u16,
    once: String,
    asked: mpsc::UnboundedReceiver<String>,
    console: Arc<Console>,
    directory: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Lab {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("api.sock");
        let (tell, asked) = mpsc::unbounded_channel();
        let unix = UnixListener::bind(&socket).expect("a socket");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let router = Router::new().fallback(any(async move |request: AxumRequest| {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let mut headers: Vec<_> = parts
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
                    .collect();
                headers.sort();
                let body = String::from_utf8_lossy(&body);
                let text = format!(
                    "{} {}\n{}\n{body}",
                    parts.method,
                    parts.uri,
                    headers.join("\n")
                );
                let _ = tell.send(text);
                if parts.uri.path() == "/api/v1/events" {
                    // One event, and then nothing for ever.
                    let events = stream::unfold(false, async |was_sent| {
                        if was_sent {
                            std::future::pending::<()>().await;
                        }
                        Some((Ok::<_, std::io::Error>("data: 1\n\n"), true))
                    });
                    let kind = [("content-type", "text/event-stream")];
                    return (kind, AxumBody::from_stream(events)).into_response();
                }
                "fine".into_response()
            }));
            axum_serve(unix, router).await;
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (gate, once) = Gate::new(port, Instant::now()).expect("random bytes");
        let console = Arc::new(Console::new(gate, Client::new(Address::Socket(socket))));
        tasks.spawn(serve(listener, Arc::clone(&console)));
        Self {
            port,
            once: once.reveal().to_owned(),
            asked,
            console,
            directory,
            _tasks: tasks,
        }
    }

    async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await;
        stream.expect("connected")
    }

    /// A request as a browser of this console sends it, and the answer as text.
    async fn ask(&self, call: &str, headers: &str, body: &str) -> String {
        let mut stream = self.connect().await;
        let request = format!(
            "{call} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close, x-hop\r\nx-hop: 1\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        let read = timeout(LONG, stream.read_to_string(&mut answer)).await;
        read.expect("in time").expect("an answer");
        answer
    }

    /// The header of the browser that has shown the address.
    async fn enter(&self) -> String {
        let answer = self.ask(&format!("GET /?once={}", self.once), "", "").await;
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        assert!(answer.contains("location: /\r\n"), "{answer}");
        let cookie = answer
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let pair = cookie
            .and_then(|cookie| cookie.split_once(';'))
            .expect("a cookie")
            .0;
        format!("cookie: {pair}\r\n")
    }
}

/// A server of HTTP on a Unix socket.
async fn axum_serve(listener: UnixListener, router: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let router = router.clone();
        tokio::spawn(async move {
            let service = hyper_util::service::TowerToHyperService::new(router);
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

#[tokio::test]
async fn a_browser_that_shows_the_address_gets_through() {
    let mut lab = Lab::new().await;
    let outside = lab.ask("GET /", "", "").await;
    assert!(outside.starts_with("HTTP/1.1 403 "), "{outside}");
    assert!(outside.contains("open the address"), "{outside}");
    let outside = lab.ask("GET /api/v1/tasks", "", "").await;
    assert!(outside.contains("application/problem+json"), "{outside}");
    assert!(outside.contains("\"cookie_missing\""), "{outside}");

    let cookie = lab.enter().await;
    let again = lab.ask(&format!("GET /?once={}", lab.once), "", "").await;
    assert!(again.starts_with("HTTP/1.1 403 "), "{again}");
    lab.asked
        .try_recv()
        .expect_err("nothing of this came to the daemon");

    let answer = lab.ask("GET /api/v1/tasks?limit=5", &cookie, "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("fine"),
        "{answer}"
    );
    let asked = lab.asked.recv().await.expect("it came");
    assert_eq!(
        asked,
        "GET /api/v1/tasks?limit=5\ncontent-length: 0\nhost: localhost\n"
    );
    let headers = format!(
        "{cookie}origin: http://127.0.0.1:{}\r\nauthorization: Bearer x\r\ncontent-type: application/json\r\n",
        lab.port
    );
    lab.ask("POST /api/v1/tasks", &headers, "{}").await;
    let asked = lab.asked.recv().await.expect("it came");
    assert_eq!(
        asked,
        "POST /api/v1/tasks\ncontent-length: 2\ncontent-type: application/json\nhost: localhost\norigin: http://localhost\n{}"
    );
    assert_eq!(lab.console.requests.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_stream_comes_as_it_is_sent() {
    let lab = Lab::new().await;
    let cookie = lab.enter().await;
    let mut stream = lab.connect().await;
    let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n{cookie}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    // The daemon sends nothing more, and the event is here all the same.
    while !text.contains("data: 1\n\n") {
        let mut some = [0; 512];
        let count = timeout(LONG, stream.read(&mut some)).await;
        let count = count.expect("in time").expect("read");
        assert_ne!(count, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&some[..count]));
    }
}

#[tokio::test]
async fn a_daemon_that_is_gone_is_said() {
    let lab = Lab::new().await;
    let cookie = lab.enter().await;
    std::fs::remove_file(lab.directory.path().join("api.sock")).expect("it is there");
    let api = lab.ask("GET /api/v1/tasks", &cookie, "").await;
    assert!(
        api.starts_with("HTTP/1.1 502 ") && api.contains("\"unreachable\""),
        "{api}"
    );
    let page = lab.ask("GET /", &cookie, "").await;
    assert!(
        page.contains("text/plain") && page.contains("cannot be reached"),
        "{page}"
    );
}

#[tokio::test]
async fn connections_beyond_the_bound_wait() {
    let lab = Lab::new().await;
    let cookie = lab.enter().await;
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        held.push(lab.connect().await);
    }
    let asked = lab.ask("GET /api/v1/tasks", &cookie, "");
    let mut asked = std::pin::pin!(asked);
    let waited = timeout(Duration::from_millis(300), &mut asked).await;
    assert!(waited.is_err(), "{waited:?}");
    held.pop();
    let answer = timeout(LONG, asked).await.expect("in time");
    assert!(answer.ends_with("fine"), "{answer}");
}
