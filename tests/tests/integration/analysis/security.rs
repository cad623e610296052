//! Scans, floods and guessing by real tools, and ordinary traffic that looks like them. Each is one finding, whose display
//! filter shows the packets that it cites.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use capture_analysis::{Finding, Report, Severity};
use capture_tests::{
    TIMEOUT, agent, eventually,
    netns::{HOST_IF, HOST4, Lab, Netns, PEER_IF},
    output, readers,
};

use super::run::analyze;

/// What is found while `work` is done. The filter of each finding must show what it cites.
pub(super) fn found(lab: &Lab, work: impl FnOnce(&Lab)) -> Report {
    found_with(lab, &[], work)
}

/// The same with more arguments of the capture.
pub(super) fn found_with(lab: &Lab, arguments: &[&str], work: impl FnOnce(&Lab)) -> Report {
    let always = ["-i", HOST_IF, "--hook", "tc", "-w", "o.pcapng"];
    let arguments = [&always, arguments].concat();
    let running = agent::capture(&lab.host, &arguments);
    work(lab);
    // Answers that are on their way.
    thread::sleep(Duration::from_millis(300));
    let ended = running.stop();
    let file = ended.file();
    let report = analyze(&file, true);
    for finding in &report.findings {
        println!(
            "{:?} {}: {}",
            finding.severity, finding.code, finding.summary
        );
        let cited = finding.packets.packets();
        if finding.check.is_empty() || cited.is_empty() {
            continue;
        }
        let shown = readers::fields(&file, &finding.check, &["frame.number"]);
        for number in cited {
            let is_shown = shown.iter().any(|row| row[0] == number.to_string());
            assert!(
                is_shown,
                "{}: {} does not show {number}",
                finding.code, finding.check
            );
        }
    }
    report
}

/// The findings that somebody is to act on.
fn faults(report: &Report) -> Vec<&Finding> {
    let findings = report.findings.iter();
    findings
        .filter(|finding| finding.severity >= Severity::Warn)
        .collect()
}

/// The only one of them.
fn only<'a>(report: &'a Report, code: &str) -> &'a Finding {
    let faults = faults(report);
    let codes: Vec<_> = faults.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [code], "{:#?}", report.findings);
    faults[0]
}

fn nothing(report: &Report) {
    assert!(faults(report).is_empty(), "{:#?}", report.findings);
}

/// Nmap at the peer against the host, without names, and without ARP, which the pair of interfaces does not have.
fn nmap(lab: &Lab, arguments: &[&str]) {
    let always = ["-n", "-Pn", "--send-ip", "-T4", "--max-retries", "1"];
    output(lab.peer.command("nmap").args(always).args(arguments));
}

#[test]
fn a_scan_of_a_thousand_ports_is_one_finding() {
    let lab = Lab::new();
    let _listener = listen(&lab.host, 80);
    let report = found(&lab, |lab| nmap(lab, &["-sS", "-p1-1000", HOST4]));
    let finding = only(&report, "scan.ports");
    assert_eq!(finding.count, 1000);
    let begin = "10.0.0.2 tried 1000 TCP ports of 10.0.0.1 (1 to 1000) within ";
    assert!(finding.summary.starts_with(begin), "{}", finding.summary);
    let end = ": 1 answered, most others said that nothing is there; probes as Nmap's SYN scan sends them (window 1024, MSS alone).";
    assert!(finding.summary.ends_with(end), "{}", finding.summary);
}

