//! Outsiders before the real daemon: users and tokens that may not, foreign hosts and pages, names that
//! would be paths, and clients that want too much or never end. Each is refused or survived while the owner
//! is answered, and what is an act is in the audit log, without a token or a payload.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use capture_store::{
    AuditFilter, AuditLine, Chain, NewToken, Store,
    access::{Actor, Role},
    clock::SystemClock,
};
use capture_tests::{
    count_from_env,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually,
    http::{self, Answer},
    netns::{HOST_IF, Lab},
    traffic,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// Where the daemon listens besides its socket; the namespace is its own.
const ADDRESS: &str = "127.0.0.1:8080";

/// `nobody` of Debian.
const NOBODY: &str = "65534";

fn home() -> Arc<TempDir> {
    daemon::home(&format!("{UNLIMITED}\n[http]\nlisten = \"{ADDRESS}\""))
}

/// The daemon's store, opened beside it.
fn store(home: &TempDir) -> Store {
    let path = home.path().join("state.db");
    Store::open_existing(&path, Arc::new(SystemClock)).expect("the daemon's store")
}

fn token(store: &Store, name: &str, role: Role) -> String {
    let new = NewToken {
        name: name.to_owned(),
        role,
        account: None,
        expires_at: None,
    };
    let made = store.token_create(&new, &Actor::command());
    made.expect("a token").1.reveal().to_owned()
}

/// The audit log, oldest line first. It must be whole.
fn audit(store: &Store) -> Vec<AuditLine> {
    let chain = store.audit_verify(&Actor::command()).expect("a log");
    assert!(matches!(chain, Chain::Verified { .. }), "{chain:?}");
    let filter = AuditFilter {
        limit: 1000,
        ..AuditFilter::default()
    };
    let lines = store.audit_list(&filter, &Actor::command());
    let mut lines = lines.expect("a log");
    lines.reverse();
    lines
}

fn tcp(lab: &Lab, headers: &[(&str, &str)], method: &str, path: &str, body: &[u8]) -> Answer {
    let address: SocketAddr = ADDRESS.parse().expect("an address");
    let target = format!("/api/v1{path}");
    let asked = lab
        .host
        .within(|| http::ask_tcp(address, method, &target, headers, body));
    asked.unwrap_or_else(|error| panic!("{method} {target}: {error}"))
}

/// The first code of a refusal.
#[track_caller]
fn refused(answer: Answer, status: u16) -> String {
    answer.problem(status).remove(0).1
}

/// The owner is answered, and soon.
#[track_caller]
fn assert_serves_its_owner(daemon: &Daemon) {
    let began = Instant::now();
    daemon.ask("GET", "/tasks", None).expect(200);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn tokens_that_may_not_are_refused_and_noted() {
    let lab = Lab::new();
    let home = home();
    let daemon = daemon::start_in(&lab.host, &home);
    let store = store(&home);
    let viewer = token(&store, "viewer", Role::Viewer);
    let operator = token(&store, "operator", Role::Operator);
    let revoked = token(&store, "revoked", Role::Admin);
    let unknown = format!("cap_{}", "0".repeat(64));
    store
        .token_revoke("revoked", &Actor::command())
        .expect("it was there");
    let id = daemon.run(udp_task(json!({"name": "the owner's"})));
    traffic::send_to_host(&lab, 0..50, 500);
    daemon.captured(&id, 50);

    let bearer = |token: &str| format!("Bearer {token}");
    let tasks = "/tasks";
    let none = tcp(&lab, &[], "GET", tasks, b"");
    assert!(none.header("www-authenticate").is_some());
    assert_eq!(refused(none, 401), "token_missing");
    for token in [&unknown, &revoked] {
        let header = ("Authorization", &*bearer(token));
        let answer = tcp(&lab, &[header], "GET", tasks, b"");
        assert_eq!(refused(answer, 401), "token_invalid");
    }
    // Whoever may not is refused before it is looked whether the task is there.
    let [stop, file] = [
        format!("{tasks}/{id}/stop"),
        format!("{tasks}/{id}/files/0"),
    ];
    let one = format!("{tasks}/{id}");
    let json = ("Content-Type", "application/json");
    let task = udp_task(json!({"name": "not for you"})).to_string();
    let wrong: [(&str, &str, &str, &[u8]); 5] = [
        (&viewer, "POST", &stop, b""),
        (&viewer, "POST", tasks, task.as_bytes()),
        (&viewer, "DELETE", &one, b""),
        (&viewer, "GET", &file, b""),
        // The task of another account is for administrators.
        (&operator, "DELETE", &format!("{one}?force=true"), b""),
    ];
    for (token, method, path, body) in wrong {
        let headers = [("Authorization", &*bearer(token)), json];
        let answer = tcp(&lab, &headers, method, path, body);
        assert_eq!(refused(answer, 403), "role", "{method} {path}");
    }
    let header = ("Authorization", &*bearer(&viewer));
    tcp(&lab, &[header], "GET", &one, b"").expect(200);
    assert_eq!(daemon.task(&id)["state"], "running");

    // A name that is not ours, and a page that is not ours, with a token and on the socket.
    let header = ("Authorization", &*bearer(&operator));
    for (other, code) in [
        (("Host", "evil.example"), "foreign_host"),
        (("Origin", "https://evil.example"), "foreign_origin"),
        (("Origin", "null"), "foreign_origin"),
    ] {
        let answer = tcp(&lab, &[header, other], "GET", tasks, b"");
        assert_eq!(refused(answer, 403), code);
        let answer = http::ask(&daemon.socket(), "GET", "/api/v1/tasks", &[other], b"");
        assert_eq!(refused(answer.expect("an answer"), 403), code);
    }
    daemon.stop_task(&id);

    let lines = audit(&store);
    let count = |action: &str, outcome: &str| {
        let is = |line: &&AuditLine| line.action == action && line.outcome == outcome;
        lines.iter().filter(is).count()
    };
    for (action, outcome, times) in [
        ("access", "refused: token_missing", 1),
        ("access", "refused: token_invalid", 2),
        ("access", "refused: foreign_host", 2),
        ("access", "refused: foreign_origin", 4),
        ("task.create", "refused: role", 1),
        ("task.stop", "refused: not allowed", 1),
        ("task.delete", "refused: not allowed", 2),
        ("file.download", "refused: not allowed", 1),
        ("task.create", "done", 1),
        ("task.stop", "done", 1),
    ] {
        assert_eq!(
            count(action, outcome),
            times,
            "{action} {outcome}: {lines:#?}"
        );
    }
    let by = |who: &str| lines.iter().any(|line| line.who.starts_with(who));
    assert!(
        by("token viewer ") && by("token operator ") && by("uid 0"),
        "{lines:#?}"
    );

    // Not even the hashed ones, in any file but the database's table of hashes, where they are bytes.
    let ended = daemon.stop();
    let database = fs::read_dir(home.path()).expect("a directory").flatten();
    let mut texts: Vec<Vec<u8>> = database
        .filter(|entry| entry.path().is_file())
        .map(|entry| fs::read(entry.path()).expect("it can be read"))
        .collect();
    texts.push(ended.stderr.into_bytes());
    let payload = traffic::numbered(7, 64);
    for secret in [&viewer, &operator, &revoked, &unknown] {
        assert!(!texts.iter().any(|text| holds(text, secret.as_bytes())));
    }
    assert!(!texts.iter().any(|text| holds(text, &payload[..16])));
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn another_user_on_the_socket_is_refused_by_its_mode_and_by_who_it_is() {
    let lab = Lab::new();
    let home = home();
    let daemon = daemon::start_in(&lab.host, &home);
    let curl = || {
        let mut curl = Command::new("setpriv");
        curl.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        curl.args(["curl", "-s", "-w", " %{http_code}", "--unix-socket"]);
        curl.arg(daemon.socket());
        curl.arg("http://localhost/api/v1/tasks");
        let done = curl.output().expect("setpriv starts");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let open = |path: &Path| {
        let all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(path, all).expect("it is ours");
    };
    open(home.path());
    assert!(curl().ends_with(" 000"), "{}", curl());
    open(&daemon.socket());
    let answer = curl();
    assert!(
        answer.contains("\"not_a_member\"") && answer.ends_with(" 403"),
        "{answer}"
    );
    let lines = audit(&store(&home));
    let line = lines.iter().find(|line| line.action == "access");
    let line = line.expect("a refusal");
    assert_eq!(line.who, format!("uid {NOBODY}"));
    assert_eq!(line.outcome, "refused: not_a_member");
    assert_serves_its_owner(&daemon);
    daemon.stop();
}

/// Everything below a directory.
fn tree(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path.clone());
            }
            found.insert(path.display().to_string());
        }
    }
    found
}

