//! Sessions of browsers: a token is exchanged for a cookie, which ends with the token, with time, or when somebody
//! ends it.

use capture_store::clock::FakeClock;
use jiff::SignedDuration;
use serde_json::json;

use super::*;

fn get(cookie: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{cookie}\r\n")
}

impl Lab {
    /// What is answered to who sends this header.
    async fn seen(&self, header: &str, path: &str) -> Reply {
        self.ask_tcp(&get(header, path), "localhost").await
    }

    async fn code(&self, request: &str) -> (u16, String) {
        let reply = self.ask_tcp(request, "localhost").await;
        let code = match reply.status {
            ..400 => String::new(),
            status => reply.problem(status),
        };
        (reply.status, code)
    }
}

#[tokio::test]
async fn a_token_is_exchanged_and_the_cookie_is_enough() {
    let lab = Lab::tcp();
    let token = lab.token(Role::Operator);
    let agent = format!("user-agent: {}\r\n", "Browser ".repeat(100));
    let body = json!({ "token": token }).to_string();
    let reply = lab.send_tcp("POST /api/v1/session", &agent, &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(!String::from_utf8_lossy(&reply.body).contains("ses_"));
    let session = reply.json();
    assert_eq!(session["name"], "Operator");
    assert_eq!(session["role"], "operator");
    assert_eq!(session["way"], "cookie");
    assert_eq!(
        session["rights"],
        json!([
            "view",
            "create",
            "stop",
            "download",
            "delete_own",
            "inspect"
        ])
    );
    assert!(
        session["from"]
            .as_str()
            .expect("text")
            .starts_with("tcp 127.0.0.1:")
    );
    assert_eq!(session["version"], env!("CARGO_PKG_VERSION"));
    let cookie = lab.log_in(&token).await;
    let shown = lab.seen(&cookie, "/api/v1/session");
    assert_eq!(shown.await.json()["way"], "cookie");
    let tasks = lab.seen(&cookie, "/api/v1/tasks");
    assert_eq!(tasks.await.status, 200);
    let list = lab.seen(&cookie, "/api/v1/sessions");
    let list = list.await.json();
    let sessions = list["sessions"].as_array().expect("a list");
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0]["current"], true);
    assert_eq!(sessions[0]["user_agent"], json!(null));
    assert_eq!(sessions[1]["current"], false);
    let agent = sessions[1]["user_agent"].as_str().expect("text");
    assert_eq!(agent.chars().count(), 256);
    // What somebody else has is no business of theirs; an administrator sees all.
    let other = lab.log_in(&lab.token(Role::Viewer)).await;
    let list = lab.seen(&other, "/api/v1/sessions");
    assert_eq!(
        list.await.json()["sessions"].as_array().map(Vec::len),
        Some(1)
    );
    let all = lab.get("/api/v1/sessions").await.json();
    assert_eq!(all["sessions"].as_array().map(Vec::len), Some(3));
    let acts = lab.acts();
    let logins = acts.iter().filter(|(action, _)| action == "session.create");
    assert_eq!(logins.count(), 3);
    assert!(lab.audit().iter().all(|line| !line.object.contains("ses_")));
    lab.end().await;
}

