//! Shares: what their secret opens, and that it opens nothing else.

use capture_store::{
    Change, CreateLimits, Creation, NewTask, QuotaRules, TaskEnd, TaskId, clock::FakeClock,
};
use capture_task::task::{Counters, FileRecord, StopReason, TaskSpec};
use serde_json::json;

use super::*;
use crate::api::openapi;

pub(super) const CLIENT: [u8; 4] = [198, 51, 100, 77];
pub(super) const SERVER: [u8; 4] = [10, 83, 97, 211];
pub(super) const SECRET: &[u8] = b"hunter2";

/// A frame of UDP with a secret in it, and one of a TCP connection that nobody answers.
fn frames() -> Vec<Vec<u8>> {
    let ip = |protocol: u8, transport: &[u8]| {
        let len = (20 + transport.len()) as u16;
        let link = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &[0x45, 0]].concat();
        let rest = [0, 1, 0, 0, 64, protocol, 0, 0];
        let header = [&link[..], &len.to_be_bytes(), &rest, &CLIENT, &SERVER].concat();
        [&header[..], transport].concat()
    };
    let datagram = [&[0x13, 0x88, 0x13, 0x89, 0, 15, 0, 0][..], SECRET].concat();
    let mut frames = vec![ip(17, &datagram)];
    for port in (0..40).map(|n| n / 4) {
        let mut syn = vec![0x80, port, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2];
        syn.extend([0xff, 0xff, 0, 0, 0, 0]);
        frames.push(ip(6, &syn));
    }
    frames
}

/// A pcap file of a second a packet.
fn pcap() -> Vec<u8> {
    let words = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for (second, frame) in (1_767_225_600_u32..).zip(frames()) {
        let len = frame.len() as u32;
        bytes.extend(
            [second, 0, len, len]
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        bytes.extend(frame);
    }
    bytes
}

pub(super) fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

impl Lab {
    /// How many lines of the audit log say that a share was refused.
    fn refused_shares(&self) -> usize {
        let acts = self.acts().into_iter();
        acts.filter(|(_, outcome)| outcome == "refused: share_invalid")
            .count()
    }

    /// A task that has ended with a file of those packets, and is called after an address.
    pub(super) fn ended(&self) -> TaskId {
        let store = self.tasks.store();
        let name = "from 198.51.100.77".to_owned();
        let new = NewTask {
            spec: TaskSpec {
                name: Some(name.clone()),
                interfaces: vec!["lo".to_owned()],
                format: Some("pcap".to_owned()),
                ..TaskSpec::default()
            },
            name,
            summary: "on lo".to_owned(),
            start_at: None,
            max_file_bytes: 1 << 20,
            key: None,
        };
        let limits = CreateLimits {
            quota: QuotaRules::default(),
            disk_budget: 10 << 30,
            used_bytes: 0,
            evicts: false,
            full_disk: None,
        };
        let Ok(Creation::New(record)) = store.create(&new, &limits, &Actor::daemon()) else {
            panic!("a task");
        };
        let id: TaskId = record.id.parse().expect("a ULID");
        let bytes = pcap();
        let at = self.tasks.now();
        let end = TaskEnd {
            at,
            reason: StopReason::Duration,
            error: None,
            counters: Counters::default(),
            verdict: Some("complete".to_owned()),
            files: vec![FileRecord {
                index: 0,
                name: "capture.pcap".to_owned(),
                size: bytes.len() as u64,
                packets: frames().len() as u64,
                complete: true,
                sha256: None,
            }],
            expires_at: at + jiff::SignedDuration::from_hours(168),
        };
        for change in [Change::Started { at }, Change::Stopping, Change::Ended(end)] {
            assert!(store.update(&id, &change).is_ok());
        }
        let directory = self.directory.path().join("captures").join(id.to_string());
        fs::create_dir(&directory).expect("made");
        fs::write(directory.join("capture.pcap"), bytes).expect("written");
        id
    }

    /// Shares a task, and gives the ID and the secret.
    pub(super) async fn share(&self, id: &TaskId, share: Value) -> (String, String) {
        let path = format!("/api/v1/tasks/{id}/shares");
        let made = self.post(&path, "", &share.to_string()).await;
        assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
        let made = made.json();
        let url = made["url"].as_str().expect("a path");
        let secret = url.strip_prefix("/#/share/").expect("a fragment");
        let id = made["share"]["id"].as_str().expect("an ID");
        (id.to_owned(), secret.to_owned())
    }

    /// Names of the copies beside a task's files.
    fn copies(&self, id: &TaskId) -> Vec<String> {
        let directory = self.directory.path().join("captures").join(id.to_string());
        let entries = fs::read_dir(directory).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.into_string().expect("UTF-8"));
        let mut names: Vec<_> = names.filter(|name| name.starts_with("shared")).collect();
        names.sort();
        names
    }

    /// Over TCP, with the secret of a share and nothing else.
    pub(super) async fn by_share(&self, secret: &str, call: &str) -> Reply {
        let request = format!("{call} HTTP/1.1\r\nshare: {secret}\r\n\r\n");
        self.ask_tcp(&request, "localhost").await
    }
}