/// What would be a path if anybody took it for one.
const PATHS: [&str; 6] = [
    "../../../../../../tmp/escaped",
    "/tmp/escaped",
    "..",
    "a/../../b",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..\\..\\escaped",
];

#[test]
fn no_string_from_outside_is_a_path() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let before = tree(daemon.home().path());
    // A name may be anything printable. It is a name in the header of a download, and not more.
    for path in PATHS {
        let mut task = udp_task(json!({"name": path}));
        task["max_packets"] = json!(1);
        let id = daemon.run(task);
        traffic::send_to_host(&lab, 0..1, 100);
        let task = daemon.ended(&id);
        assert_eq!(task["name"], path);
        assert_eq!(task["files"][0]["name"], "capture.pcapng");
        let answer = daemon.ask("GET", &format!("/tasks/{id}/files/0"), None);
        let name = answer.header("content-disposition").expect("a name");
        let plain = name.split('"').nth(1).expect("a quoted name");
        assert!(
            !plain.contains(['/', '\\']) && !plain.starts_with('.'),
            "{name}"
        );
        daemon
            .ask("DELETE", &format!("/tasks/{id}"), None)
            .expect(204);
        // The same in every other string of a task, and as a field's name, is a fault.
        for field in [
            "direction",
            "hook",
            "protocol",
            "address_type",
            "ip",
            "peer_ip",
            "max_bytes",
            "oversize",
            "duration",
            "max_packets",
            "max_file_bytes",
            "format",
            "start_at",
            path,
        ] {
            let mut task = udp_task(json!({"name": "a task"}));
            task[field] = json!(path);
            let errors = daemon.ask("POST", "/tasks", Some(&task)).problem(422);
            assert!(!errors.is_empty(), "{field}");
        }
        for task in [
            json!({"name": "n", "interfaces": [path]}),
            json!({"name": "n", "interfaces": [HOST_IF], "ip": "10.0.0.1", "ports": [path]}),
            json!({"name": "n", "interfaces": [HOST_IF], "rotate": {"bytes": path}}),
            json!({"name": "n", "interfaces": [HOST_IF], "rotate": {path: 1}}),
        ] {
            daemon.ask("POST", "/tasks", Some(&task)).problem(422);
        }
        let headers = [
            ("Idempotency-Key", path),
            ("Content-Type", "application/json"),
        ];
        let target = "/api/v1/tasks?dry_run=true";
        let body = udp_task(json!({"name": "n"})).to_string();
        let answer = http::ask(&daemon.socket(), "POST", target, &headers, body.as_bytes());
        answer.expect("an answer").expect(200);
    }
    let id = daemon.run(udp_task(json!({"name": "one"})));
    for path in PATHS.into_iter().chain(["%00", "%ff", "~root", ".lock"]) {
        for target in [
            format!("/tasks/{path}"),
            format!("/tasks/{path}/files/0"),
            format!("/tasks/{id}/files/{path}"),
            format!("/tasks/{id}/{path}"),
            format!("/{path}"),
            format!("/../..{path}"),
        ] {
            let answer = daemon.ask("GET", &target, None);
            assert!(
                matches!(answer.status, 404 | 405),
                "{target}: {}",
                answer.text()
            );
            let answer = daemon.ask("DELETE", &target, None);
            assert!(
                matches!(answer.status, 404 | 405),
                "{target}: {}",
                answer.text()
            );
        }
    }
    for query in ["state", "cursor", "limit"] {
        let target = format!("/tasks?{query}=../../etc/passwd");
        daemon.ask("GET", &target, None).problem(400);
    }
    daemon.stop_task(&id);
    daemon
        .ask("DELETE", &format!("/tasks/{id}"), None)
        .expect(204);
    assert_eq!(tree(daemon.home().path()), before);
    assert!(!Path::new("/tmp/escaped").exists());
    daemon.stop();
}

