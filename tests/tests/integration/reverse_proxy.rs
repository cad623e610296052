//! The daemon behind a real nginx with the configuration of `docs/service/reverse-proxy.md`: under its own name, under a
//! prefix, and with what proxies make of `Host`.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use capture_tests::{
    TIMEOUT,
    daemon::{self, UNLIMITED, udp_task},
    eventually,
    netns::Lab,
    or_skip, output,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const NGINX: &str = "/usr/sbin/nginx";

/// Where nginx listens, which is not where browsers think by default.
const ORIGIN: &str = "https://capture.example:8443";

fn nginx() -> Result<(), String> {
    let is_there = Path::new(NGINX).exists();
    is_there.then_some(()).ok_or(format!("there is no {NGINX}"))
}

/// The server of the page, and others that differ in what they do to `Host` and to the path.
fn configuration(directory: &Path) -> String {
    let page = include_str!("../../../docs/service/reverse-proxy.md");
    let (_, block) = page.split_once("```nginx\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    let directory = directory.display();
    let others = "location /capture/ { proxy_pass http://127.0.0.1:8080/; proxy_buffering off; }
        location /without-port/ { proxy_pass http://127.0.0.1:8080/; proxy_set_header Host $host; }
        location / {";
    let server = block
        .replace("443 ssl", "127.0.0.1:8443 ssl")
        .replace("/etc/nginx", &directory.to_string())
        .replacen("location / {", others, 1);
    format!(
        "daemon off; master_process off; user root; pid {directory}/pid; error_log {directory}/error info;
        events {{}}
        http {{ access_log off; client_body_temp_path {directory}/a; proxy_temp_path {directory}/b;
        fastcgi_temp_path {directory}/c; uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
        {server} }}"
    )
}

/// Ends with the test.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(lab: &Lab, directory: &TempDir) -> Proxy {
    let directory = directory.path();
    let [cert, key] = ["capture.pem", "capture.key"].map(|name| directory.join(name));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=capture.example"]);
    openssl.args(["-addext", "subjectAltName=DNS:capture.example", "-out"]);
    output(openssl.arg(cert).arg("-keyout").arg(key));
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration(directory)).expect("written");
    let mut nginx = lab.host.command(NGINX);
    nginx.arg("-p").arg(directory).arg("-c").arg(file);
    nginx.arg("-e").arg(directory.join("error"));
    let nginx = nginx.stdin(Stdio::null()).spawn();
    Proxy(nginx.expect("it starts"))
}

#[test]
fn the_api_and_the_console_work_through_nginx() {
    or_skip!(nginx());
    let lab = Lab::new();
    let http = "[http]\nlisten = \"127.0.0.1:8080\"\nallowed_hosts = [\"capture.example\"]";
    let daemon = daemon::start_in(&lab.host, &daemon::home(&format!("{UNLIMITED}\n{http}")));
    let token = daemon.token("browser", "operator", "browser");
    let directory = tempfile::tempdir().expect("a directory");
    let _proxy = start(&lab, &directory);
    // The status, the `Location`, and the body.
    let curl = |path: &str, arguments: &[&str]| {
        let mut curl = lab.host.command("curl");
        curl.args(["-sS", "--max-time", "30", "--resolve"]);
        curl.args(["capture.example:8443:127.0.0.1", "--cacert"]);
        curl.arg(directory.path().join("capture.pem"));
        curl.args(["-w", "\n%{http_code} %header{location}"]);
        curl.args(arguments).arg(format!("{ORIGIN}{path}"));
        let done = curl.output().expect("curl starts");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let (body, figures) = said.rsplit_once('\n').unwrap_or_default();
        let (status, location) = figures.split_once(' ').unwrap_or_default();
        (status.to_owned(), location.to_owned(), body.to_owned())
    };
    let answers = || curl("/readyz", &[]).0 == "200";
    assert!(
        eventually(TIMEOUT, answers),
        "{:?}",
        curl("/readyz", &["-v"])
    );

    let bearer = format!("Authorization: Bearer {token}");
    let page = [
        "-H",
        bearer.as_str(),
        "-H",
        "Origin: https://capture.example:8443",
        "-H",
        "Sec-Fetch-Site: same-origin",
        "-H",
        "Content-Type: application/json",
        "-d",
    ];
    for prefix in ["", "/capture", "/without-port"] {
        let path = format!("{prefix}/api/v1/tasks");
        let task = udp_task(json!({"name": "proxied", "duration": 60})).to_string();
        let (status, location, body) = curl(&path, &[&page[..], &[&task]].concat());
        assert_eq!(status, "201", "{prefix}: {body}");
        // What a client makes of it is under the prefix, and is there.
        let made = format!("{prefix}/api/v1/{location}");
        let (status, _, shown) = curl(&made, &["-H", &bearer]);
        assert_eq!(status, "200", "{made}: {shown}");
        let id = |task: &str| serde_json::from_str::<Value>(task).expect("a task")["id"].clone();
        assert_eq!(id(&shown), id(&body));
        // Nothing is held back until the end.
        let events = curl(
            &format!("{prefix}/api/v1/events"),
            &["-N", "--max-time", "3", "-H", &bearer],
        );
        assert!(events.2.contains("event: stats"), "{prefix}: {events:?}");
        // The console, and what its page links to.
        let (status, _, html) = curl(&format!("{prefix}/"), &[]);
        assert_eq!(status, "200", "{html}");
        let (_, link) = html.split_once("src=\"").expect("a script");
        let (link, _) = link.split_once('"').expect("its end");
        let (status, ..) = curl(&format!("{prefix}/{link}"), &[]);
        assert_eq!(status, "200", "{prefix}/{link}");
        // Other pages stay out.
        let (status, _, body) = curl(
            &path,
            &["-H", &bearer, "-H", "Origin: https://evil.example"],
        );
        assert_eq!(status, "403", "{body}");
        let (status, ..) = curl(&path, &[]);
        assert_eq!(status, "401");
    }
    let listed = daemon.ask("GET", "/tasks?name=proxied", None).json();
    assert_eq!(listed["tasks"].as_array().map(Vec::len), Some(3));
    daemon.stop();
}
