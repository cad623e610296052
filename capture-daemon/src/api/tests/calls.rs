//! Each call of the contract, and what it answers to wrong ones.

use serde_json::json;

use super::*;

/// A task that waits for a day on which nobody runs this.
fn task(name: &str) -> String {
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    json!({"name": name, "interfaces": ["lo"], "max_file_bytes": "1MiB", "start_at": start.to_string()})
        .to_string()
}

#[tokio::test]
async fn what_only_reads() {
    let lab = Lab::new();
    for (path, kind) in [
        ("/api/v1/tasks", "application/json"),
        ("/api/v1/tasks?state=running&limit=5", "application/json"),
        ("/api/v1/interfaces", "application/json"),
        ("/api/v1/quota", "application/json"),
        ("/api/v1/version", "application/json"),
        ("/api/v1/storage", "application/json"),
        ("/api/v1/session", "application/json"),
        ("/api/v1/sessions", "application/json"),
        ("/api/v1/tokens", "application/json"),
        ("/api/v1/audit", "application/json"),
        ("/api/v1/doctor", "application/json"),
        ("/api/v1/openapi.json", "application/json"),
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let reply = lab.get(path).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(kind)),
            "{path}"
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let head = lab.ask(&format!("HEAD {path} HTTP/1.1\r\n\r\n")).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    assert_eq!(
        lab.get("/api/v1/tasks").await.json(),
        json!({"tasks": [], "next_cursor": null})
    );
    let quota = lab.get("/api/v1/quota").await.json();
    assert_eq!(
        (&quota["account"], &quota["limit"], &quota["used"]),
        (&json!("root"), &json!(50), &json!(0))
    );
    let interfaces = lab.get("/api/v1/interfaces").await.json();
    assert_eq!(interfaces["interfaces"][0]["name"], "lo");
    let version = lab.get("/api/v1/version").await.json();
    assert_eq!(
        (&version["version"], &version["commit"]),
        (&json!(env!("CARGO_PKG_VERSION")), &json!("0123abc"))
    );
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    assert_eq!(version["kernel"], kernel.trim());
    lab.end().await;
}

