//! What accounts see of each other's tasks, and what a role may capture on.

use std::{net::SocketAddr, slice, sync::Arc};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually, http,
    http::Answer,
    netns::{HOST_IF, Lab},
    traffic,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::audit_lines::audit_lines;

const LISTEN: &str = "127.0.0.1:8080";

/// A daemon with TCP and lines of `[access]`.
struct Setup {
    lab: Lab,
    daemon: Daemon,
}

/// Somebody with a token.
struct Somebody<'a> {
    setup: &'a Setup,
    bearer: String,
}

fn sections(access: &str) -> String {
    format!("{UNLIMITED}\n[http]\nlisten = \"{LISTEN}\"\n[access]\n{access}")
}

impl Setup {
    fn new(access: &str) -> Self {
        let lab = Lab::new();
        let home: Arc<TempDir> = daemon::home(&sections(access));
        let daemon = daemon::start_in(&lab.host, &home);
        Self { lab, daemon }
    }

    fn somebody(&self, name: &str, role: &str) -> Somebody<'_> {
        let token = self.daemon.token(&format!("{name}-{role}"), role, name);
        Somebody {
            setup: self,
            bearer: format!("Bearer {token}"),
        }
    }
}

impl Somebody<'_> {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let address: SocketAddr = LISTEN.parse().expect("an address");
        let target = format!("/api/v1{path}");
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let headers = [
            ("Authorization", self.bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let asked = || http::ask_tcp(address, method, &target, &headers, &body);
        let answer = self.setup.lab.host.within(asked).expect("an answer");
        self.setup.daemon.document().check(method, &target, &answer);
        answer
    }

    fn create(&self, task: Value) -> String {
        let answer = self.ask("POST", "/tasks", Some(&task)).expect(201);
        answer.json()["id"].as_str().expect("an ID").to_owned()
    }

    fn listed(&self, query: &str) -> Vec<String> {
        let page = self.ask("GET", &format!("/tasks{query}"), None).expect(200);
        let tasks = page.json()["tasks"].clone();
        let ids = tasks.as_array().expect("tasks").iter();
        ids.map(|task| task["id"].as_str().expect("an ID").to_owned())
            .collect()
    }
}

fn named(name: &str) -> Value {
    let mut task = udp_task(json!({"duration": "10m"}));
    task["name"] = json!(name);
    task
}

#[test]
fn accounts_apart_see_their_own_tasks_alone() {
    let setup = Setup::new("isolate = true");
    let (alice, bob) = (
        setup.somebody("alice", "operator"),
        setup.somebody("bob", "operator"),
    );
    let (viewer, admin) = (
        setup.somebody("alice", "viewer"),
        setup.somebody("carol", "admin"),
    );
    let hers = alice.create(named("hers"));
    let his = bob.create(named("his"));
    for id in [&hers, &his] {
        setup.daemon.reach(id, "running");
    }
    traffic::send_to_host(&setup.lab, 0..10, 100);
    for id in [&hers, &his] {
        setup.daemon.captured(id, 10);
        setup.daemon.stop_task(id);
    }

    for query in ["", "?state=completed", "?search=h", "?name=h*", "?limit=1"] {
        assert_eq!(alice.listed(query), slice::from_ref(&hers), "{query}");
        assert_eq!(viewer.listed(query), slice::from_ref(&hers), "{query}");
        assert_eq!(bob.listed(query), slice::from_ref(&his), "{query}");
    }
    assert_eq!(bob.listed(&format!("?id={hers}")), Vec::<String>::new());
    assert_eq!(admin.listed(""), [his.clone(), hers.clone()]);
    let record = alice
        .ask("GET", &format!("/tasks/{hers}"), None)
        .expect(200);
    assert_eq!(record.json()["account"], "alice");

    // Every call about one task, also one that a later version adds.
    let share = json!({"expires_in": 600, "findings": true});
    let share = alice.ask("POST", &format!("/tasks/{hers}/shares"), Some(&share));
    let share = share.expect(201).json()["share"]["id"].clone();
    let share = share.as_str().expect("an ID");
    let calls = setup.daemon.document().calls();
    let mut count = 0;
    for (method, path) in calls {
        let Some(path) = path.strip_prefix("/api/v1") else {
            continue;
        };
        if !path.starts_with("/tasks/{id}") {
            continue;
        }
        count += 1;
        let path = path.replace("{id}", &hers).replace("{n}", "0");
        let body = (method != "GET").then(|| json!({}));
        let answer = bob.ask(&method, &path, body.as_ref());
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
    }
    assert!(count > 15, "{count}");
    let compare = json!({"task": his, "baseline": hers});
    bob.ask("POST", "/compare", Some(&compare)).problem(404);
    bob.ask("DELETE", &format!("/shares/{share}"), None)
        .problem(404);
    alice
        .ask("DELETE", &format!("/shares/{share}"), None)
        .expect(204);
    assert_eq!(setup.daemon.packets(&hers).len(), 10);
    let refused = audit_lines(&setup.daemon, "access");
    let object = format!("DELETE /tasks/{hers}");
    let line = refused.iter().find(|line| line.object == object);
    let line = line.expect("a refusal");
    assert!(
        line.who.starts_with("token bob-operator ") && line.outcome == "refused: not_found",
        "{line:?}"
    );

    // A dry run warns of the own tasks only.
    let again = alice.create(named("again"));
    setup.daemon.reach(&again, "running");
    let warned = |who: &Somebody<'_>| {
        let answer = who.ask("POST", "/tasks?dry_run=true", Some(&named("new")));
        answer.expect(200).text().contains("\"duplicate\"")
    };
    assert!(warned(&alice) && !warned(&bob));

    // A reload shows all again.
    daemon::configure(setup.daemon.home(), &sections("isolate = false"));
    setup.daemon.signal(nix::sys::signal::Signal::SIGHUP);
    assert!(eventually(TIMEOUT, || bob.listed("").len() == 3));
    setup.daemon.stop();
}

