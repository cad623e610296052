//! TLS end to end: the daemon listens on an address that others can reach, and curl comes over the wire,
//! with the right authority, with a wrong one, and without TLS. Certificates change by SIGHUP, all or nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually,
    netns::Lab,
    output, traffic,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// [`HOST4`](capture_tests::netns::HOST4), which the peer can reach.
const LISTEN: &str = "10.0.0.1:8443";

/// What curl says of a certificate that no authority of its has signed.
const UNTRUSTED: Option<i32> = Some(60);

/// A certificate that is its own authority, and its key.
fn certificate(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let [cert, key] = ["pem", "key"].map(|suffix| directory.join(format!("{name}.{suffix}")));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    openssl.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
    openssl.args(["-addext", "subjectAltName=IP:10.0.0.1", "-out"]);
    output(openssl.arg(&cert).arg("-keyout").arg(&key));
    (cert, key)
}

/// The configuration of a daemon with these files, and what is in `[limits]`.
fn sections(cert: &Path, key: &Path, limits: &str) -> String {
    format!(
        "[quota]\nedition = \"unlimited\"\n[limits]\ndisk_budget = \"1TiB\"\n{limits}\n\
         [http]\nlisten = \"{LISTEN}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"",
        cert.display(),
        key.display()
    )
}

/// A client on the other side.
struct Curl<'a> {
    lab: &'a Lab,
    token: String,
}

struct CurlOutput {
    code: Option<i32>,
    status: u16,
    body: Vec<u8>,
}

impl Curl<'_> {
    fn ask(&self, ca: &Path, path: &str, more: &[&str]) -> CurlOutput {
        let mut curl = self.lab.peer.command("curl");
        curl.args(["-sS", "--max-time", "30", "-w", "%{stderr}%{http_code}"]);
        curl.arg("--cacert").arg(ca);
        curl.args(["-H", &format!("Authorization: Bearer {}", self.token)]);
        curl.args(more).arg(format!("https://{LISTEN}{path}"));
        let done = curl.output().expect("curl starts");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let status = said.lines().last().and_then(|line| line.parse().ok());
        CurlOutput {
            code: done.status.code(),
            status: status.unwrap_or_else(|| panic!("{said}")),
            body: done.stdout,
        }
    }

    /// Whether somebody who trusts this authority is answered.
    fn trusts(&self, ca: &Path) -> bool {
        let got = self.ask(ca, "/healthz", &[]);
        assert!(
            got.code == Some(0) || got.code == UNTRUSTED,
            "{:?}",
            got.code
        );
        got.status == 200
    }
}

/// A daemon with the certificate `first`, and a client.
fn start<'a>(lab: &'a Lab, home: &Arc<TempDir>) -> (Daemon, Curl<'a>, [PathBuf; 2]) {
    let (cert, key) = certificate(home.path(), "first");
    daemon::configure(home, &sections(&cert, &key, ""));
    let daemon = daemon::start_in(&lab.host, home);
    let token = daemon.token("remote", "operator", "remote");
    (daemon, Curl { lab, token }, [cert, key])
}

#[test]
fn a_task_is_made_watched_and_fetched_over_tls() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let (daemon, curl, [ca, _]) = start(&lab, &home);
    let task = udp_task(json!({"max_packets": 20, "ports": [9]})).to_string();
    let json = ["-H", "Content-Type: application/json", "-d", &task];
    let created = curl.ask(&ca, "/api/v1/tasks", &json);
    assert_eq!((created.code, created.status), (Some(0), 201));
    let created: Value = serde_json::from_slice(&created.body).expect("JSON");
    let id = created["id"].as_str().expect("an ID");
    daemon.reach(id, "running");
    traffic::send_to_host(&lab, 0..20, 500);
    let ended = daemon.ended(id);
    let shown = curl.ask(&ca, &format!("/api/v1/tasks/{id}"), &[]);
    let shown = serde_json::from_slice(&shown.body).expect("JSON");
    // Its findings come later.
    let [shown, ended] = [shown, ended].map(daemon::without_findings);
    assert_eq!(shown, ended);
    let path = format!("/api/v1/tasks/{id}/files/0");
    let whole = curl.ask(&ca, &path, &[]);
    assert_eq!((whole.status, &whole.body), (200, &daemon.download(id, 0)));
    let part = curl.ask(&ca, &path, &["-r", "4-99"]);
    assert_eq!((part.status, &*part.body), (206, &whole.body[4..100]));
    daemon.stop();
}

