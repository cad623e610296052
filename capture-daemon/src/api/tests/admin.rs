//! What administrators see and do: tokens, the audit log, the doctor, the disk; and the history of a task.

use serde_json::json;

use super::*;

fn waiting(name: &str) -> String {
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    json!({"name": name, "interfaces": ["lo"], "max_file_bytes": "1MiB", "start_at": start.to_string()})
        .to_string()
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let lab = Lab::tcp();
    let body = json!({"name": "ci", "role": "operator", "expires_in": 3600}).to_string();
    let made = lab.post("/api/v1/tokens", "", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let secret = made["secret"].as_str().expect("a secret");
    let id = made["token"]["id"].as_str().expect("an ID");
    assert_eq!(
        (&made["token"]["account"], &made["token"]["revoked_at"]),
        (&json!("ci"), &json!(null))
    );
    let again = lab.post("/api/v1/tokens", "", &body).await;
    assert_eq!(again.problem(409), "in_use");
    let faults = lab.post("/api/v1/tokens", "", "{\"name\": \"\"}").await;
    assert_eq!(faults.problem(422), "invalid");
    assert_eq!(faults.json()["errors"][1]["pointer"], "/role");

    let call = format!("GET /api/v1/tasks HTTP/1.1\r\nauthorization: Bearer {secret}\r\n\r\n");
    assert_eq!(lab.ask_tcp(&call, "localhost").await.status, 200);
    let cookie = lab.log_in(secret).await;
    let list = lab.get("/api/v1/tokens").await;
    assert!(!String::from_utf8_lossy(&list.body).contains(secret));
    let token = &list.json()["tokens"][0];
    assert_eq!(token["id"], id);
    assert!(token["used_at"].is_string(), "{token}");
    let other = format!("DELETE /api/v1/tokens/{}", ulid::Ulid::new());
    assert_eq!(
        lab.ask(&format!("{other} HTTP/1.1\r\n\r\n"))
            .await
            .problem(404),
        "not_found"
    );
    // By its ID alone: a name is another's tomorrow.
    let named = lab.ask("DELETE /api/v1/tokens/ci HTTP/1.1\r\n\r\n").await;
    assert_eq!(named.problem(404), "not_found");
    let revoke = format!("DELETE /api/v1/tokens/{id} HTTP/1.1\r\n\r\n");
    assert_eq!(lab.ask(&revoke).await.status, 204);
    assert_eq!(lab.ask(&revoke).await.problem(404), "not_found");
    assert_eq!(
        lab.ask_tcp(&call, "localhost").await.problem(401),
        "token_invalid"
    );
    let by_cookie = format!("GET /api/v1/tasks HTTP/1.1\r\n{cookie}\r\n");
    assert_eq!(
        lab.ask_tcp(&by_cookie, "localhost").await.problem(401),
        "session_over"
    );
    let acts: Vec<_> = lab.acts().into_iter().map(|(action, _)| action).collect();
    for action in [
        "token.create",
        "token.list",
        "token.revoke",
        "session.create",
    ] {
        assert!(acts.iter().any(|act| act == action), "{action}: {acts:?}");
    }
    lab.end().await;
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_verified() {
    let lab = Lab::new();
    for name in ["one", "two", "three"] {
        let made = lab.post("/api/v1/tasks", "", &waiting(name)).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let page = lab
        .get("/api/v1/audit?action=task.create&limit=2")
        .await
        .json();
    let lines = page["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["action"], &lines[0]["outcome"]),
        (&json!("task.create"), &json!("done"))
    );
    assert_eq!(lines[0]["detail"], json!(null));
    let next = page["next_cursor"].as_str().expect("one more");
    let rest = format!("/api/v1/audit?action=task&limit=2&cursor={next}");
    let rest = lab.get(&rest).await.json();
    assert_eq!(rest["lines"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["next_cursor"], json!(null));
    // Behind its ID comes what it captures.
    let object = lines[0]["object"].as_str().expect("a task");
    let (object, _) = object.split_once(' ').expect("an ID");
    let found = lab
        .get(&format!("/api/v1/audit?object={object}"))
        .await
        .json();
    assert_eq!(found["lines"].as_array().map(Vec::len), Some(1));
    let none = lab.get("/api/v1/audit?who=nobody").await.json();
    assert_eq!(none, json!({"lines": [], "next_cursor": null}));
    for wrong in [
        "limit=0",
        "limit=1001",
        "cursor=-1",
        "cursor=x",
        "action=",
        "what=x",
    ] {
        let reply = lab.get(&format!("/api/v1/audit?{wrong}")).await;
        assert_eq!(reply.status, 400, "{wrong}");
    }
    let verdict = lab.post("/api/v1/audit/verify", "", "{}").await.json();
    assert_eq!(verdict["valid"], true);
    assert_eq!(verdict["detail"].as_str().map(str::len), Some(64));
    let extra = lab.post("/api/v1/audit/verify", "", "{\"from\": 1}").await;
    assert_eq!(extra.problem(422), "unknown");
    lab.end().await;
}

#[tokio::test]
async fn a_task_has_a_history_and_a_creator() {
    let lab = Lab::tcp();
    let token = lab.token(Role::Operator);
    let bearer = format!("authorization: Bearer {token}\r\n");
    let made = lab
        .send_tcp("POST /api/v1/tasks", &bearer, &waiting("mine"))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!(
        (&made["created_by"], &made["account"]),
        (&json!("token Operator"), &json!("Operator"))
    );
    let id = made["id"].as_str().expect("an ID");
    let other = lab
        .post("/api/v1/tasks", "", &waiting("other"))
        .await
        .json();
    assert_eq!(other["account"], "root");
    let stopped = lab.post(&format!("/api/v1/tasks/{id}/stop"), "", "").await;
    assert_eq!(stopped.status, 202);
    let history = lab.get(&format!("/api/v1/tasks/{id}/history")).await.json();
    let lines = history["lines"].as_array().expect("lines");
    let actions: Vec<_> = lines
        .iter()
        .map(|line| line["action"].as_str().expect("text"))
        .collect();
    assert_eq!(actions, ["task.create", "task.stop"]);
    assert!(
        lines[0]["who"]
            .as_str()
            .expect("text")
            .starts_with("token Operator ")
    );
    let first = lab
        .get(&format!("/api/v1/tasks/{id}/history?limit=1"))
        .await
        .json();
    let next = first["next_cursor"].as_str().expect("one more");
    let second = format!("/api/v1/tasks/{id}/history?limit=1&cursor={next}");
    let second = lab.get(&second).await.json();
    assert_eq!(
        (&second["lines"][0], &second["next_cursor"]),
        (&lines[1], &json!(null))
    );
    let gone = format!("/api/v1/tasks/{}/history", ulid::Ulid::new());
    assert_eq!(lab.get(&gone).await.problem(404), "not_found");
    lab.end().await;
}

#[tokio::test]
async fn tasks_are_found_by_name_and_by_several_states() {
    let lab = Lab::new();
    for name in ["web one", "dns", "Web two"] {
        let made = lab.post("/api/v1/tasks", "", &waiting(name)).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let found = async |query: &str| {
        let page = lab.get(&format!("/api/v1/tasks?{query}")).await.json();
        let tasks = page["tasks"].as_array().expect("a list").clone();
        tasks
            .iter()
            .map(|task| task["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("search=WEB").await, ["Web two", "web one"]);
    assert_eq!(found("search=web&state=running,failed").await, [""; 0]);
    assert_eq!(found("search=dns&state=running,pending").await, ["dns"]);
    for wrong in [
        "search=",
        "state=",
        "state=,",
        "state=pending,",
        "state=pending,pending,pending,pending,pending,pending",
    ] {
        let reply = lab.get(&format!("/api/v1/tasks?{wrong}")).await;
        assert_eq!(reply.problem(400), "invalid", "{wrong}");
    }
    let long = format!("/api/v1/tasks?search={}", "x".repeat(129));
    assert_eq!(lab.get(&long).await.problem(400), "invalid");
    lab.end().await;
}

#[tokio::test]
async fn the_disk_in_figures() {
    let lab = Lab::new();
    let storage = lab.get("/api/v1/storage").await.json();
    assert_eq!(
        (&storage["captures_bytes"], &storage["files"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(storage["budget"], storage["budget_left"]);
    assert_eq!(storage["retention"], 7 * 24 * 3600);
    assert_eq!(storage["oldest_expiry"], json!(null));
    for name in ["disk_total", "disk_free", "keep_free", "database_bytes"] {
        assert!(
            storage[name].as_u64().is_some_and(|bytes| bytes > 0),
            "{name}: {storage}"
        );
    }
    lab.end().await;
}

#[tokio::test]
async fn the_doctor_says_what_it_says_and_is_asked_once() {
    let lab = Lab::new();
    let first = lab.get("/api/v1/doctor").await;
    assert_eq!(first.status, 200, "{first:?}");
    let report = first.json();
    let checks = report["checks"].as_array().expect("checks");
    let names: Vec<_> = checks
        .iter()
        .map(|check| check["name"].as_str().expect("a name"))
        .collect();
    assert!(
        names.contains(&"kernel") && names.contains(&"daemon"),
        "{names:?}"
    );
    for check in checks {
        let status = check["status"].as_str().expect("a word");
        assert!(["ok", "warning", "failed"].contains(&status), "{check}");
        assert!(
            check["detail"]
                .as_str()
                .is_some_and(|text| text.contains(": ")),
            "{check}"
        );
        assert!(status != "failed" || check["remedy"].is_string(), "{check}");
    }
    let began = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(lab.get("/api/v1/doctor").await.body, first.body);
    }
    assert!(began.elapsed() < LONG / 4, "it is not examined each time");
    lab.end().await;
}