#[test]
fn accounts_apart_hear_of_their_own_tasks_alone() {
    use std::io::{Read as _, Write as _};

    let setup = Setup::new("isolate = true");
    let (alice, bob) = (
        setup.somebody("alice", "operator"),
        setup.somebody("bob", "operator"),
    );
    let mut stream = setup.lab.host.within(|| {
        let stream = std::net::TcpStream::connect(LISTEN).expect("connected");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        stream
    });
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\r\n",
        bob.bearer
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut buffer = [0; 65536];
        while !heard.contains(what) {
            let count = stream.read(&mut buffer).expect("events");
            assert!(count > 0, "the stream has ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        heard.clone()
    };
    hear("retry:");
    let hers = alice.create(named("hers"));
    setup.daemon.reach(&hers, "running");
    let his = bob.create(named("his"));
    setup.daemon.reach(&his, "running");
    // Figures of both are told at the same time.
    hear("event: stats");
    let figures = hear(&format!("{{\"tasks\":[{{\"id\":\"{his}\""));
    assert!(!figures.contains(&hers), "{figures}");
    for (who, id) in [(&alice, &hers), (&bob, &his)] {
        who.ask("DELETE", &format!("/tasks/{id}?force=true"), None)
            .expect(204);
    }
    let all = hear("event: deleted");
    assert!(all.contains(&his) && !all.contains(&hers), "{all}");
    setup.daemon.stop();
}

#[test]
fn operators_capture_where_and_how_they_may() {
    let setup = Setup::new("operator_interfaces = [\"cap*\"]\noperator_hooks = [\"auto\", \"tc\"]");
    let (operator, admin) = (
        setup.somebody("alice", "operator"),
        setup.somebody("carol", "admin"),
    );
    let on = |interfaces: Value, hook: &str| {
        let mut task = named("new");
        task["interfaces"] = interfaces;
        task["hook"] = json!(hook);
        task
    };
    let beyond = [
        (on(json!(["lo"]), "auto"), vec!["/interfaces/0"]),
        (on(json!(["any"]), "tc"), vec!["/interfaces/0"]),
        (
            on(json!([HOST_IF, "lo"]), "xdp-generic"),
            vec!["/interfaces/1", "/hook"],
        ),
    ];
    for (task, pointers) in &beyond {
        let expected: Vec<_> = pointers
            .iter()
            .map(|pointer| ((*pointer).to_owned(), "not_allowed".to_owned()))
            .collect();
        for path in ["/tasks", "/tasks?dry_run=true"] {
            let answer = operator.ask("POST", path, Some(task));
            assert_eq!(answer.problem(403), expected, "{path} {task}");
        }
        let report = operator.ask("POST", "/tasks?dry_run=report", Some(task));
        let report = report.expect(200).json();
        assert_eq!(report["valid"], false, "{report}");
        assert_eq!(report["errors"][0]["pointer"], pointers[0], "{report}");
        let mut spec = task.clone();
        spec.as_object_mut().expect("an object").remove("duration");
        let probe = json!({"spec": spec, "seconds": 1});
        let answer = operator.ask("POST", "/probes", Some(&probe)).problem(403);
        assert_eq!(answer[0].0, format!("/spec{}", pointers[0]));
    }
    let answer = operator.ask("POST", "/tasks", Some(&beyond[0].0)).json();
    let detail = answer["errors"][0]["detail"].as_str().unwrap_or_default();
    assert_eq!(
        detail,
        "your role may not capture on \"lo\"; `access.operator_interfaces` allows cap*"
    );
    assert_eq!(operator.listed(""), Vec::<String>::new());

    let id = operator.create(on(json!([HOST_IF]), "tc"));
    let other = admin.create(on(json!(["lo"]), "auto"));
    let lines = audit_lines(&setup.daemon, "task.create");
    let done: Vec<_> = lines.iter().filter(|line| line.outcome == "done").collect();
    assert_eq!(
        done[0].object,
        format!("{id} for alice on {HOST_IF} by tc: udp; at most 10m, 1.1 GB; \"new\"")
    );
    assert!(
        done[1]
            .object
            .starts_with(&format!("{other} for carol on lo: udp; "))
    );
    let refused: Vec<_> = lines
        .iter()
        .filter(|line| line.outcome == "refused: beyond the role")
        .collect();
    assert_eq!(refused.len(), 4, "{lines:?}");
    assert!(refused[0].object.starts_with("on lo: udp; "), "{refused:?}");
    setup.daemon.stop();
}
