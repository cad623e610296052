//! The command line and daemons of other hosts: over HTTPS with a token, over a real ssh, by contexts. What is in the way is
//! said in one line, with what to do about it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon},
    eventually,
    netns::{HOST_IF, Lab, Netns},
    output, traffic,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

const URL: &str = "https://10.0.0.1:8443";

/// What a command did.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Done {
    fn of(command: &mut Command) -> Self {
        let done = command.stdin(Stdio::null()).output();
        let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: done.status.code(),
            stdout: text(&done.stdout),
            stderr: text(&done.stderr),
        }
    }

    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// It failed with this code, and said so in one line that has these words.
    #[track_caller]
    fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word}: {self:?}");
        }
        assert!(!self.stderr.contains("cap_"), "{self:?}");
    }
}

/// A host with a daemon, and a client on another.
struct Remote {
    lab: Lab,
    daemon: Daemon,
    home: Arc<TempDir>,
    /// Its authority, and its own.
    ca: PathBuf,
    cert: PathBuf,
    token: PathBuf,
}

impl Remote {
    fn new() -> Self {
        let lab = Lab::new();
        let home = Arc::new(tempfile::tempdir().expect("a directory"));
        let authority = certificate(home.path(), "authority", "DNS:authority.example", None);
        let (cert, key) = certificate(home.path(), "own", "IP:10.0.0.1", Some(&authority));
        let sections = format!(
            "[quota]\nedition = \"unlimited\"\n[limits]\ndisk_budget = \"1TiB\"\n\
             [http]\nlisten = \"10.0.0.1:8443\"\ntls_cert = \"{}\"\ntls_key = \"{}\"",
            cert.display(),
            key.display()
        );
        daemon::configure(&home, &sections);
        let daemon = daemon::start_in(&lab.host, &home);
        let token = home.path().join("token");
        secret(&token, &daemon.token("remote", "operator", "remote"));
        Self {
            lab,
            daemon,
            home,
            ca: authority.0,
            cert,
            token,
        }
    }

    /// The agent on the other host, with contexts of its own.
    fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.peer.command(binary());
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env_remove("CAPTURE_AGENT_SOCKET");
        command
    }

    /// The same with all that the daemon wants.
    fn trusted(&self, arguments: &[&str]) -> Command {
        let mut command = self.agent(arguments);
        command
            .args(["--url", URL, "--token-file"])
            .arg(&self.token);
        command.arg("--ca").arg(&self.ca);
        command
    }
}

/// A file that is its owner's alone.
fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// A certificate for addresses and names, and its key: of the authority of these files, else its own.
fn certificate(
    directory: &Path,
    name: &str,
    alternative: &str,
    authority: Option<&(PathBuf, PathBuf)>,
) -> (PathBuf, PathBuf) {
    let [cert, key] = ["pem", "key"].map(|suffix| directory.join(format!("{name}.{suffix}")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
    openssl.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", &format!("/CN={name}"), "-addext"]);
    openssl.arg(format!("subjectAltName={alternative}"));
    if let Some((cert, key)) = authority {
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-CA"]);
        openssl.arg(cert).arg("-CAkey").arg(key);
    }
    output(openssl.arg("-out").arg(&cert).arg("-keyout").arg(&key));
    (cert, key)
}

/// A certificate that is over, and its key.
fn expired(directory: &Path) -> (PathBuf, PathBuf) {
    let home = directory.join("expired");
    fs::create_dir(&home).expect("a directory");
    fs::write(home.join("index"), "").expect("a file");
    let shown = home.display();
    let config = format!(
        "[ca]\ndefault_ca = own\n[own]\ndatabase = {shown}/index\nnew_certs_dir = {shown}\nrand_serial = yes\n\
         default_md = sha256\npolicy = any\nx509_extensions = names\n[any]\ncommonName = supplied\n\
         [names]\nsubjectAltName = IP:10.0.0.1\n"
    );
    fs::write(home.join("config"), config).expect("a file");
    let [request, cert, key] = ["request", "pem", "key"].map(|name| home.join(name));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    openssl.args(["-nodes", "-subj", "/CN=expired", "-keyout"]);
    output(openssl.arg(&key).arg("-out").arg(&request));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "ca",
        "-selfsign",
        "-batch",
        "-notext",
        "-startdate",
        "20200101000000Z",
    ]);
    openssl
        .args(["-enddate", "20200102000000Z", "-config"])
        .arg(home.join("config"));
    openssl.arg("-keyfile").arg(&key).arg("-in").arg(&request);
    output(openssl.arg("-out").arg(&cert));
    (cert, key)
}