#[tokio::test]
async fn what_is_not_there() {
    let lab = Lab::new();
    let id = ulid::Ulid::new();
    for path in [
        "/index.html".to_owned(),
        "/api/v1".to_owned(),
        "/api/v1/tasks/".to_owned(),
        format!("/api/v1/tasks/{id}"),
        format!("/api/v1/tasks/{}", id.to_string().to_lowercase()),
        format!("/api/v1/tasks/{id}/files/0"),
        format!("/api/v1/tasks/{id}/files/-1"),
        "/api/v1/tasks/..%2f..%2fetc%2fpasswd".to_owned(),
        "/api/v1/tasks/../../../etc/passwd".to_owned(),
        format!("/api/v1/tasks/{id}/files/..%2f0"),
        "/api/v1/tasks/%ff".to_owned(),
    ] {
        assert_eq!(lab.get(&path).await.problem(404), "not_found", "{path}");
    }
    for (call, allow) in [
        ("PUT /api/v1/tasks", "POST,GET,HEAD"),
        ("POST /api/v1/quota", "GET,HEAD"),
        ("PATCH /healthz", "GET,HEAD"),
        ("OPTIONS /api/v1/tasks", "POST,GET,HEAD"),
        ("GET /api/v1/tasks/x/stop", "POST"),
    ] {
        let reply = lab.ask(&format!("{call} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(reply.problem(405), "method_not_allowed", "{call}");
        let allowed = reply.header("allow").expect("Allow");
        let sorted = |list: &str| {
            let mut list: Vec<_> = list.split(',').map(str::to_owned).collect();
            list.sort();
            list
        };
        assert_eq!(sorted(allowed), sorted(allow), "{call}");
    }
    for (path, code) in [
        ("/api/v1/tasks?limit=0", "invalid"),
        ("/api/v1/tasks?limit=1001", "invalid"),
        ("/api/v1/tasks?state=asleep", "invalid"),
        ("/api/v1/tasks?cursor=../..", "invalid"),
        ("/api/v1/tasks?states=running", "unknown"),
        ("/api/v1/quota?account=other", "unknown"),
    ] {
        assert_eq!(lab.get(path).await.problem(400), code, "{path}");
    }
    lab.end().await;
}

/// Whoever asks over TCP is told how to ask so again, and that the task would take this very connection.
#[tokio::test]
async fn a_preview_knows_how_it_was_asked_for() {
    let lab = Lab::tcp();
    let token = lab.token(Role::Operator);
    let body = json!({"name": "it's", "interfaces": ["lo"], "protocol": "tcp"}).to_string();
    let ask = format!(
        "POST /api/v1/tasks?dry_run=true HTTP/1.1\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let told = lab.ask_tcp(&ask, "localhost").await;
    assert_eq!(told.status, 200, "{told:?}");
    let told = told.json();
    let curl = told["curl"].as_str().expect("a line");
    assert!(
        curl.starts_with("curl -sS -H \"Authorization: Bearer $CAPTURE_AGENT_TOKEN\""),
        "{curl}"
    );
    assert!(curl.ends_with(" http://localhost/api/v1/tasks"), "{curl}");
    assert!(!curl.contains(&token), "{curl}");
    let codes = |told: &Value| {
        let warnings = told["warnings"].as_array().expect("a list").iter();
        let codes = warnings.map(|warning| warning["code"].as_str().expect("a code").to_owned());
        codes.collect::<Vec<_>>()
    };
    assert!(codes(&told).contains(&"own_session".to_owned()), "{told}");

    let told = lab
        .post("/api/v1/tasks?dry_run=true", "", &body)
        .await
        .json();
    let socket = lab.socket().display().to_string();
    let curl = told["curl"].as_str().expect("a line");
    assert!(curl.contains(&format!("--unix-socket {socket} ")), "{curl}");
    let cli = told["cli"].as_str().expect("a line");
    assert!(cli.ends_with(&format!(" --socket {socket}")), "{cli}");
    assert!(!codes(&told).contains(&"own_session".to_owned()), "{told}");
    lab.end().await;
}

#[tokio::test]
async fn interfaces_have_figures_and_lead_to_addresses() {
    let lab = Lab::new();
    let list = lab.get("/api/v1/interfaces").await.json();
    let interfaces = list["interfaces"].as_array().expect("a list");
    let lo = interfaces.iter().find(|found| found["name"] == "lo");
    let lo = lo.expect("loopback");
    assert_eq!(
        (&lo["capturable"], &lo["default_route"], &lo["conflict"]),
        (&json!(true), &json!(false), &Value::Null)
    );
    for way in ["rx", "tx"] {
        for figure in ["packets", "bytes", "errors", "dropped"] {
            assert!(lo[way][figure].is_u64(), "{lo}");
        }
    }
    let route = lab.get("/api/v1/interfaces/route?to=127.0.0.1").await;
    assert_eq!(
        (route.status, route.json()),
        (
            200,
            json!({"interface": "lo", "source": "127.0.0.1", "gateway": null, "local": true})
        )
    );
    for (path, status, code) in [
        ("", 400, "required"),
        ("?to=localhost", 400, "invalid"),
        ("?to=127.0.0.1&from=::1", 400, "unknown"),
        ("?to=255.255.255.255/0", 400, "invalid"),
    ] {
        let path = format!("/api/v1/interfaces/route{path}");
        assert_eq!(lab.get(&path).await.problem(status), code, "{path}");
    }
    lab.end().await;
}

#[tokio::test]
async fn a_probe_that_is_not_valid_is_none() {
    let lab = Lab::new();
    for (body, status, pointers) in [
        ("{}", 422, vec!["/spec"]),
        (
            r#"{"spec": {"interfaces": ["nosuch0"], "ip": "x"}, "seconds": 9, "limit": 1}"#,
            422,
            vec!["/limit", "/seconds", "/spec/ip"],
        ),
        (
            r#"{"spec": {"interfaces": ["nosuch0"]}}"#,
            422,
            vec!["/spec/interfaces/0"],
        ),
        ("[]", 422, vec![""]),
        ("{", 400, vec![""]),
    ] {
        let reply = lab.post("/api/v1/probes", "", body).await;
        reply.problem(status);
        let reply = reply.json();
        let errors = reply["errors"].as_array().expect("a list").iter();
        let mut found: Vec<_> = errors.map(|error| error["pointer"].as_str()).collect();
        found.sort_unstable();
        let expected: Vec<_> = pointers.into_iter().map(Some).collect();
        assert_eq!(found, expected, "{body}");
    }
    // Nothing was tried, and so nothing is noted.
    assert_eq!(lab.end_with_acts().await, []);
}

/// A form asks while one types, and what is wrong with a task is then no error of the page.
#[tokio::test]
async fn faults_of_a_dry_run_can_be_an_answer() {
    let lab = Lab::new();
    for body in [
        json!({}),
        json!({"name": "n", "interfaces": ["lo"], "ports": "9-1", "start_at": "soon"}),
        json!({"name": "n", "interfaces": ["none"], "protocol": "icmp", "ports": [9]}),
    ] {
        let body = body.to_string();
        let refused = lab.post("/api/v1/tasks?dry_run=true", "", &body).await;
        refused.problem(422);
        let told = lab.post("/api/v1/tasks?dry_run=report", "", &body).await;
        assert_eq!(told.status, 200, "{told:?}");
        let errors = &refused.json()["errors"];
        assert_eq!(told.json(), json!({"valid": false, "errors": errors}));
    }
    let valid = lab
        .post("/api/v1/tasks?dry_run=report", "", &task("n"))
        .await;
    assert_eq!((valid.status, &valid.json()["valid"]), (200, &json!(true)));
    // What is no task stays a problem.
    let told = lab.post("/api/v1/tasks?dry_run=report", "", "[]").await;
    assert_eq!(told.problem(422), "invalid");
    let told = lab
        .post("/api/v1/tasks?dry_run=reports", "", &task("n"))
        .await;
    assert_eq!(told.problem(400), "invalid");
    // Nothing was created.
    let listed = lab.get("/api/v1/tasks").await.json();
    assert_eq!(listed["tasks"], json!([]));
    assert_eq!(lab.end_with_acts().await, []);
}

#[tokio::test]
async fn what_is_not_there_can_be_an_answer() {
    let lab = Lab::new();
    let made = lab.post("/api/v1/tasks", "", &task("n")).await.json();
    let path = format!(
        "/api/v1/tasks/{}/findings",
        made["id"].as_str().expect("an ID")
    );
    let refused = lab.get(&path).await;
    assert_eq!(refused.problem(409), "not_analyzed");
    let told = lab.get(&format!("{path}?absent=report")).await;
    assert_eq!(told.status, 200, "{told:?}");
    let errors = &refused.json()["errors"];
    assert_eq!(told.json(), json!({"absent": true, "errors": errors}));
    assert_eq!(
        lab.get(&format!("{path}?absent=1")).await.problem(400),
        "invalid"
    );
    // So can be that a task is not there, by whatever name.
    for id in [ulid::Ulid::new().to_string(), "none".to_owned()] {
        let path = format!("/api/v1/tasks/{id}");
        let refused = lab.get(&path).await;
        assert_eq!(refused.problem(404), "not_found");
        let told = lab.get(&format!("{path}?absent=report")).await;
        assert_eq!(told.status, 200, "{told:?}");
        let errors = &refused.json()["errors"];
        assert_eq!(told.json(), json!({"absent": true, "errors": errors}));
    }
    let there = format!(
        "/api/v1/tasks/{}?absent=report",
        made["id"].as_str().expect("an ID")
    );
    assert_eq!(lab.get(&there).await.json()["id"], made["id"]);
    // The findings of one that is not there are another matter.
    let none = format!("/api/v1/tasks/{}/findings?absent=report", ulid::Ulid::new());
    assert_eq!(lab.get(&none).await.problem(404), "not_found");
    // Loopback has a way to itself wherever this runs.
    let way = lab
        .get("/api/v1/interfaces/route?to=127.0.0.1&absent=report")
        .await;
    assert_eq!(way.json()["interface"], "lo");
    let path = "/api/v1/interfaces/route?to=100::1";
    let refused = lab.get(path).await;
    let told = lab.get(&format!("{path}&absent=report")).await;
    assert_eq!(told.status, 200, "{told:?}");
    if refused.status == 404 {
        assert_eq!(
            told.json(),
            json!({"absent": true, "errors": refused.json()["errors"]})
        );
    }
    lab.end().await;
}

#[tokio::test]
async fn the_life_of_a_task_that_waits() {
    let lab = Lab::new();
    let body = task("../../etc/passwd");
    let checked = lab.post("/api/v1/tasks?dry_run=true", "", &body).await;
    assert_eq!(checked.status, 200, "{checked:?}");
    let checked = checked.json();
    assert_eq!(
        (&checked["valid"], &checked["spec"]["duration"]),
        (&json!(true), &json!(60))
    );

    let made = lab.post("/api/v1/tasks", "", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made_json = made.json();
    let path = format!("/api/v1/tasks/{}", made_json["id"].as_str().expect("an ID"));
    // Relative to the path of the request.
    let location = made.header("location").expect("Location");
    assert_eq!(format!("/api/v1/{location}"), path);
    assert_eq!(
        (&made_json["state"], &made_json["name"]),
        (&json!("pending"), &json!("../../etc/passwd"))
    );

    let shown = lab.get(&path).await;
    assert_eq!((shown.status, shown.json()), (200, made_json.clone()));
    let listed = lab.get("/api/v1/tasks?state=pending").await.json();
    assert_eq!(listed["tasks"], json!([made_json]));
    assert_eq!(
        lab.get(&format!("{path}/files/0")).await.problem(404),
        "not_found"
    );

    for _ in 0..2 {
        let stopped = lab.post(&format!("{path}/stop"), "", "").await;
        let json = stopped.json();
        assert_eq!(
            (stopped.status, &json["state"], &json["stop_reason"]),
            (202, &json!("completed"), &json!("user"))
        );
    }
    let deleted = lab.ask(&format!("DELETE {path} HTTP/1.1\r\n\r\n")).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(lab.get(&path).await.problem(404), "not_found");
    let again = lab.ask(&format!("DELETE {path} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(again.problem(404), "not_found");

    let acts = lab.acts();
    let acts: Vec<_> = acts
        .iter()
        .map(|(action, outcome)| format!("{action} {outcome}"))
        .collect();
    assert_eq!(
        acts,
        [
            "task.create done",
            "file.download refused: not found",
            "task.stop done",
            "task.delete done",
            "task.delete refused: not found",
        ]
    );
    lab.end().await;
}

#[tokio::test]
async fn a_request_with_a_key_can_be_repeated() {
    let lab = Lab::new();
    let body = task("once");
    let key = "idempotency-key: 6f1c\r\n";
    let first = lab.post("/api/v1/tasks", key, &body).await;
    let second = lab.post("/api/v1/tasks", key, &body).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json(), second.json());
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    let other = lab.post("/api/v1/tasks", key, &task("another")).await;
    assert_eq!(other.problem(409), "key_reused");
    let wrong = lab
        .post("/api/v1/tasks", "idempotency-key: a b\r\n", &body)
        .await;
    assert_eq!(wrong.problem(400), "idempotency_key");
    assert_eq!(lab.get("/api/v1/quota").await.json()["used"], 1);
    lab.end().await;
}

#[tokio::test]
async fn all_faults_of_a_task_at_once() {
    let lab = Lab::new();
    let body = r#"{"interfaces": ["lo"], "ip": "10.0.0.300", "ports": [70000, 80, true], "prot": "tcp",
        "duration": "1x", "start_at": "soon", "direction": "up"}"#;
    let reply = lab.post("/api/v1/tasks", "", body).await;
    reply.problem(422);
    let json = reply.json();
    let errors = json["errors"].as_array().expect("a list");
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|error| error["pointer"].as_str().expect("text"))
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/direction",
            "/duration",
            "/ip",
            "/name",
            "/ports",
            "/prot",
            "/start_at"
        ]
    );
    // What this machine lacks is a fault too.
    let reply = lab
        .post(
            "/api/v1/tasks?dry_run=1",
            "",
            r#"{"name": "n", "interfaces": ["nosuch0"]}"#,
        )
        .await;
    assert_eq!(
        (
            reply.problem(422).as_str(),
            &reply.json()["errors"][0]["pointer"]
        ),
        ("unknown", &json!("/interfaces/0"))
    );

    for (body, status, code) in [
        ("{", 400, "json"),
        ("", 400, "json"),
        ("[]", 422, "invalid"),
    ] {
        assert_eq!(
            lab.post("/api/v1/tasks", "", body).await.problem(status),
            code,
            "{body}"
        );
    }
    let untyped = "POST /api/v1/tasks HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(lab.ask(untyped).await.problem(415), "media_type");
    // Misspelt, it must not create a task.
    let misspelt = lab.post("/api/v1/tasks?dryrun=true", "", &task("n")).await;
    assert_eq!(misspelt.problem(400), "unknown");
    lab.end().await;
}

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest() {
    let lab = Lab::new();
    for number in 0..5 {
        lab.post("/api/v1/tasks", "", &task(&number.to_string()))
            .await;
    }
    let mut names = Vec::new();
    let mut path = "/api/v1/tasks?limit=2".to_owned();
    for _ in 0..3 {
        let page = lab.get(&path).await.json();
        for task in page["tasks"].as_array().expect("a list") {
            names.push(task["name"].as_str().expect("a name").to_owned());
        }
        let cursor = page["next_cursor"].as_str().unwrap_or_default();
        path = format!("/api/v1/tasks?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["4", "3", "2", "1", "0"]);
    lab.end().await;
}

#[tokio::test]
async fn events_come_and_can_be_resumed() {
    let lab = Lab::new();
    let listen = async |headers: &str| {
        let mut stream = UnixStream::connect(lab.socket()).await.expect("connected");
        let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let begin = until(&mut stream, "retry: 1000\n\n").await;
        assert!(begin.contains("content-type: text/event-stream"), "{begin}");
        stream
    };
    let mut stream = listen("").await;
    let made = lab.post("/api/v1/tasks", "", &task("one")).await.json();
    let id = made["id"].as_str().expect("an ID");
    let text = event(&mut stream, "task").await;
    assert!(text.contains(id), "{text}");
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .expect("an event's ID");

    lab.post(&format!("/api/v1/tasks/{id}/stop"), "", "").await;
    let mut resumed = listen(&format!("last-event-id: {number}\r\n")).await;
    let text = event(&mut resumed, "task").await;
    assert!(text.contains(r#""state":"completed""#), "{text}");
    let mut lost = listen("last-event-id: elsewhere-7\r\n").await;
    assert!(
        event(&mut lost, "missed")
            .await
            .contains("list the tasks again")
    );
    // Streams do not hold up the end.
    let began = std::time::Instant::now();
    lab.end().await;
    assert!(began.elapsed() < Duration::from_secs(5));
}
