//! What operators put around the daemon: metrics as their page has them, alert rules, and a dashboard each of whose
//! expressions a real Prometheus answers with data of a daemon.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, udp_task},
    eventually,
    netns::{Lab, PEER_IF},
    or_skip, output, traffic,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Where the daemon listens for Prometheus.
const LISTEN: &str = "127.0.0.1:8443";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program of Prometheus, where this machine has it.
fn tool(program: &str) -> Result<Command, String> {
    let found = Command::new(program).arg("--version").output();
    match found.is_ok_and(|found| found.status.success()) {
        true => Ok(Command::new(program)),
        false => Err(format!("{program} is not installed")),
    }
}

/// A daemon with TLS, and a token and CA as Prometheus wants them, in its home.
fn with_tls(lab: &Lab, sections: &str) -> Daemon {
    let home = daemon::home("");
    let (key, cert) = (home.path().join("key.pem"), home.path().join("cert.pem"));
    let mut openssl = Command::new("openssl");
    openssl
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30".split(' '));
    openssl.args([
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]);
    output(openssl.arg("-keyout").arg(&key).arg("-out").arg(&cert));
    let http = format!(
        "[http]\nlisten = \"{LISTEN}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\n{sections}",
        cert.display(),
        key.display()
    );
    daemon::configure(&home, &http);
    let daemon = daemon::start_in(&lab.host, &home);
    let token = daemon.token("prometheus", "viewer", "monitoring");
    fs::write(home.path().join("token"), token).expect("a token");
    daemon
}

fn metrics(daemon: &Daemon) -> String {
    let answer = daemon.ask_with("GET", "/metrics", &[], b"").expect(200);
    answer.text().to_owned()
}

/// What `promtool check metrics` says of a text: nothing, where it is well made.
fn judged(promtool: &mut Command, text: &str) -> Output {
    promtool.args(["check", "metrics"]);
    promtool.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = promtool.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// Metrics with their types and the names of their labels.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

/// Those that a daemon shows.
fn shown(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').expect("a type");
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((name, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let (labels, _) = rest.rsplit_once('}').expect("labels end");
            let names = labels.split(',').filter_map(|label| label.split_once('='));
            let family = families.get_mut(name).expect("a head comes first");
            family.1.extend(names.map(|(name, _)| name.to_owned()));
        }
    }
    families
}

/// Those of the page.
fn documented() -> Families {
    let page = read("docs/reference/metrics.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `capture_agent_") || line.starts_with("| `process_"));
    let in_code = |cell: &str| -> BTreeSet<String> {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let families = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').to_owned();
        // The table of the process has no column of labels.
        let labels = if cells.len() == 6 {
            in_code(cells[3])
        } else {
            BTreeSet::new()
        };
        (name, (cells[2].to_owned(), labels))
    });
    families.collect()
}

#[test]
fn the_page_has_each_metric_with_type_and_labels() {
    let lab = Lab::new();
    let daemon = with_tls(&lab, "");
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..10, 100);
    daemon.captured(&id, 10);
    let text = metrics(&daemon);
    assert_eq!(documented(), shown(&text), "{text}");
    daemon.stop();
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    or_skip!(tool("promtool"));
    let lab = Lab::new();
    let judge = |daemon: &Daemon, when: &str| {
        let text = metrics(daemon);
        let verdict = judged(&mut Command::new("promtool"), &text);
        let said =
            String::from_utf8_lossy(&verdict.stderr) + String::from_utf8_lossy(&verdict.stdout);
        assert!(
            verdict.status.success() && said.is_empty(),
            "{when}: {said}\n{text}"
        );
    };
    // Without TLS, quota and tasks, then with all of them.
    let daemon = daemon::start(&lab.host);
    judge(&daemon, "nothing was captured yet");
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..10, 100);
    daemon.captured(&id, 10);
    judge(&daemon, "a task runs");
    daemon.stop_task(&id);
    daemon.ask("GET", "/nothing", None).expect(404);
    judge(&daemon, "a task has ended");
    daemon.stop();
    let daemon = with_tls(&lab, "");
    judge(&daemon, "with TLS");
    daemon.stop();
}

#[test]
fn promtool_tests_the_alerts() {
    or_skip!(tool("promtool"));
    let directory = repository("deploy/prometheus");
    let run = |arguments: &[&str]| {
        let mut promtool = Command::new("promtool");
        output(promtool.current_dir(&directory).args(arguments))
    };
    run(&["check", "rules", "alerts.yml"]);
    run(&["test", "rules", "alerts_test.yml"]);
    // Each alert is tested, and asks for metrics that there are.
    let (alerts, tests) = (
        read("deploy/prometheus/alerts.yml"),
        read("deploy/prometheus/alerts_test.yml"),
    );
    let named = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in named {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert}");
    }
    let metrics = documented();
    for name in capture_names(&alerts).chain(capture_names(&tests)) {
        assert!(metrics.contains_key(name), "{name} is no metric");
    }
}