#[tokio::test]
async fn an_anonymous_share_shows_nothing_of_addresses_and_payload() {
    let lab = Lab::tcp();
    let id = lab.ended();
    let wanted = json!({"expires_in": 3600, "findings": true, "packets": "headers", "note": "for the vendor"});
    let (share, secret) = lab.share(&id, wanted).await;
    let shown = lab.by_share(&secret, "GET /api/v1/shared").await;
    assert_eq!(shown.status, 200);
    let json = shown.json();
    assert_eq!(json["packets"], "headers");
    assert_eq!(json["anonymise"], true);
    assert_eq!(
        (&json["task"]["name"], &json["task"]["state"]),
        (&Value::Null, &"completed".into())
    );
    let findings = json["findings"]["findings"].as_array().expect("a list");
    assert!(!findings.is_empty(), "{json}");
    let file = lab.by_share(&secret, "GET /api/v1/shared/file").await;
    assert_eq!(file.status, 200);
    assert_eq!(
        file.header("content-disposition"),
        Some("attachment; filename=\"capture.pcapng\"")
    );
    let all = pcap();
    assert!(holds(&all, &CLIENT) && holds(&all, SECRET));
    for reply in [&shown, &file] {
        let bytes = [reply.head.as_bytes(), &reply.body].concat();
        for trace in [
            &CLIENT[..],
            &SERVER,
            b"198.51.100.77",
            b"10.83.97.211",
            SECRET,
        ] {
            assert!(!holds(&bytes, trace), "{trace:?}");
        }
        assert!(!holds(&bytes, id.to_string().as_bytes()));
    }
    // The findings are about the hosts that the file shows: a private network stays one.
    let server = json["findings"]["findings"][0]["subject"]["destination"].as_str();
    let server: std::net::Ipv4Addr = server.expect("an address").parse().expect("of IPv4");
    assert!(server.is_private() && server.octets() != SERVER);
    assert!(holds(&file.body, &server.octets()));
    // A part of it, as of any file.
    let range =
        format!("GET /api/v1/shared/file HTTP/1.1\r\nshare: {secret}\r\nrange: bytes=0-3\r\n\r\n");
    let part = lab.ask_tcp(&range, "localhost").await;
    assert_eq!((part.status, &part.body[..]), (206, &file.body[..4]));
    // A download of the same task has the same pseudonyms.
    let token = lab.token(Role::Operator);
    let call = format!(
        "GET /api/v1/tasks/{id}/files/0?anonymise=true HTTP/1.1\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let download = lab.ask_tcp(&call, "localhost").await;
    assert_eq!(download.status, 200);
    assert_eq!(chunked(&download.body), file.body);

    let list = lab.get(&format!("/api/v1/tasks/{id}/shares")).await.json();
    let listed = &list["shares"][0];
    assert_eq!(
        (&listed["id"], &listed["uses"]),
        (&share.as_str().into(), &3.into())
    );
    assert_eq!(listed["note"], "for the vendor");
    assert!(!list.to_string().contains(&secret));
    let lines = lab.audit();
    let uses = lines.iter().filter(|line| line.action == "share.use");
    let uses: Vec<_> = uses
        .map(|line| (line.who.as_str(), line.object.as_str()))
        .collect();
    let who = format!("share {share}");
    let object = |what: &str| format!("{id} share {share}: {what}");
    assert_eq!(
        uses,
        [
            (who.as_str(), object("task").as_str()),
            (&who, &object("file"))
        ]
    );
    assert!(
        lines
            .iter()
            .all(|line| !line.object.contains(&secret) && !line.outcome.contains(&secret))
    );
    lab.end().await;
}

/// The body of an answer without a length.
fn chunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body
            .windows(2)
            .position(|window| window == b"\r\n")
            .expect("a chunk");
        let len = std::str::from_utf8(&body[..end]).expect("hexadecimal");
        let len = usize::from_str_radix(len, 16).expect("hexadecimal");
        if len == 0 {
            return whole;
        }
        whole.extend(&body[end + 2..end + 2 + len]);
        body = &body[end + 4 + len..];
    }
}

