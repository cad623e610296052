//! The API as its clients see it: the real router on real sockets, with a store on disk. Only
//! [`captures`] starts tasks, and needs privileges.

mod admin;
mod anything;
mod calls;
mod captures;
mod limits;
mod outsiders;
mod requests;
mod sessions;
mod shared_packets;
mod shares;
mod values;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use capture_store::{
    AuditFilter, AuditLine, NewToken, Store,
    access::{Actor, Role},
    clock::{Clock, SystemClock},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{About, Server, server::Limits};
use crate::{config::LiveConfig, storage::Storage, tasks::Tasks};

/// Nothing here takes longer, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// A daemon without the engine.
struct Lab {
    directory: TempDir,
    config: Arc<LiveConfig>,
    tasks: Tasks,
    server: Server,
}

impl Lab {
    fn new() -> Self {
        Self::with("", Limits::default())
    }

    /// With lines of the section `[http]`.
    fn with(http: &str, limits: Limits) -> Self {
        Self::at(http, limits, Arc::new(SystemClock))
    }

    /// With a clock of the test.
    fn at(http: &str, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().display();
        let group = nix::unistd::Group::from_gid(nix::unistd::getegid());
        let group = group
            .expect("groups")
            .map_or("root".to_owned(), |group| group.name);
        let text = format!(
            "[paths]\ndatabase = \"{root}/state/db\"\ncaptures = \"{root}/captures\"\nsocket = \"{root}/api.sock\"\n\
             [access]\nsocket_group = \"{group}\"\n[http]\n{http}\n"
        );
        let file = directory.path().join("config.toml");
        fs::write(&file, text).expect("written");
        let config = Arc::new(LiveConfig::load(Some(&file)).expect("a configuration"));
        let now = config.get();
        let storage = Storage::open(
            &now.paths.captures,
            now.limits.disk_budget,
            now.capture.keep_free,
        );
        let store = Store::open(&now.paths.database, clock.clone()).expect("a store");
        let storage = storage.expect("a directory of captures");
        let tasks = Tasks::start(Arc::clone(&config), store, storage, clock, None).expect("tasks");
        let server = Server::start_with(&now, tasks.clone(), About::now("0123abc"), limits)
            .expect("a server");
        Self {
            directory,
            config,
            tasks,
            server,
        }
    }

    /// On TCP without TLS.
    fn tcp() -> Self {
        Self::with("listen = \"127.0.0.1:0\"", Limits::default())
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("api.sock")
    }

    fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    fn token(&self, role: Role) -> String {
        let new = NewToken {
            name: format!("{role:?}"),
            role,
            account: None,
            expires_at: None,
        };
        let made = self.tasks.store().token_create(&new, &Actor::command());
        made.expect("a token").1.reveal().to_owned()
    }

    /// One request on the Unix socket.
    async fn ask(&self, request: &str) -> Reply {
        let stream = UnixStream::connect(self.socket()).await.expect("connected");
        exchange(stream, request, "localhost").await
    }

    /// One request over TCP.
    async fn ask_tcp(&self, request: &str, host: &str) -> Reply {
        let stream = TcpStream::connect(self.address()).await.expect("connected");
        exchange(stream, request, host).await
    }