/// A process that is ended with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until somebody listens on a port of the host.
#[track_caller]
fn listens(namespace: &Netns, port: u16) {
    let is_up = || {
        let listening = output(namespace.command("ss").args(["-Hltn"]));
        listening.contains(&format!(":{port} "))
    };
    assert!(eventually(TIMEOUT, is_up), "nobody listens on {port}");
}

#[test]
fn a_task_is_made_and_fetched_over_https() {
    let remote = Remote::new();
    let create = [
        "task",
        "create",
        "--name",
        "web",
        "-i",
        HOST_IF,
        "--protocol",
        "udp",
        "--port",
        "9",
        "-c",
        "20",
    ];
    let id = Done::of(&mut remote.trusted(&create)).code(0).stdout;
    let id = id.trim();
    remote.daemon.reach(id, "running");
    traffic::send_to_host(&remote.lab, 0..20, 500);
    remote.daemon.ended(id);

    // By the environment, as by options; the certificate is trusted itself, without its authority.
    let mut list = remote.agent(&["task", "list", "-o", "json"]);
    list.env("CAPTURE_AGENT_URL", URL)
        .env("CAPTURE_AGENT_TOKEN_FILE", &remote.token)
        .env("CAPTURE_AGENT_CA", &remote.cert);
    let listed: Value = serde_json::from_str(&Done::of(&mut list).code(0).stdout).expect("JSON");
    assert_eq!(listed[0]["id"], id);
    assert_eq!(listed[0]["created_by"], "token remote");

    let file = remote.home.path().join("web.pcapng");
    let name = file.to_str().expect("text");
    Done::of(&mut remote.trusted(&["task", "download", "web", "-w", name])).code(0);
    let written = fs::read_dir(remote.daemon.captures(id)).expect("its files");
    let written: Vec<_> = written
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "pcapng"))
        .collect();
    let [written] = written.as_slice() else {
        panic!("{written:?}")
    };
    assert_eq!(
        fs::read(&file).expect("ours"),
        fs::read(written).expect("the daemon's")
    );

    let version = Done::of(&mut remote.trusted(&["version"])).code(0).stdout;
    assert!(version.contains("daemon  0"), "{version}");
}

