//! What engines say, and what they should not.

use capture_analysis::Severity;

use super::{EngineKind, Machine};

const ALERT: &str = r#"{"timestamp":"2026-01-02T03:04:05.000006+0000","pcap_cnt":1,"event_type":"alert","src_ip":"10.0.0.2","src_port":80,"dest_ip":"10.0.0.1","dest_port":4000,"proto":"TCP","alert":{"gid":1,"signature_id":77,"rev":3,"signature":"a test","severity":1},"flow":{"src_ip":"10.0.0.1","dest_ip":"10.0.0.2","src_port":4000,"dest_port":80}}"#;

#[test]
fn an_alert_is_a_finding_about_the_flow() {
    let machine = Machine::suricata(&format!("echo '{ALERT}' > eve.json"));
    let (report, findings) = machine.run(EngineKind::Suricata);
    assert_eq!(
        (
            report.version.as_str(),
            report.rules,
            report.alerts,
            report.error
        ),
        ("7.7.7", Some(2), 1, None)
    );
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(
        finding.summary,
        "Suricata 7.7.7: “a test” (1:77:3), 1 alert, from 10.0.0.1 to 10.0.0.2, tcp port 80"
    );
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(finding.packets.packets(), [1]);
    assert_eq!(
        finding.check,
        "ip.addr == 10.0.0.2 && ip.addr == 10.0.0.1 && tcp.port == 80 && tcp.port == 4000"
    );
    assert_eq!(finding.reference, "Suricata 7.7.7, 1:77:3");
    let since = finding.since.map(|time| time.to_string());
    assert_eq!(since.as_deref(), Some("2026-01-02T03:04:05.000006Z"));
}

#[test]
fn many_alerts_of_a_rule_are_one_finding() {
    let machine = Machine::suricata(&format!(
        "for n in $(seq 2000); do echo '{ALERT}'; done | sed s/4000/5000/ > eve.json"
    ));
    let (report, findings) = machine.run(EngineKind::Suricata);
    assert_eq!((report.alerts, report.error), (2000, None));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].count, 2000);
    let machine = Machine::suricata(&format!(
        "for n in $(seq 200); do echo '{ALERT}' | sed s/10.0.0.2/10.0.1.$n/g; done > eve.json"
    ));
    let (_, findings) = machine.run(EngineKind::Suricata);
    assert_eq!(findings.len(), 1, "one scanner is one finding");
    assert!(
        findings[0]
            .summary
            .contains("from 10.0.0.1 to at least 64 hosts"),
        "{}",
        findings[0].summary
    );
}

#[test]
fn no_alerts_are_no_findings() {
    let (report, findings) = Machine::suricata(": > eve.json").run(EngineKind::Suricata);
    assert_eq!((report.alerts, report.error), (0, None));
    assert!(findings.is_empty());
}

#[test]
fn what_makes_no_sense_is_an_error_and_what_does_is_shown() {
    let machine = Machine::suricata(&format!(
        "{{ echo '{ALERT}'; echo '{{\"event_type\":\"alert\"}}'; echo nonsense; head -c 3000 /dev/urandom; }} > eve.json"
    ));
    let (report, findings) = machine.run(EngineKind::Suricata);
    let error = report.error.expect("there is nonsense");
    assert!(error.contains("lines that are no alerts"), "{error}");
    assert_eq!(findings.len(), 1);
}

#[test]
fn crashes_are_said_with_the_last_words_escaped() {
    for (does, words) in [
        ("kill -SEGV $$", "was ended by signal 11"),
        (
            "printf 'E: \\033[31mbad\\n'; exit 3",
            "ended with 3: E: \\u{1b}[31mbad",
        ),
        ("head -c 2000000 /dev/zero > eve.json || exit 1", "suricata"),
        ("ln -s /etc/passwd eve.json", "no regular file"),
        ("mkfifo eve.json", "no regular file"),
    ] {
        let (report, findings) = Machine::suricata(does).run(EngineKind::Suricata);
        let error = report.error.unwrap_or_default();
        assert!(error.contains(words), "{does}: {error}");
        assert!(findings.is_empty());
    }
}

#[test]
fn a_file_that_was_not_read_is_said() {
    let script =
        "[ \"$1\" = -V ] && echo Suricata version 7.7.7; echo 'E: pcap: unknown file format'";
    let (report, _) = Machine::with("suricata", script).run(EngineKind::Suricata);
    let error = report.error.expect("it did not read");
    assert!(
        error.contains("did not read the file: E: pcap: unknown"),
        "{error}"
    );
}

#[test]
fn risks_are_findings_and_names_of_packets_are_not() {
    let machine = Machine::ndpi(
        "\t1\tTCP 10.0.0.1:4000 <-> 10.0.0.2:21 [proto: 1/FTP_CONTROL][User: me][Pwd: secret][Risk: ** Clear-Text Credentials **** HTTP Numeric IP Address **][Risk Score: 100]
\t2\tTCP 10.0.0.1:4001 <-> 10.0.0.2:21 [proto: 1/FTP_CONTROL][Pwd: secret][Risk: ** Clear-Text Credentials **][Risk Score: 100]
\t3\tUDP [2001:db8::1]:4001 -> [2001:db8::2]:53 [proto: 5/DNS][Hostname/SNI: x][Risk: ** Made Up By A Packet **][Risk Score: 1]
\tnonsense [Risk: ** XSS Attack **]
[Risk: ** XSS Attack **]",
        "#flow_id
0,6,100.500,101.000,0.5,10.0.0.1,4000,10.0.0.2,21,1,FTP
1,6,102.500,103.000,0.5,10.0.0.1,4001,10.0.0.2,21,1,FTP",
    );
    let (report, findings) = machine.run(EngineKind::Ndpi);
    assert_eq!((report.alerts, report.error), (3, None));
    let summaries: Vec<_> = findings.iter().map(|it| it.summary.as_str()).collect();
    assert_eq!(
        summaries,
        [
            "nDPI 4.4.4: Clear-Text Credentials, 2 flows, from 10.0.0.1 to 10.0.0.2, tcp port 21",
            "nDPI 4.4.4: HTTP Numeric IP Address, 1 flow, from 10.0.0.1 to 10.0.0.2, tcp port 21",
        ]
    );
    assert_eq!(
        findings[0].check,
        "ip.addr == 10.0.0.2 && ip.addr == 10.0.0.1 && tcp.port == 21"
    );
    assert_eq!(findings[0].severity, Severity::Warn);
    let times = [findings[0].since, findings[0].until];
    let times = times.map(|time| time.map(|time| time.as_millisecond()));
    assert_eq!(times, [Some(100_500), Some(103_000)]);
    assert!(!format!("{findings:?}").contains("secret"));
}