#[tokio::test]
async fn what_is_no_token_is_refused_and_noted() {
    let lab = Lab::tcp();
    for (body, status, code) in [
        ("{}", 422, "invalid"),
        ("{\"token\": 5}", 422, "invalid"),
        ("{\"token\": \"a\", \"remember\": true}", 422, "invalid"),
        ("{\"token\": \"cap_0\"}", 401, "token_invalid"),
        ("[]", 422, "invalid"),
        ("{", 400, "json"),
    ] {
        let reply = lab.send_tcp("POST /api/v1/session", "", body).await;
        assert_eq!(reply.problem(status), code, "{body}");
        assert_eq!(reply.header("set-cookie"), None);
    }
    let plain = "POST /api/v1/session HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(lab.code(plain).await, (415, "media_type".to_owned()));
    // Nobody is logged in by a page of somebody else.
    let body = json!({"token": lab.token(Role::Viewer)}).to_string();
    let foreign = format!(
        "POST /api/v1/session HTTP/1.1\r\ncontent-type: application/json\r\norigin: https://evil.example\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(lab.code(&foreign).await, (403, "foreign_origin".to_owned()));
    // On the socket one is known.
    let known = lab.post("/api/v1/session", "", &body).await;
    assert_eq!(known.problem(409), "socket");
    let refused = (
        "session.create".to_owned(),
        "refused: token_invalid".to_owned(),
    );
    assert!(lab.acts().contains(&refused), "{:?}", lab.acts());
    lab.end().await;
}

#[tokio::test]
async fn a_flood_of_wrong_logins_does_not_fill_the_log() {
    let lab = Lab::tcp();
    for _ in 0..100 {
        let reply = lab.send_tcp("POST /api/v1/session", "", "{\"token\": \"x\"}");
        assert_eq!(reply.await.problem(401), "token_invalid");
    }
    let acts = lab.end_with_acts().await;
    assert_eq!(acts.len(), 61, "{acts:?}");
}

#[tokio::test]
async fn what_changes_something_must_come_from_our_page() {
    let lab = Lab::tcp();
    let token = lab.token(Role::Admin);
    let cookie = lab.log_in(&token).await;
    let id = ulid::Ulid::new();
    let stop = |headers: &str| {
        format!(
            "POST /api/v1/tasks/{id}/stop HTTP/1.1\r\ncontent-length: 0\r\n{cookie}{headers}\r\n"
        )
    };
    let without = lab.code(&stop("")).await;
    assert_eq!(without, (403, "origin_missing".to_owned()));
    for origin in ["https://evil.example", "null", "http://localhost:81"] {
        let foreign = lab.code(&stop(&format!("origin: {origin}\r\n"))).await;
        assert_eq!(foreign, (403, "foreign_origin".to_owned()), "{origin}");
    }
    let ours = lab.code(&stop("origin: http://localhost\r\n")).await;
    assert_eq!(ours, (404, "not_found".to_owned()));
    // What only reads is known by what browsers say of its site.
    for (site, status) in [
        ("same-origin", 200),
        ("none", 200),
        ("cross-site", 403),
        ("same-site", 403),
    ] {
        let site = format!("{cookie}sec-fetch-site: {site}\r\n");
        assert_eq!(
            lab.code(&get(&site, "/api/v1/tasks")).await.0,
            status,
            "{site}"
        );
    }
    // A header that no page of another site can send is worth more than the cookie.
    let both = |token: &str| format!("{cookie}authorization: Bearer {token}\r\n");
    let wrong = lab.code(&get(&both("cap_0"), "/api/v1/tasks")).await;
    assert_eq!(wrong, (401, "token_invalid".to_owned()));
    let viewer = both(&lab.token(Role::Viewer));
    let shown = lab.seen(&viewer, "/api/v1/session").await.json();
    assert_eq!(
        (&shown["way"], &shown["role"]),
        (&json!("token"), &json!("viewer"))
    );
    // One of two cookies is somebody else's.
    let pair = cookie.trim_end().trim_start_matches("cookie: ");
    let twice = format!("cookie: {pair}; __Host-session=ses_0\r\n");
    let twice = lab.code(&get(&twice, "/api/v1/tasks")).await;
    assert_eq!(twice, (401, "session_over".to_owned()));
    // The socket knows better than any cookie.
    let socket = lab
        .ask(&get("cookie: __Host-session=ses_0\r\n", "/api/v1/session"))
        .await;
    assert_eq!(socket.json()["way"], "socket");
    lab.end().await;
}

#[tokio::test]
async fn a_session_ends_by_itself_by_logout_and_by_others() {
    let clock = FakeClock::at("2026-03-01T08:00:00Z");
    let lab = Lab::at("listen = \"127.0.0.1:0\"", Limits::default(), clock.clone());
    let over = (401, "session_over".to_owned());
    let token = lab.token(Role::Viewer);
    let alive = async |cookie: &str| lab.code(&get(cookie, "/api/v1/tasks")).await;

    let idle = lab.log_in(&token).await;
    clock.advance(SignedDuration::from_hours(12));
    assert_eq!(alive(&idle).await, over);

    let left = lab.log_in(&token).await;
    let out = lab.send_tcp("DELETE /api/v1/session", &left, "").await;
    assert_eq!(out.status, 204);
    let cleared = out.header("set-cookie").expect("it is taken away");
    assert!(cleared.starts_with("__Host-session=;") && cleared.ends_with("Max-Age=0"));
    assert_eq!(alive(&left).await, over);

    // A new login of the same browser ends what it had.
    let first = lab.log_in(&token).await;
    let body = json!({ "token": token }).to_string();
    let again = lab.send_tcp("POST /api/v1/session", &first, &body).await;
    assert_eq!(again.status, 200);
    assert_eq!(alive(&first).await, over);

    let mine = lab.log_in(&token).await;
    let other = lab.log_in(&lab.token(Role::Operator)).await;
    let list = lab.seen(&mine, "/api/v1/sessions").await.json();
    let id = list["sessions"][0]["id"].as_str().expect("an ID");
    let end = format!("DELETE /api/v1/sessions/{id}");
    let foreign = lab.send_tcp(&end, &other, "").await;
    assert_eq!(foreign.problem(404), "not_found");
    assert_eq!(alive(&mine).await.0, 200);
    let ended = lab.ask(&format!("{end} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(ended.status, 204);
    assert_eq!(alive(&mine).await, over);

    // A token that is revoked by a command beside the daemon takes its sessions with it.
    let last = lab.log_in(&token).await;
    let revoked = lab.tasks.store().token_revoke("Viewer", &Actor::command());
    revoked.expect("it is in use");
    assert_eq!(alive(&last).await, over);
    let list = lab.get("/api/v1/sessions").await.json();
    assert_eq!(list["sessions"].as_array().map(Vec::len), Some(1));
    let ends = lab
        .audit()
        .into_iter()
        .filter(|line| line.action == "session.end");
    assert_eq!(ends.count(), 6);
    lab.end().await;
}

#[tokio::test]
async fn an_event_stream_ends_with_its_session() {
    let lab = Lab::tcp();
    let token = lab.token(Role::Viewer);
    let listen = async || {
        let cookie = lab.log_in(&token).await;
        let mut stream = TcpStream::connect(lab.address()).await.expect("connected");
        let request = get(&format!("host: localhost\r\n{cookie}"), "/api/v1/events");
        stream.write_all(request.as_bytes()).await.expect("sent");
        until(&mut stream, "retry: 1000\n\n").await;
        (stream, cookie)
    };
    let (mut stays, _) = listen().await;
    let (mut goes, cookie) = listen().await;
    let out = lab.send_tcp("DELETE /api/v1/session", &cookie, "").await;
    assert_eq!(out.status, 204);
    let mut rest = String::new();
    let read = timeout(LONG, goes.read_to_string(&mut rest)).await;
    read.expect("it ends in time").expect("it ends in order");
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    let start = jiff::Timestamp::now() + SignedDuration::from_hours(24);
    let task = json!({"name": "n", "interfaces": ["lo"], "start_at": start.to_string()});
    let made = lab.post("/api/v1/tasks", "", &task.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    event(&mut stays, "task").await;
    lab.end().await;
}

#[tokio::test]
async fn the_ways_in_say_who_one_is() {
    let lab = Lab::tcp();
    let socket = lab.get("/api/v1/session").await.json();
    assert_eq!(
        (&socket["way"], &socket["account"]),
        (&json!("socket"), &json!("root"))
    );
    assert_eq!(
        (&socket["role"], &socket["expires_at"]),
        (&json!("admin"), &json!(null))
    );
    let all = [
        "view",
        "create",
        "stop",
        "download",
        "delete_own",
        "delete_others",
        "inspect",
        "administer",
    ];
    assert_eq!(socket["rights"], json!(all));
    assert!(!socket["name"].as_str().expect("a name").is_empty());
    assert!(
        socket["from"]
            .as_str()
            .expect("text")
            .starts_with("socket pid ")
    );
    let expires_at: jiff::Timestamp = "2100-01-01T00:00:00Z".parse().expect("a time");
    let new = NewToken {
        name: "ci".to_owned(),
        role: Role::Viewer,
        account: None,
        expires_at: Some(expires_at),
    };
    let made = lab.tasks.store().token_create(&new, &Actor::command());
    let secret = made.expect("a token").1;
    let bearer = format!("authorization: Bearer {}\r\n", secret.reveal());
    let token = lab.seen(&bearer, "/api/v1/session").await.json();
    assert_eq!(
        (&token["way"], &token["name"]),
        (&json!("token"), &json!("ci"))
    );
    assert_eq!(token["expires_at"], "2100-01-01T00:00:00.000Z");
    assert_eq!(token["rights"], json!(["view"]));
    let nobody = lab.code("GET /api/v1/session HTTP/1.1\r\n\r\n").await;
    assert_eq!(nobody, (401, "token_missing".to_owned()));
    lab.end().await;
}

/// A page asks who one is when it opens, and no error is to be logged where nobody is logged in.
#[tokio::test]
async fn that_nobody_is_logged_in_can_be_an_answer() {
    let lab = Lab::tcp();
    let path = "/api/v1/session?absent=report";
    let nobody = |reply: Reply, code: &str| {
        assert_eq!(reply.status, 200, "{reply:?}");
        let told = reply.json();
        assert_eq!(told["absent"], true);
        assert_eq!(told["errors"][0]["code"], code);
        assert_eq!(
            told.as_object().map(serde_json::Map::len),
            Some(2),
            "{told}"
        );
    };
    nobody(lab.seen("", path).await, "token_missing");
    let refused = |lab: &Lab| {
        let refused = lab.acts().into_iter();
        let refused = refused.filter(|(action, _)| action == "access");
        refused.map(|(_, outcome)| outcome).collect::<Vec<_>>()
    };
    // Nothing was tried.
    assert_eq!(refused(&lab), [] as [&str; 0]);
    // A cookie that is not known was.
    let guessed = format!("cookie: __Host-session=ses_{}\r\n", "0".repeat(43));
    nobody(lab.seen(&guessed, path).await, "session_over");
    assert_eq!(refused(&lab), ["refused: session_over"]);
    // Somebody is told as ever.
    let cookie = lab.log_in(&lab.token(Role::Viewer)).await;
    let shown = lab.seen(&cookie, path).await;
    assert_eq!(shown.json()["way"], "cookie");
    assert_eq!(lab.get(path).await.json()["way"], "socket");
    // A wrong token is no question, and no other call or query is opened.
    let token = "authorization: Bearer cap_0\r\n";
    assert_eq!(lab.seen(token, path).await.problem(401), "token_invalid");
    for path in [
        "/api/v1/session",
        "/api/v1/session?absent=yes",
        "/api/v1/session?absent=report&absent=report",
        "/api/v1/session?x=1&absent=report",
        "/api/v1/sessions?absent=report",
        "/api/v1/tasks?absent=report",
    ] {
        assert_eq!(
            lab.seen("", path).await.problem(401),
            "token_missing",
            "{path}"
        );
    }
    assert_eq!(
        lab.get("/api/v1/session?absent=yes").await.problem(400),
        "invalid"
    );
    lab.end().await;
}