#[test]
fn what_is_in_the_way_is_said() {
    let remote = Remote::new();
    let home = remote.home.path();
    let ca = remote.ca.to_str().expect("text");
    let token = remote.token.to_str().expect("text");
    let ask = |more: &[&str]| {
        let mut command = remote.agent(&["task", "list"]);
        Done::of(command.args(more))
    };
    // A system that knows authorities, and not this one.
    let (other, _) = certificate(home, "other", "IP:10.0.0.1", None);
    let mut unknown = remote.agent(&["task", "list", "--url", URL]);
    Done::of(unknown.env("SSL_CERT_FILE", &other))
        .fails(5, &["10.0.0.1:8443", "authority", "--ca"]);
    let other = other.to_str().expect("text");
    ask(&["--url", URL, "--ca", other]).fails(5, &["not from the authority", "--ca"]);
    ask(&["--url", URL, "--ca", token]).fails(2, &["no certificate in PEM"]);
    ask(&["--url", URL, "--ca", "/none"]).fails(3, &["/none", "No such file"]);

    // Tokens.
    ask(&["--url", URL, "--ca", ca]).fails(5, &["wants a token", "--token-file"]);
    let wrong = home.join("wrong");
    secret(&wrong, "cap_00");
    let wrong = wrong.to_str().expect("text");
    ask(&["--url", URL, "--ca", ca, "--token-file", wrong])
        .fails(5, &["does not take the token in", wrong]);
    fs::set_permissions(&remote.token, fs::Permissions::from_mode(0o644)).expect("its mode");
    ask(&["--url", URL, "--ca", ca, "--token-file", token])
        .fails(2, &["open to others", "chmod 600"]);

    // Servers that are none of ours.
    ask(&["--url", "https://10.0.0.1:1"]).fails(5, &["refuses the connection", "http.listen"]);
    ask(&["--url", "https://nobody.invalid:1"]).fails(5, &["nobody.invalid", "is not known"]);
    ask(&["--url", "http://10.0.0.1:8443"]).fails(2, &["in clear", "https://"]);
    ask(&["--url", "https://cap_secret@10.0.0.1"]).fails(2, &["--token-file"]);
    let serve = |(cert, key): (PathBuf, PathBuf), port: u16| {
        let mut openssl = remote.lab.host.command("openssl");
        openssl.args([
            "s_server",
            "-quiet",
            "-accept",
            &format!("10.0.0.1:{port}"),
            "-cert",
        ]);
        openssl.arg(&cert).arg("-key").arg(key);
        openssl
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Server(openssl.spawn().expect("openssl starts"));
        listens(&remote.lab.host, port);
        (server, cert.to_str().expect("text").to_owned())
    };
    let (_named, cert) = serve(
        certificate(home, "named", "DNS:a.example,IP:10.0.0.9", None),
        9001,
    );
    ask(&["--url", "https://10.0.0.1:9001", "--ca", &cert])
        .fails(5, &["is for a.example, 10.0.0.9, and not for 10.0.0.1"]);
    let (_expired, cert) = serve(expired(home), 9002);
    ask(&["--url", "https://10.0.0.1:9002", "--ca", &cert]).fails(5, &["expired on 2020-01-02"]);

    let plain = remote
        .lab
        .host
        .within(|| TcpListener::bind("10.0.0.1:9003").expect("a port"));
    let plain = thread::spawn(move || {
        let (mut stream, _) = plain.accept().expect("a client");
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("it reads");
    });
    ask(&["--url", "https://10.0.0.1:9003", "--ca", ca]).fails(5, &["does not speak TLS"]);
    plain.join().expect("the server");

    // One that takes the connection and says nothing.
    let silent = remote
        .lab
        .host
        .within(|| TcpListener::bind("10.0.0.1:9004").expect("a port"));
    let begun = Instant::now();
    ask(&["--url", "https://10.0.0.1:9004", "--ca", ca]).fails(5, &["within 10 s"]);
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(9) && took < Duration::from_secs(15),
        "{took:?}"
    );
    drop(silent);
}