#[tokio::test]
async fn each_share_shows_what_it_is_for() {
    let lab = Lab::tcp();
    let id = lab.ended();
    let (_, none) = lab.share(&id, json!({"expires_in": 60})).await;
    let shown = lab.by_share(&none, "GET /api/v1/shared").await.json();
    assert_eq!(
        (&shown["findings"], &shown["packets"]),
        (&Value::Null, &"none".into())
    );
    let file = lab.by_share(&none, "GET /api/v1/shared/file").await;
    assert_eq!(file.problem(409), "not_shared");

    let whole = json!({"expires_in": 60, "packets": "whole", "anonymise": false});
    let (_, whole) = lab.share(&id, whole).await;
    let shown = lab.by_share(&whole, "GET /api/v1/shared").await.json();
    assert_eq!(shown["task"]["name"], "from 198.51.100.77");
    let file = lab.by_share(&whole, "GET /api/v1/shared/file").await;
    assert!(holds(&file.body, SECRET) && holds(&file.body, &CLIENT));

    let headers = json!({"expires_in": 60, "packets": "headers", "anonymise": false});
    let (_, headers) = lab.share(&id, headers).await;
    let file = lab.by_share(&headers, "GET /api/v1/shared/file").await;
    assert!(!holds(&file.body, SECRET) && holds(&file.body, &CLIENT));
    let stripped = lab
        .get(&format!("/api/v1/tasks/{id}/files/0?strip_payload=true"))
        .await;
    assert_eq!(chunked(&stripped.body), file.body);
    lab.end().await;
}