/// What looks like a metric of the daemon.
fn capture_names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    words.filter(|word| word.starts_with("capture_agent_") || word.starts_with("process_"))
}

/// A Prometheus that scrapes a daemon once a second.
struct Prometheus<'a> {
    lab: &'a Lab,
    child: Child,
}

impl<'a> Prometheus<'a> {
    /// With the configuration that the project ships, but for paths and addresses.
    fn start(lab: &'a Lab, daemon: &Daemon) -> Self {
        let home = daemon.home().path();
        let alerts = repository("deploy/prometheus/alerts.yml");
        let mut config = "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n".to_owned();
        config += &read("deploy/prometheus/scrape.yml");
        for (shipped, here) in [
            (
                "/etc/prometheus/capture-agent.token",
                home.join("token").display().to_string(),
            ),
            (
                "/etc/prometheus/capture-agent-ca.pem",
                home.join("cert.pem").display().to_string(),
            ),
            ("capture.example:8443", LISTEN.to_owned()),
            ("  - alerts.yml", format!("  - {}", alerts.display())),
        ] {
            assert!(config.contains(shipped), "{shipped}");
            config = config.replace(shipped, &here);
        }
        let file = home.join("prometheus.yml");
        fs::write(&file, config).expect("a configuration");
        output(
            Command::new("promtool")
                .args(["check", "config"])
                .arg(&file),
        );
        let mut command = lab.host.command("prometheus");
        command.arg("--config.file").arg(&file);
        command.arg("--storage.tsdb.path").arg(home.join("tsdb"));
        command.args([
            "--web.listen-address",
            "127.0.0.1:9090",
            "--log.level",
            "error",
        ]);
        let log = fs::File::create(home.join("prometheus.log")).expect("a log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("prometheus starts");
        Self { lab, child }
    }

    /// An answer of its API.
    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let mut curl = self.lab.host.command("curl");
        curl.args(["-s", "-G"]);
        for (name, value) in parameters {
            curl.arg("--data-urlencode").arg(format!("{name}={value}"));
        }
        let answer = curl
            .arg(format!("http://127.0.0.1:9090/api/v1/{path}"))
            .output();
        let answer = answer.expect("curl starts");
        serde_json::from_slice(&answer.stdout).ok()
    }

    /// The series that an expression has now.
    fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.get("query", &[("query", expression)]);
        let answer = answer.unwrap_or_else(|| panic!("{expression}: no answer"));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Prometheus<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The expressions of the dashboard as Grafana would ask them, with the titles of their panels.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let of_panel = |panel: &Value| -> Vec<(String, String)> {
        let title = panel["title"].as_str().expect("a title").to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let expressions = targets.iter().map(|target| {
            let expression = target["expr"].as_str().expect("an expression");
            let expression = expression
                .replace("$job", "capture-agent")
                .replace("$instance", ".*")
                .replace("$__rate_interval", "5s")
                .replace("$__range", "1m");
            assert!(!expression.contains('$'), "{title}: {expression}");
            (title.clone(), expression)
        });
        expressions.collect()
    };
    panels.flat_map(of_panel).collect()
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value =
        serde_json::from_str(&read("deploy/grafana/capture-agent.json")).expect("JSON");
    assert_eq!(
        (&dashboard["uid"], &dashboard["id"]),
        (&json!("capture-agent"), &Value::Null)
    );
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "panels have numbers of their own");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |side: &str| panel["gridPos"][side].as_u64().expect("a place");
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies over another", panel["title"]);
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
    // Every metric is looked at, and none that is not there.
    let metrics = documented();
    let text = dashboard.to_string();
    let asked: BTreeSet<_> = capture_names(&text).collect();
    let known: BTreeSet<_> = metrics.keys().map(String::as_str).collect();
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let unseen: Vec<_> = known.difference(&asked).copied().collect();
    // The first is about the log, which says it too.
    let expected = [
        "capture_agent_log_dropped_lines_total",
        "capture_agent_quota_reset_timestamp_seconds",
        "process_virtual_memory_bytes",
    ];
    assert_eq!(unseen, expected);
}