/// Sends up to a gibibyte, or until nobody takes it; gives the answer, and what was taken.
fn flood(daemon: &Daemon, head: &str, chunk: &[u8]) -> (Answer, usize) {
    let mut stream = UnixStream::connect(daemon.socket()).expect("connected");
    let start = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
    );
    stream.write_all(start.as_bytes()).expect("sent");
    let mut reader = stream.try_clone().expect("a second handle");
    let reader = thread::spawn(move || {
        let mut answer = Vec::new();
        // The end may be a reset, as not everything was read.
        let _ = reader.read_to_end(&mut answer);
        http::read(&mut answer.as_slice())
    });
    let mut sent = 0;
    while sent < 1 << 30 && stream.write_all(chunk).is_ok() {
        sent += chunk.len();
    }
    (reader.join().expect("it reads").expect("an answer"), sent)
}

#[test]
fn a_body_of_a_gibibyte_is_not_read() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let before = daemon.status("VmHWM");
    let length = format!("Content-Length: {}", 1 << 30);
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 65536], b"\r\n"].concat();
    for (head, chunk) in [
        (&*length, &[b' '; 65536][..]),
        ("Transfer-Encoding: chunked", &chunk),
    ] {
        let (answer, sent) = flood(&daemon, head, chunk);
        assert_eq!(refused(answer, 413), "too_large");
        assert!(sent < 8 << 20, "{sent} bytes were taken");
        assert_serves_its_owner(&daemon);
    }
    let grown = daemon.status("VmHWM") - before;
    assert!(grown < 32 << 10, "{grown} KiB");
    daemon.stop();
}