#[test]
fn a_scan_by_connections_is_one_finding() {
    let lab = Lab::new();
    let report = found(&lab, |lab| nmap(lab, &["-sT", "-p1-1000", HOST4]));
    let finding = only(&report, "scan.ports");
    assert!(
        finding.summary.contains("sockets of an ordinary system"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_scan_by_datagrams_is_one_finding() {
    let lab = Lab::new();
    // Otherwise a host says only once a second that nothing listens.
    lab.host.sysctl("net/ipv4/icmp_ratelimit", "0");
    let report = found(&lab, |lab| nmap(lab, &["-sU", "-p1-100", HOST4]));
    let finding = only(&report, "scan.ports");
    assert_eq!(finding.subject.protocol, Some("udp"));
    assert!(
        finding.summary.contains("100 UDP ports"),
        "{}",
        finding.summary
    );
}

#[test]
fn probes_past_a_filter_are_one_finding() {
    for (option, words) in [
        ("-sN", "NULL probes"),
        ("-sX", "Xmas probes"),
        ("-sF", "FIN probes"),
        ("-sA", "ACK probes"),
    ] {
        let lab = Lab::new();
        let report = found(&lab, |lab| nmap(lab, &[option, "-p1-1000", HOST4]));
        let finding = only(&report, "scan.stealth");
        let begin = format!("10.0.0.2 sent {words}");
        assert!(finding.summary.starts_with(&begin), "{}", finding.summary);
        assert!(
            finding.summary.contains(" to 1000 ports of 10.0.0.1"),
            "{}",
            finding.summary
        );
    }
}

#[test]
fn a_scan_of_a_network_is_one_finding() {
    let lab = Lab::new();
    let report = found(&lab, |lab| {
        let arguments = [
            "-n",
            "-sn",
            "--send-ip",
            "-T4",
            "--max-retries",
            "1",
            "10.0.0.0/24",
        ];
        output(lab.peer.command("nmap").args(arguments));
    });
    let finding = only(&report, "scan.hosts");
    assert!(
        finding.summary.contains("echo requests"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_scan_by_arp_is_one_finding() {
    let lab = Lab::new();
    for (namespace, interface) in [(&lab.host, HOST_IF), (&lab.peer, PEER_IF)] {
        namespace.ip(&format!(
            "neigh flush dev {interface}\nlink set {interface} arp on"
        ));
    }
    let report = found(&lab, |lab| {
        output(lab.peer.command("nmap").args(["-n", "-sn", "10.0.0.0/24"]));
    });
    let finding = only(&report, "scan.hosts");
    assert!(
        finding.summary.contains("ARP requests"),
        "{}",
        finding.summary
    );
}

/// Packets of hping3 at the peer against the host, thousands a second even on a busy machine.
fn hping(lab: &Lab, arguments: &[&str]) {
    let always = ["-q", "-n", "-i", "u100", "-c", "6000"];
    let mut command = lab.peer.command("hping3");
    command.args(always).args(arguments).arg(HOST4);
    // It fails where no packet came back.
    let done = command.output().expect("hping3 starts");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(errors.contains("packets transmitted"), "{errors}");
}

#[test]
fn a_flood_of_syns_is_one_finding() {
    let lab = Lab::new();
    let _listener = listen(&lab.host, 80);
    let report = found(&lab, |lab| hping(lab, &["-S", "-p", "80"]));
    let finding = only(&report, "flood.syn");
    assert!(
        finding.summary.contains("from 10.0.0.2; 0 of them became"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_flood_of_datagrams_is_one_finding() {
    let lab = Lab::new();
    let report = found(&lab, |lab| {
        hping(lab, &["--udp", "-p", "4000", "-d", "100"])
    });
    only(&report, "flood.udp");
}

#[test]
fn a_flood_of_pings_is_one_finding() {
    let lab = Lab::new();
    let report = found(&lab, |lab| hping(lab, &["--icmp"]));
    only(&report, "flood.icmp");
}

/// An SSH server of a test, that nobody can log in to.
struct Sshd {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Sshd {
    fn start(namespace: &Netns) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = directory.path().join("key");
        output(
            std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&key),
        );
        fs::create_dir_all("/run/sshd").expect("the directory of its privilege separation");
        let mut child = namespace
            .command("/usr/sbin/sshd")
            .args([
                "-D",
                "-e",
                "-f",
                "/dev/null",
                "-p",
                "22",
                "-o",
                "PasswordAuthentication=yes",
            ])
            .args([
                "-o",
                "UsePAM=no",
                "-o",
                "PidFile=none",
                "-o",
                &format!("HostKey={}", key.display()),
            ])
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd starts");
        let address = SocketAddr::new(HOST4.parse().expect("an address"), 22);
        let is_up = eventually(TIMEOUT, || {
            namespace.within(|| TcpStream::connect(address).is_ok())
        });
        assert!(is_up, "sshd listens, or ended: {:?}", child.try_wait());
        Self {
            child,
            _directory: directory,
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn guessing_of_passwords_is_one_finding() {
    let lab = Lab::new();
    let _server = Sshd::start(&lab.host);
    let words = tempfile::NamedTempFile::new().expect("a file");
    let list: Vec<String> = (0..240).map(|number| format!("guess{number}")).collect();
    fs::write(words.path(), list.join("\n")).expect("a list of passwords");
    let report = found(&lab, |lab| {
        let mut command = lab.peer.command("hydra");
        command
            .args(["-I", "-t", "4", "-w", "1", "-l", "nobody", "-P"])
            .arg(words.path());
        output(command.arg(format!("ssh://{HOST4}")));
    });
    let finding = only(&report, "auth.bruteforce");
    assert!(
        finding
            .summary
            .contains("short sessions of SSH to 10.0.0.1 port 22"),
        "{}",
        finding.summary
    );
}

pub(super) fn listen(namespace: &Netns, port: u16) -> TcpListener {
    let address = SocketAddr::new(HOST4.parse().expect("an address"), port);
    namespace.within(|| TcpListener::bind(address).expect("the server binds"))
}

/// Connections from the peer to the host, one after the other, each with a request and its answer.
fn connections(lab: &Lab, listener: &TcpListener, count: usize) {
    let address = listener.local_addr().expect("an address");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..count {
                let (mut stream, _) = listener.accept().expect("a connection comes in");
                let mut request = [0; 100];
                stream
                    .read_exact(&mut request)
                    .expect("the request arrives");
                stream.write_all(&[b'a'; 1000]).expect("the answer is sent");
            }
        });
        lab.peer.within(|| {
            for _ in 0..count {
                let mut stream = TcpStream::connect(address).expect("the client connects");
                stream.write_all(&[b'q'; 100]).expect("the request is sent");
                stream
                    .read_to_end(&mut Vec::new())
                    .expect("the answer arrives");
            }
        });
    });
}

#[test]
fn a_busy_client_has_no_finding() {
    let lab = Lab::new();
    let report = found(&lab, |lab| connections(lab, &listen(&lab.host, 8080), 2000));
    nothing(&report);
}

#[test]
fn a_client_that_loses_its_server_is_no_scanner() {
    let lab = Lab::new();
    let report = found(&lab, |lab| {
        let listener = listen(&lab.host, 8080);
        connections(lab, &listener, 100);
        let address = listener.local_addr().expect("an address");
        drop(listener);
        lab.peer.within(|| {
            for _ in 0..500 {
                assert!(TcpStream::connect(address).is_err());
            }
        });
    });
    only(&report, "tcp.refused");
}