#[test]
fn contexts_stand_for_daemons() {
    let remote = Remote::new();
    let agent = |arguments: &[&str]| Done::of(&mut remote.agent(arguments));
    let (token, ca) = (
        remote.token.to_str().expect("text"),
        remote.ca.to_str().expect("text"),
    );
    let files = ["--token-file", token, "--ca", ca];
    let create = |name: &str, url: &str, more: &[&str]| {
        Done::of(
            remote
                .agent(&["context", "create", name, "--url", url])
                .args(more),
        )
    };
    create("prod", URL, &files).code(0);
    create("prod", URL, &files).fails(4, &["there is a context prod already"]);
    create("bad name", URL, &[]).fails(2, &["no name of a context"]);
    create("ssh", "ssh://host", &files).fails(2, &["needs none"]);
    create("gone", URL, &["--token-file", "/none"]).fails(3, &["/none"]);
    let file = remote
        .home
        .path()
        .join("config/capture-agent/contexts.toml");
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    assert_eq!(
        agent(&["task", "list", "--context", "prod"]).code(0).stderr,
        ""
    );
    // The daemon of this host is none here, and is asked until another is in use.
    agent(&["task", "list", "--context", "none"]).fails(3, &["no context has the name \"none\""]);
    agent(&["task", "list"]).fails(5, &["/run/capture-agent/api.sock"]);
    agent(&["context", "use", "prod"]).code(0);
    agent(&["task", "list"]).code(0);
    agent(&["task", "list", "--context", "local"]).fails(5, &["/run/capture-agent/api.sock"]);
    let mut by_variable = remote.agent(&["task", "list"]);
    by_variable.env("CAPTURE_AGENT_SOCKET", "/none.sock");
    Done::of(&mut by_variable).fails(5, &["/none.sock"]);

    let listed = agent(&["context", "list"]).code(0).stdout;
    let rows: Vec<_> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    assert_eq!(
        rows[1],
        ["local", "unix:///run/capture-agent/api.sock"],
        "{listed}"
    );
    assert_eq!(rows[2], ["*", "prod", URL, token], "{listed}");
    let shown: Value =
        serde_json::from_str(&agent(&["context", "show", "-o", "json"]).code(0).stdout)
            .expect("JSON");
    assert_eq!(
        (&shown["name"], &shown["current"]),
        (&"prod".into(), &true.into())
    );

    agent(&["context", "remove", "prod"]).code(0);
    agent(&["task", "list"]).fails(5, &["/run/capture-agent/api.sock"]);
    agent(&["context", "show", "prod"]).fails(3, &["no context"]);
}

/// A real sshd on the host, and a program `ssh` that knows its key.
struct Sshd {
    _server: Server,
    path: String,
}

impl Sshd {
    fn start(remote: &Remote) -> Self {
        let home = remote.home.path().join("ssh");
        fs::create_dir(&home).expect("a directory");
        fs::create_dir_all("/run/sshd").expect("the directory of sshd");
        for name in ["host", "user", "stranger"] {
            let mut keygen = Command::new("ssh-keygen");
            output(
                keygen
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(home.join(name)),
            );
        }
        let shown = home.display();
        let server = format!(
            "ListenAddress 10.0.0.1:2222\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/user.pub\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nUsePAM no\nPermitRootLogin yes\n"
        );
        fs::write(home.join("sshd_config"), server).expect("a configuration");
        let key = fs::read_to_string(home.join("host.pub")).expect("a key");
        fs::write(home.join("known"), format!("[10.0.0.1]:2222 {key}")).expect("a key");
        for name in ["user", "stranger"] {
            let client = format!(
                "IdentityFile {shown}/{name}\nIdentitiesOnly yes\nUserKnownHostsFile {shown}/known\n"
            );
            fs::write(home.join(format!("{name}_config")), client).expect("a configuration");
        }
        let program = home.join("ssh");
        let script =
            format!("#!/bin/sh\nexec /usr/bin/ssh -F {shown}/${{WHO:-user}}_config \"$@\"\n");
        fs::write(&program, script).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
        let mut sshd = remote.lab.host.command("/usr/sbin/sshd");
        sshd.args(["-D", "-e", "-f"]).arg(home.join("sshd_config"));
        sshd.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Server(sshd.spawn().expect("sshd starts"));
        listens(&remote.lab.host, 2222);
        let path = std::env::var("PATH").unwrap_or_default();
        Self {
            _server: server,
            path: format!("{shown}:{path}"),
        }
    }
}