/// As many descriptors as root may have.
fn many_descriptors() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("root may");
    }
}

#[test]
fn idle_connections_lock_nobody_out() {
    many_descriptors();
    let count = count_from_env("CAPTURE_TEST_IDLE", 10_000);
    let lab = Lab::new();
    let home = home();
    let daemon = daemon::start_in(&lab.host, &home);
    let store = store(&home);
    let token = token(&store, "viewer", Role::Viewer);
    assert_serves_its_owner(&daemon);
    let before = (daemon.status("VmHWM"), daemon.descriptors());
    let address: SocketAddr = ADDRESS.parse().expect("an address");
    // They come by both ways, and stay as long as they are let.
    let mut idle = Vec::new();
    for number in 0..count / 2 {
        let stream = UnixStream::connect(daemon.socket()).expect("connected");
        let mut stream_tcp = connect_tcp(&lab, address);
        if number % 2 == 0 {
            // Not even a whole head.
            let _ = stream_tcp.write_all(b"GET /api");
        }
        idle.push((stream, stream_tcp));
        if number % 1000 == 0 {
            assert_serves_its_owner(&daemon);
        }
    }
    assert_serves_its_owner(&daemon);
    let header = [("Authorization", &*format!("Bearer {token}"))];
    tcp(&lab, &header, "GET", "/tasks", b"").expect(200);
    let held = daemon.descriptors() - before.1;
    assert!(held < 700, "{held} descriptors");
    let grown = daemon.status("VmHWM") - before.0;
    println!("{count} idle connections: {held} descriptors, {grown} KiB");
    assert!(grown < 64 << 10, "{grown} KiB");
    drop(idle);
    assert_lets_go(&daemon, before.1);
    daemon.stop();
}