#[tokio::test]
async fn a_share_opens_nothing_but_itself() {
    let lab = Lab::tcp();
    let (id, other) = (lab.ended(), lab.ended());
    let wanted =
        json!({"expires_in": 60, "packets": "whole", "anonymise": false, "findings": true});
    let (share, secret) = lab.share(&id, wanted).await;
    // Every call that there is.
    let (document, mut asked) = (openapi::router().into_openapi(), 0);
    for (path, item) in document.paths.paths {
        let methods = [
            ("GET", item.get),
            ("POST", item.post),
            ("PUT", item.put),
            ("DELETE", item.delete),
        ];
        for (method, operation) in methods {
            let is_open = path.contains("/shared")
                || path.starts_with("/healthz")
                || path.starts_with("/readyz");
            // Where a token is exchanged for a session, nobody has shown one yet.
            let is_login = method == "POST" && path == "/api/v1/session";
            if operation.is_none() || is_open || is_login {
                continue;
            }
            for task in [&id, &other] {
                let path = path.replace("/shares/{id}", &format!("/shares/{share}"));
                let path = path.replace("{id}", &task.to_string()).replace("{n}", "0");
                let reply = lab.by_share(&secret, &format!("{method} {path}")).await;
                assert_eq!(reply.problem(401), "token_missing", "{method} {path}");
                // Nor as a token.
                let call =
                    format!("{method} {path} HTTP/1.1\r\nauthorization: Bearer {secret}\r\n\r\n");
                let reply = lab.ask_tcp(&call, "localhost").await;
                assert_eq!(reply.problem(401), "token_invalid", "{method} {path}");
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked}");
    for method in ["POST", "PUT", "DELETE"] {
        for path in [
            "/api/v1/shared",
            "/api/v1/shared/file",
            "/api/v1/shared/packets",
            "/api/v1/shared/packets/1",
            "/api/v1/shared/packets/1/stream",
            "/api/v1/shared/filter",
        ] {
            let reply = lab.by_share(&secret, &format!("{method} {path}")).await;
            assert_eq!(reply.problem(405), "method_not_allowed", "{method} {path}");
        }
    }
    // Without a share these calls are closed to all, also to those who may do everything.
    let token = lab.token(Role::Admin);
    for path in [
        "/api/v1/shared",
        "/api/v1/shared/file",
        "/api/v1/shared/packets",
        "/api/v1/shared/packets/1",
        "/api/v1/shared/packets/1/stream",
        "/api/v1/shared/conversations",
        "/api/v1/shared/series",
        "/api/v1/shared/filter?text=udp",
        "/api/v1/shared/filter/fields",
        "/api/v1/shared/nothing",
    ] {
        let call = format!("GET {path} HTTP/1.1\r\nauthorization: Bearer {token}\r\n\r\n");
        assert_eq!(
            lab.ask_tcp(&call, "localhost").await.problem(401),
            "share_missing"
        );
        assert_eq!(lab.get(path).await.problem(401), "share_missing");
    }
    let wrong = secret.replace("shr_", "cap_");
    for wrong in [
        "",
        "x",
        &secret[..60],
        &wrong,
        &format!("{secret}\r\nshare: {secret}"),
    ] {
        let reply = lab.by_share(wrong, "GET /api/v1/shared").await;
        assert_eq!(reply.problem(401), "share_invalid", "{wrong}");
        // A page that asks so is told without an error.
        let told = lab
            .by_share(wrong, "GET /api/v1/shared?absent=report")
            .await;
        assert_eq!(told.status, 200, "{told:?}");
        let errors = &reply.json()["errors"];
        assert_eq!(told.json(), json!({"absent": true, "errors": errors}));
        for other in ["shared/file?absent=report", "shared?absent=yes"] {
            let reply = lab.by_share(wrong, &format!("GET /api/v1/{other}")).await;
            assert_eq!(reply.problem(401), "share_invalid", "{other}");
        }
    }
    // The other gates hold.
    let call = format!("GET /api/v1/shared HTTP/1.1\r\nshare: {secret}\r\n\r\n");
    assert_eq!(
        lab.ask_tcp(&call, "evil.example").await.problem(403),
        "foreign_host"
    );
    lab.end().await;
}

#[tokio::test]
async fn a_share_ends() {
    let clock = FakeClock::at("2026-03-01T08:00:00Z");
    let lab = Lab::at("listen = \"127.0.0.1:0\"", Limits::default(), clock.clone());
    let id = lab.ended();
    let anonymous = json!({"expires_in": 3600, "findings": true, "packets": "headers"});
    let headers = json!({"expires_in": 7200, "packets": "headers", "anonymise": false});
    let (first, by_first) = lab.share(&id, anonymous.clone()).await;
    let (_, by_second) = lab.share(&id, headers).await;
    let (_, by_third) = lab.share(&id, anonymous).await;
    assert_eq!(
        lab.copies(&id),
        [
            "shared-anonymous.json",
            "shared-anonymous.pcapng",
            "shared-headers.pcapng"
        ]
    );
    let before = lab.tasks.stored_bytes();
    let open = async |secret: &str| lab.by_share(secret, "GET /api/v1/shared").await.status;
    assert_eq!(open(&by_first).await, 200);
    let revoke = format!("DELETE /api/v1/shares/{first} HTTP/1.1\r\n\r\n");
    assert_eq!(lab.ask(&revoke).await.status, 204);
    assert_eq!(lab.ask(&revoke).await.problem(404), "not_found");
    assert_eq!((open(&by_first).await, open(&by_third).await), (401, 200));
    assert_eq!(lab.copies(&id).len(), 3, "another share needs them");
    clock.set("2026-03-01T09:00:00Z");
    assert_eq!((open(&by_third).await, open(&by_second).await), (401, 200));
    let wait = async {
        while lab.copies(&id).len() > 1 {
            // The sweep looks at once when the clock is set.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, wait).await.expect("they are removed");
    assert_eq!(lab.copies(&id), ["shared-headers.pcapng"]);
    assert!(lab.tasks.stored_bytes() < before);
    let delete = format!("DELETE /api/v1/tasks/{id} HTTP/1.1\r\n\r\n");
    assert_eq!(lab.ask(&delete).await.status, 204);
    assert_eq!(open(&by_second).await, 401);
    lab.end().await;
}

#[tokio::test]
async fn who_may_not_download_may_not_share() {
    let lab = Lab::tcp();
    let id = lab.ended();
    let (viewer, operator) = (lab.token(Role::Viewer), lab.token(Role::Operator));
    let (share, _) = lab.share(&id, json!({"expires_in": 60})).await;
    let calls = [
        format!("POST /api/v1/tasks/{id}/shares"),
        format!("GET /api/v1/tasks/{id}/shares"),
        format!("DELETE /api/v1/shares/{share}"),
        format!("GET /api/v1/tasks/{id}/files/0?anonymise=true"),
    ];
    for call in &calls {
        let with =
            |token: &str| format!("{call} HTTP/1.1\r\nauthorization: Bearer {token}\r\n\r\n");
        let reply = lab.ask_tcp(&with(&viewer), "localhost").await;
        assert_eq!(reply.problem(403), "role", "{call}");
        let reply = lab.ask_tcp(&with(&operator), "localhost").await;
        assert!(
            matches!(reply.status, 200 | 204 | 415),
            "{call}: {}",
            reply.status
        );
    }
    // Only what has ended is shared, and nothing that is not there.
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let waiting = json!({"name": "n", "interfaces": ["lo"], "start_at": start.to_string()});
    let waiting = lab
        .post("/api/v1/tasks", "", &waiting.to_string())
        .await
        .json();
    let waiting = waiting["id"].as_str().expect("an ID");
    let share = |id: &str| {
        (
            format!("/api/v1/tasks/{id}/shares"),
            json!({"expires_in": 60}).to_string(),
        )
    };
    let (path, body) = share(waiting);
    assert_eq!(lab.post(&path, "", &body).await.problem(409), "unfinished");
    let (path, body) = share(&ulid::Ulid::new().to_string());
    assert_eq!(lab.post(&path, "", &body).await.problem(404), "not_found");
    assert_eq!(lab.post(&path, "", "{}").await.problem(422), "required");
    lab.end().await;
}

#[tokio::test]
async fn shares_can_be_switched_off() {
    let lab = Lab::tcp();
    let id = lab.ended();
    let (_, secret) = lab.share(&id, json!({"expires_in": 60})).await;
    let mut config = (*lab.config.get()).clone();
    config.shares.enabled = false;
    let config = Arc::new(config);
    lab.config.set(Arc::clone(&config));
    lab.server.reload(&config).expect("it is heeded");
    let shown = lab.by_share(&secret, "GET /api/v1/shared").await;
    assert_eq!(shown.problem(401), "share_invalid");
    // The log has it, whichever way it is answered.
    let told = lab
        .by_share(&secret, "GET /api/v1/shared?absent=report")
        .await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(lab.refused_shares(), 2);
    let path = format!("/api/v1/tasks/{id}/shares");
    let made = lab.post(&path, "", "{\"expires_in\": 60}").await;
    assert_eq!(made.problem(409), "shares_off");
    lab.end().await;
}