#[test]
fn a_daemon_over_ssh() {
    let remote = Remote::new();
    let sshd = Sshd::start(&remote);
    let socket = remote.daemon.socket();
    let url = format!("ssh://root@10.0.0.1:2222{}", socket.display());
    let run = |arguments: &[&str]| {
        let mut command = remote.agent(arguments);
        command.env("PATH", &sshd.path);
        command
    };
    let create = [
        "task", "create", "--name", "far", "-i", HOST_IF, "--url", &url,
    ];
    let id = Done::of(&mut run(&create)).code(0).stdout;
    remote.daemon.reach(id.trim(), "running");
    let shown = Done::of(&mut run(&[
        "task", "show", "far", "-o", "json", "--url", &url,
    ]))
    .code(0);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(shown["id"], id.trim());
    // As the user that ssh logs in as.
    assert_eq!(shown["created_by"], "uid 0");
    // All connections of a command are of one ssh, which ends with it.
    let mut watch = run(&["task", "watch", "far", "--url", &url]);
    let watch = watch
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut watch = Server(watch);
    let mut lines = BufReader::new(watch.0.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "running");
    let children = format!("/proc/{0}/task/{0}/children", watch.0.id());
    let ssh = fs::read_to_string(children).expect("it runs");
    assert_eq!(ssh.split_whitespace().count(), 1, "{ssh}");
    kill(Pid::from_raw(watch.0.id().cast_signed()), Signal::SIGKILL).expect("it runs");
    let proc = PathBuf::from(format!("/proc/{}", ssh.trim()));
    assert!(eventually(TIMEOUT, || !proc.exists()), "ssh goes on: {ssh}");

    let none = format!(
        "ssh://root@10.0.0.1:2222{}",
        remote.home.path().join("none.sock").display()
    );
    Done::of(&mut run(&["task", "list", "--url", &none]))
        .fails(5, &["ssh to root@10.0.0.1 works", "no daemon listens"]);
    let mut stranger = run(&["task", "list", "--url", &url]);
    Done::of(stranger.env("WHO", "stranger"))
        .fails(5, &["ssh to root@10.0.0.1 has failed", "Permission denied"]);
    Done::of(&mut run(&["task", "list", "--url", "ssh://10.0.0.1:1"]))
        .fails(5, &["has failed", "Connection refused"]);
    let mut missing = remote.lab.peer.command("env");
    missing.arg("PATH=/none").arg(binary());
    Done::of(missing.args(["task", "list", "--url", &url])).fails(6, &["`ssh` is not installed"]);
}

#[test]
fn the_console_of_another_host_opens_here() {
    let remote = Remote::new();
    let mut console = remote.trusted(&["console", "--no-browser"]);
    let console = console
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut console = Server(console);
    let mut lines = BufReader::new(console.0.stdout.take().expect("piped")).lines();
    let once = lines.next().expect("an address").expect("text");
    let (page, _) = once.split_once("/?once=").expect("a secret");
    let jar = remote.home.path().join("cookies");
    let curl = |more: &[&str]| {
        let mut curl = remote.lab.peer.command("curl");
        curl.args([
            "-sS",
            "--max-time",
            "30",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-b",
        ]);
        output(curl.arg(&jar).arg("-c").arg(&jar).args(more))
    };
    let tasks = format!("{page}/api/v1/tasks");
    assert_eq!(curl(&[&tasks]), "403");
    assert_eq!(curl(&["-L", &once]), "200");
    assert_eq!(curl(&[&tasks]), "200");
    let body = format!(r#"{{"name": "far", "interfaces": ["{HOST_IF}"]}}"#);
    let json = ["-H", "Content-Type: application/json", "-d", &body, "-H"];
    let from = |origin: &str| curl(&[&json[..], &[&format!("Origin: {origin}"), &tasks]].concat());
    assert_eq!(from("https://evil.example"), "403");
    assert_eq!(from(page), "201");
    let tasks = remote.daemon.ask("GET", "/tasks", None).expect(200).json();
    assert_eq!(tasks["tasks"][0]["created_by"], "token remote");
}