/// The daemon has no more descriptors than it had before, soon.
fn assert_lets_go(daemon: &Daemon, before: usize) {
    let gone = eventually(LIMIT, || daemon.descriptors() <= before);
    let now = daemon.descriptors();
    assert!(gone, "{now} descriptors, {before} before");
}

/// A connection from the daemon's namespace.
fn connect_tcp(lab: &Lab, address: SocketAddr) -> TcpStream {
    lab.host
        .within(|| TcpStream::connect(address).expect("connected"))
}

/// Readers that do not read, and heads that do not end: each is cut off in time, and until then costs
/// little.
#[test]
fn whoever_takes_for_ever_is_cut_off() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({"name": "large"})));
    traffic::send_to_host(&lab, 0..10_000, 1400);
    daemon.captured(&id, 10_000);
    let size = daemon.stop_task(&id)["files"][0]["size"].clone();
    assert!(size.as_u64() > Some(10 << 20), "{size}");
    assert_serves_its_owner(&daemon);
    let before = (daemon.status("VmHWM"), daemon.descriptors());

    let connect = |text: &str| {
        let mut stream = UnixStream::connect(daemon.socket()).expect("connected");
        stream.write_all(text.as_bytes()).expect("sent");
        stream
    };
    let download = format!("GET /api/v1/tasks/{id}/files/0 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let readers: Vec<_> = (0..50).map(|_| connect(&download)).collect();
    let mut heads: Vec<_> = (0..50)
        .map(|_| connect("GET /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\n"))
        .collect();
    let mut open = heads.len();
    let began = Instant::now();
    // One more header a second is not enough.
    while open > 0 && began.elapsed() < LIMIT {
        thread::sleep(Duration::from_secs(1));
        heads.retain_mut(|head| head.write_all(b"X-Slow: 1\r\n").is_ok());
        open = heads.len();
        assert_serves_its_owner(&daemon);
    }
    assert_eq!(open, 0, "slow heads are still heard");
    println!("slow heads are cut off after {:?}", began.elapsed());
    let grown = daemon.status("VmHWM") - before.0;
    println!("100 slow clients: {grown} KiB");
    assert!(grown < 64 << 10, "{grown} KiB");
    // Half a minute is long for a test; a usual run lets go of them.
    if count_from_env("CAPTURE_TEST_PATIENCE", 0) == 0 {
        drop(readers);
    }
    assert_lets_go(&daemon, before.1);
    println!("slow readers are gone after {:?}", began.elapsed());
    daemon.stop();
}

/// Whoever reads slowly gets no more of a capture than what was on its way when their token was revoked.
#[test]
fn a_download_ends_with_its_token() {
    let lab = Lab::new();
    let home = home();
    let daemon = daemon::start_in(&lab.host, &home);
    let id = daemon.run(udp_task(json!({"name": "large"})));
    traffic::send_to_host(&lab, 0..20_000, 1400);
    daemon.captured(&id, 20_000);
    let size = daemon.stop_task(&id)["files"][0]["size"].as_u64();
    let size = size.expect("a size") as usize;
    let store = store(&home);
    let address = ADDRESS.parse().expect("an address");
    let begin = |name| {
        let token = token(&store, name, Role::Operator);
        let mut stream = connect_tcp(&lab, address);
        let request = format!(
            "GET /api/v1/tasks/{id}/files/0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut first = [0; 1000];
        stream.read_exact(&mut first).expect("the beginning");
        assert!(first.starts_with(b"HTTP/1.1 200 "));
        stream
    };
    let (stays, revoked) = (begin("stays"), begin("revoked"));
    store
        .token_revoke("revoked", &Actor::command())
        .expect("it is in use");
    // It is looked at once a second, and what is blocked by its reader shows nothing of it.
    thread::sleep(Duration::from_millis(1500));
    let rest = |mut stream: TcpStream| {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        println!("{} bytes of {size}, and then {ended:?}", rest.len());
        rest.len()
    };
    assert!(rest(stays) > size - 1000);
    assert!(rest(revoked) < size - 1000);
    daemon.stop();
}
