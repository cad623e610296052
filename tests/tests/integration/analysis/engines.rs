//! Engines of others, the real ones: what they say of a capture is among the findings, with filters that tshark takes.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use capture_tests::{
    agent,
    netns::{HOST_IF, HOST4, Lab},
    or_skip, output, readers,
};
use serde_json::Value;

use super::security::listen;

/// An HTTP server that is called by its address, which nDPI takes for a risk.
fn requests(lab: &Lab, file: &Path) {
    let arguments = ["-i", HOST_IF, "--hook", "tc", "-w", "o.pcapng"];
    let running = agent::capture(&lab.host, &arguments);
    let listener = listen(&lab.host, 80);
    let address = listener.local_addr().expect("an address");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().expect("a connection comes in");
                let mut request = [0; 1000];
                let _ = stream.read(&mut request).expect("the request arrives");
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                stream.write_all(answer.as_bytes()).expect("it is sent");
            }
        });
        lab.peer.within(|| {
            for _ in 0..3 {
                let mut stream = TcpStream::connect(address).expect("the client connects");
                let request =
                    format!("GET /x HTTP/1.1\r\nHost: {HOST4}\r\nUser-Agent: curl/8.0\r\n\r\n");
                stream.write_all(request.as_bytes()).expect("it is sent");
                let answer = stream.read_to_end(&mut Vec::new());
                answer.expect("the answer arrives");
            }
        });
    });
    let ended = running.stop();
    fs::copy(ended.file(), file).expect("a copy");
}

fn analyze(file: &Path, options: &[&str]) -> Value {
    let mut command = Command::new(agent::binary());
    command.args(["analyze", "-o", "json"]).args(options);
    serde_json::from_str(&output(command.arg(file))).expect("JSON")
}

/// The findings with a code; the filter of each must show packets, and those that it cites.
fn found<'r>(report: &'r Value, code: &str, file: &Path) -> Vec<&'r Value> {
    let findings = report["findings"].as_array().expect("findings");
    let found: Vec<_> = findings.iter().filter(|it| it["code"] == code).collect();
    for finding in &found {
        let check = finding["check"].as_str().expect("a filter");
        let shown = readers::fields(file, check, &["frame.number"]).concat();
        assert!(!shown.is_empty(), "{finding:#}");
        let cited = finding["packets"].as_array().expect("packets");
        let mut cited = cited.iter().map(Value::to_string);
        assert!(cited.all(|number| shown.contains(&number)), "{finding:#}");
    }
    found
}

#[test]
fn ndpi_finds_a_risk_once_for_each_server() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("o.pcapng");
    requests(&lab, &file);
    let report = analyze(&file, &["--engine", "ndpi"]);
    assert_eq!(report["engines"][0]["error"], Value::Null, "{report:#}");
    let found = found(&report, "ndpi.risk", &file);
    let numeric = "HTTP Numeric IP Address";
    let of_address: Vec<_> = found
        .iter()
        .filter(|it| it["summary"].to_string().contains(numeric))
        .collect();
    let [finding] = of_address.as_slice() else {
        panic!("{report:#}");
    };
    assert_eq!(finding["count"], 3);
    assert_eq!(finding["subject"]["destination_port"], 80);
    // Without it there is nothing of it.
    let alone = analyze(&file, &[]);
    assert!(!alone.to_string().contains("ndpi"));
}

#[test]
fn suricata_finds_by_rules_that_are_named() {
    let installed = Command::new("suricata").arg("-V").output();
    or_skip!(installed.map_err(|error| format!("suricata: {error}")));
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("o.pcapng");
    requests(&lab, &file);
    let rules = file.with_extension("rules");
    let rule = "alert http any any -> any any (msg:\"test of a path\"; http.uri; content:\"/x\"; sid:1000001; rev:2; priority:1;)\n";
    fs::write(&rules, rule).expect("it is written");
    let rules = rules.to_str().expect("a path");
    let report = analyze(&file, &["--engine", "suricata", "--engine-rules", rules]);
    assert_eq!(report["engines"][0]["rules"], 1, "{report:#}");
    let found = found(&report, "suricata.alert", &file);
    let [finding] = found.as_slice() else {
        panic!("{report:#}");
    };
    assert_eq!(
        (&finding["count"], &finding["severity"]),
        (&3.into(), &"high".into())
    );
    let cited = finding["packets"].as_array().expect("packets");
    assert_eq!(cited.len(), 3);
    // Rules that match nothing find nothing.
    fs::write(rules, rule.replace("/x", "/y")).expect("it is written");
    let report = analyze(&file, &["--engine", "suricata", "--engine-rules", rules]);
    assert!(
        !report["findings"].to_string().contains("suricata"),
        "{report:#}"
    );
}

#[test]
fn an_engine_that_is_not_installed_is_said_before_anything_is_read() {
    let mut command = Command::new(agent::binary());
    command.args(["analyze", "--engine", "suricata", "-"]);
    let ended = command
        .env("PATH", "/nowhere")
        .stdin(Stdio::null())
        .output();
    let ended = ended.expect("it starts");
    assert_eq!(ended.status.code(), Some(6));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("install the package suricata"), "{said}");
    assert!(ended.stdout.is_empty());
}