#[test]
fn who_does_not_trust_it_or_speaks_no_tls_gets_nothing() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let (daemon, curl, [ca, _]) = start(&lab, &home);
    let (other, _) = certificate(home.path(), "other");
    assert!(curl.trusts(&ca));
    let got = curl.ask(&other, "/api/v1/tasks", &[]);
    assert_eq!((got.code, got.status, got.body.len()), (UNTRUSTED, 0, 0));
    // Old versions of TLS are refused by the daemon, whatever the client would take.
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    let got = curl.ask(&ca, "/healthz", &old);
    assert_eq!((got.code, got.status), (Some(35), 0));
    let mut plain = lab.peer.command("curl");
    plain.args(["-sS", "--max-time", "30", "-w", "%{http_code}"]);
    plain.arg(format!("http://{LISTEN}/healthz"));
    let done = plain.output().expect("curl starts");
    // Nothing is told but what to do.
    let told = String::from_utf8_lossy(&done.stdout);
    let (problem, status) = told.split_at(told.len().saturating_sub(3));
    assert_eq!(status, "400", "{done:?}");
    let problem: Value = serde_json::from_str(problem).expect("a problem");
    assert_eq!(problem["errors"][0]["code"], "tls");
    let detail = problem["detail"].as_str().expect("a sentence");
    assert!(detail.ends_with("begin its URL with https://"), "{detail}");
    // Encrypted, and still nobody without a token.
    let nobody = Curl {
        lab: &lab,
        token: "cap_0".to_owned(),
    };
    assert_eq!(nobody.ask(&ca, "/api/v1/tasks", &[]).status, 401);
    assert!(curl.trusts(&ca));
    daemon.stop();
}

/// What cannot be used changes nothing at all, also not what stands beside it and could be.
#[test]
fn a_certificate_is_swapped_by_sighup_all_or_nothing() {
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let (daemon, curl, [cert, key]) = start(&lab, &home);
    let old = home.path().join("old.pem");
    fs::copy(&cert, &old).expect("a copy");
    let (new, new_key) = certificate(home.path(), "new");
    let long = udp_task(json!({"duration": "2h"}));
    let is_long = || {
        daemon
            .ask("POST", "/tasks?dry_run=true", Some(&long))
            .status
            == 200
    };
    let said = |words: &str| daemon.stderr().matches(words).count();
    let reload = |words: &str| {
        let before = said(words);
        daemon.signal(Signal::SIGHUP);
        assert!(
            eventually(TIMEOUT, || said(words) > before),
            "{}",
            daemon.stderr()
        );
    };

    // The key is another one's, and a limit changes at the same time.
    fs::copy(&new, &cert).expect("a copy");
    daemon::configure(&home, &sections(&cert, &key, "max_duration = \"1h\""));
    reload("the configuration stays as it was");
    assert!(curl.trusts(&old) && !curl.trusts(&new));
    assert!(is_long(), "the limit is in force");
    let report = daemon.stderr();
    assert!(report.contains("first.key"), "{report}");

    fs::copy(&new_key, &key).expect("a copy");
    reload("the configuration is read again");
    assert!(curl.trusts(&new) && !curl.trusts(&old));
    assert!(!is_long(), "the limit is not in force");
    daemon.stop();
}

#[test]
fn what_would_send_tokens_in_the_open_does_not_start() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let (cert, key) = certificate(directory.path(), "first");
    let (_, other) = certificate(directory.path(), "other");
    let listen = |address: &str| format!("[http]\nlisten = \"{address}\"");
    let none = Path::new("/nonexistent.pem");
    for (sections, words) in [
        (listen(LISTEN), "http.listen"),
        (listen("0.0.0.0:8443"), "http.listen"),
        (listen("[::]:8443"), "http.listen"),
        (listen(&format!("{LISTEN}\"\ntls_cert = \"x")), "tls_key"),
        (sections(none, &key, ""), "/nonexistent.pem"),
        (sections(&cert, &other, ""), "other.key"),
        (sections(&key, &key, ""), "first.key"),
    ] {
        let home = daemon::home(&sections);
        let ended = daemon::spawn(lab.host.command(binary()), &home).wait_end();
        assert_eq!(ended.status.code(), Some(2), "{sections}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{sections}: {}", ended.stderr);
        assert!(!ended.stderr.contains("ready"), "{}", ended.stderr);
        assert!(!home.path().join("api.sock").exists());
    }
}