    async fn post(&self, path: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        ))
        .await
    }

    /// The status, if there is an answer.
    async fn try_get(&self, path: &str) -> Option<u16> {
        let mut stream = UnixStream::connect(self.socket()).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        // It may be refused before it is read.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        (!answer.is_empty()).then(|| Reply::of(&answer).status)
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\n\r\n")).await
    }

    /// The audit log, oldest line first.
    fn audit(&self) -> Vec<AuditLine> {
        audit(self.tasks.store())
    }

    /// One request with a body of JSON over TCP, from a page of ours.
    async fn send_tcp(&self, call: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let request = format!(
            "{call} HTTP/1.1\r\ncontent-type: application/json\r\norigin: http://localhost\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        self.ask_tcp(&request, "localhost").await
    }

    /// Logs in with a token, and gives the header by which a browser goes on.
    async fn log_in(&self, token: &str) -> String {
        let body = serde_json::json!({ "token": token }).to_string();
        let reply = self.send_tcp("POST /api/v1/session", "", &body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let cookie = reply.header("set-cookie").expect("a cookie");
        let (pair, attributes) = cookie.split_once(';').expect("attributes");
        assert_eq!(attributes, " HttpOnly; Secure; SameSite=Strict; Path=/");
        assert!(pair.starts_with("__Host-session=ses_"), "{pair}");
        format!("cookie: {pair}\r\n")
    }

    /// Action and outcome of the lines that are about the API.
    fn acts(&self) -> Vec<(String, String)> {
        acts(self.audit())
    }

    /// The same, after the end.
    async fn end_with_acts(self) -> Vec<(String, String)> {
        let store = self.tasks.store().clone();
        self.end().await;
        acts(audit(&store))
    }

    async fn end(self) {
        let socket = self.socket();
        assert_eq!(self.server.stop(LONG).await, Vec::<String>::new());
        assert_eq!(self.tasks.shutdown(LONG).await, Vec::<String>::new());
        assert!(!socket.exists());
    }
}

fn audit(store: &Store) -> Vec<AuditLine> {
    let filter = AuditFilter {
        limit: 1000,
        ..AuditFilter::default()
    };
    let lines = store.audit_list(&filter, &Actor::command());
    let mut lines = lines.expect("a log");
    lines.reverse();
    lines
}

fn acts(lines: Vec<AuditLine>) -> Vec<(String, String)> {
    let lines = lines.into_iter();
    let lines = lines.filter(|line| line.from != "command" && line.from != "internal");
    lines.map(|line| (line.action, line.outcome)).collect()
}

/// An answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).expect("a status");
        Self {
            status: status.parse().expect("a status"),
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Asserts that it is a problem with all its fields, and gives its first code.
    #[track_caller]
    fn problem(&self, status: u16) -> String {
        assert_eq!(
            self.status,
            status,
            "{}\n{}",
            self.head,
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let json = self.json();
        let keys: Vec<_> = json
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        assert_eq!(keys, ["detail", "errors", "status", "title", "type"]);
        assert_eq!(json["status"], status);
        let errors = json["errors"].as_array().expect("a list");
        for error in errors {
            assert!(error["pointer"].is_string() && error["detail"].is_string());
        }
        errors[0]["code"].as_str().expect("a code").to_owned()
    }
}

/// Sends a request that has no `Host` yet, and reads the answer to its end.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    host: &str,
) -> Reply {
    let (line, rest) = request.split_once("\r\n").expect("a request line");
    let request = format!("{line}\r\nhost: {host}\r\nconnection: close\r\n{rest}");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    timeout(LONG, stream.read_to_end(&mut bytes))
        .await
        .expect("an answer in time")
        .expect("an answer");
    Reply::of(&bytes)
}

/// The next event of this name; figures come in between.
async fn event(stream: &mut (impl AsyncRead + Unpin), name: &str) -> String {
    let begin = format!("event: {name}\n");
    loop {
        let text = until(stream, "\n\n").await;
        if text.contains(&begin) {
            return text;
        }
    }
}

/// Reads until `end` has come, and not a byte more.
async fn until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut some = [0; 1];
        let count = timeout(LONG, stream.read(&mut some))
            .await
            .expect("in time")
            .expect("read");
        assert_ne!(count, 0, "the stream has ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    text
}

/// A certificate for localhost, and its key.
fn certificate(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let cert = directory.join(format!("{name}.pem"));
    let key = directory.join(format!("{name}.key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj"])
        .arg(format!("/CN={name}"))
        .args([
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-out",
        ])
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    (cert, key)
}