/// Some seconds with a daemon that captures, loses, ends and is asked; then every panel has something to show, and the
/// alert on losses has fired.
#[test]
fn a_prometheus_has_data_for_every_panel() {
    or_skip!(tool("promtool"));
    or_skip!(tool("prometheus"));
    let lab = Lab::new();
    let daemon = with_tls(
        &lab,
        "[quota]\ntasks_per_day = 5\n[limits]\nmax_running = 1\n[capture]\nring_size = \"1MiB\"",
    );
    let prometheus = Prometheus::start(&lab, &daemon);
    let is_up = || {
        let answer = prometheus.get("query", &[("query", "up{job=\"capture-agent\"} == 1")]);
        answer.is_some_and(|answer| answer["data"]["result"][0].is_object())
    };
    let log = fs::read_to_string(daemon.home().path().join("prometheus.log"));
    assert!(eventually(TIMEOUT, is_up), "{}\n{log:?}", daemon.stderr());

    let id = daemon.run(udp_task(json!({})));
    let waiting = daemon.create(udp_task(json!({"name": "waits"})));
    traffic::send_to_host(&lab, 0..200, 100);
    daemon.captured(&id, 200);
    daemon.download(&id, 0);
    lose_packets(&lab, &daemon, &id);
    daemon.ask("GET", "/nothing", None).expect(404);
    // What was there when an interface was scraped first is in no rate.
    let has_rate = || {
        traffic::send_to_host(&lab, 0..200, 100);
        let rate = "rate(capture_agent_packets_total{outcome=\"captured\"}[5s]) > 0";
        !prometheus.query(rate).is_empty()
    };
    assert!(eventually(TIMEOUT, has_rate), "no rate of packets");
    daemon.stop_task(&id);
    daemon.stop_task(&waiting);

    let dashboard: Value =
        serde_json::from_str(&read("deploy/grafana/capture-agent.json")).expect("JSON");
    let expressions = expressions(&dashboard);
    // Rates want two scrapes.
    let mut empty = Vec::new();
    let all_have_data = eventually(TIMEOUT, || {
        thread::sleep(Duration::from_millis(500));
        empty = expressions
            .iter()
            .filter(|(_, asked)| prometheus.query(asked).is_empty())
            .collect();
        empty.is_empty()
    });
    assert!(all_have_data, "no data for {empty:#?}");
    for (query, most) in [
        ("label_values(capture_agent_build_info, job)", "job"),
        (
            "label_values(capture_agent_build_info{job=\\\"$job\\\"}, instance)",
            "instance",
        ),
    ] {
        assert!(
            dashboard["templating"].to_string().contains(query),
            "{most}"
        );
    }
    let captured = prometheus.query("sum(capture_agent_packets_total{outcome=\"captured\"})");
    assert!(
        captured[0]["value"][1]
            .as_str()
            .and_then(|value| value.parse().ok())
            >= Some(200.0),
        "{captured:?}"
    );
    let lost = "ALERTS{alertname=\"CaptureLosesPackets\",alertstate=\"firing\"}";
    let fired = eventually(TIMEOUT, || !prometheus.query(lost).is_empty());
    assert!(fired, "{:?}", prometheus.query("ALERTS"));
    if let Some(directory) = env::var_os("CAPTURE_TEST_SERIES") {
        keep_series(&prometheus, &expressions, Path::new(&directory));
    }
    drop(prometheus);
    daemon.stop();
}

/// What each panel shows over the last minute, as JSON, for who wants to draw it.
fn keep_series(prometheus: &Prometheus<'_>, expressions: &[(String, String)], directory: &Path) {
    let now = output(Command::new("date").arg("+%s"));
    let now: u64 = now.trim().parse().expect("a number");
    let (start, end) = ((now - 60).to_string(), now.to_string());
    let panels = expressions.iter().map(|(title, query)| {
        let parameters = [
            ("query", query.as_str()),
            ("start", &start),
            ("end", &end),
            ("step", "1"),
        ];
        let answer = prometheus.get("query_range", &parameters);
        json!({"title": title, "query": query, "answer": answer})
    });
    let panels = Value::Array(panels.collect());
    fs::write(directory.join("series.json"), panels.to_string()).expect("written");
}

/// Stops the daemon while more comes than its ring holds.
fn lose_packets(lab: &Lab, daemon: &Daemon, id: &str) {
    daemon.signal(Signal::SIGSTOP);
    let frames = traffic::frames_to_host(200..20_000, 1400);
    traffic::send(&lab.peer, PEER_IF, 0, frames);
    daemon.signal(Signal::SIGCONT);
    daemon.wait(id, "losses", |task| {
        task["counters"]["dropped"]["ring"].as_u64() > Some(0)
    });
}
