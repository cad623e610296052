//! Passwords that can be read, and logins that are refused.

use crate::tests::app::talk::Talk;
use crate::{
    finding::Finding,
    severity::Severity,
    testing::{Lab, SECOND, udp_frame},
};

/// What each protocol says when a client logs in. `{}` is whether it works.
pub(super) type Script = &'static [(Who, &'static [u8])];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Client,
    Server,
}

use Who::{Client, Server};

const FTP: Script = &[
    (Server, b"220 (vsFTPd 3.0.3)\r\n"),
    (Client, b"USER hugo\r\n"),
    (Server, b"331 Please specify the password.\r\n"),
    (Client, b"PASS hunter2\r\n"),
    (Server, b"530 Login incorrect.\r\n"),
];

const SMTP: Script = &[
    (Server, b"220 mail.example.org\r\n"),
    (Client, b"EHLO me\r\n"),
    (Server, b"250-mail\r\n250 AUTH PLAIN LOGIN\r\n"),
    (Client, b"AUTH LOGIN\r\n"),
    (Server, b"334 VXNlcm5hbWU6\r\n"),
    (Client, b"aHVnbw==\r\n"),
    (Server, b"334 UGFzc3dvcmQ6\r\n"),
    (Client, b"aHVudGVyMg==\r\n"),
    (Server, b"535 5.7.8 Error: authentication failed\r\n"),
];

const POP3: Script = &[
    (Server, b"+OK Dovecot ready.\r\n"),
    (Client, b"USER hugo\r\n"),
    (Server, b"+OK\r\n"),
    (Client, b"PASS hunter2\r\n"),
    (Server, b"-ERR [AUTH] Authentication failed.\r\n"),
];

const IMAP: Script = &[
    (Server, b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"),
    (Client, b"a LOGIN hugo hunter2\r\n"),
    (
        Server,
        b"a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n",
    ),
];

const TELNET: Script = &[
    (Server, b"\xff\xfd\x18\xff\xfd\x20\r\nrouter login: "),
    (Client, b"\xff\xfc\x18hugo\r\n"),
    (Server, b"hugo\r\nPassword: "),
    (Client, b"h"),
    (Client, b"unter2\r\n"),
    (Server, b"\r\nLogin incorrect\r\nrouter login: "),
];

const HTTP: Script = &[
    (
        Client,
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic aHVnbzpodW50ZXIy\r\n\r\n",
    ),
    (
        Server,
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    ),
];

const LDAP: Script = &[
    (
        Client,
        b"\x30\x17\x02\x01\x01\x60\x12\x02\x01\x03\x04\x04hugo\x80\x07hunter2",
    ),
    (
        Server,
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00",
    ),
];

const REDIS: Script = &[
    (Client, b"*2\r\n$4\r\nAUTH\r\n$7\r\nhunter2\r\n"),
    (
        Server,
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    ),
];

const MYSQL: Script = &[
    (Server, b"\x15\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0"),
    (Client, b"\x0c\0\0\x01\x85\xa6\x0f\x00\0\0\0\x01hugo"),
    (Server, b"\x16\0\0\x02\xfemysql_clear_password\0"),
    (Client, b"\x08\0\0\x03hunter2\0"),
    (
        Server,
        b"\x1f\0\0\x04\xff\x15\x04#28000Access denied for user",
    ),
];

const POSTGRES: Script = &[
    (Client, b"\0\0\0\x13\0\x03\0\0user\0hugo\0\0"),
    (Server, b"R\0\0\0\x08\0\0\0\x03"),
    (Client, b"p\0\0\0\x0chunter2\0"),
    (Server, b"E\0\0\0\x17SFATAL\0C28P01\0Mno\0\0"),
];

pub(super) const ALL: [(&str, u16, Script); 10] = [
    ("FTP", 21, FTP),
    ("SMTP", 25, SMTP),
    ("POP3", 110, POP3),
    ("IMAP", 143, IMAP),
    ("Telnet", 23, TELNET),
    ("HTTP", 80, HTTP),
    ("LDAP", 389, LDAP),
    ("Redis", 6379, REDIS),
    ("MySQL", 3306, MYSQL),
    ("PostgreSQL", 5432, POSTGRES),
];

fn play(lab: &mut Lab, client_port: u16, port: u16, script: Script) {
    let mut talk = Talk::new(lab, client_port, port);
    for (who, bytes) in script {
        talk = match who {
            Client => talk.client(bytes),
            Server => talk.server(bytes),
        };
    }
    talk.close();
}

#[test]
fn a_password_of_each_protocol() {
    for (name, port, script) in ALL {
        let mut lab = Lab::new();
        play(&mut lab, 40_000, port, script);
        play(&mut lab, 40_001, port, script);
        let outcome = lab.end();
        let finding = outcome.only("cred.cleartext");
        assert_eq!(
            finding.summary,
            format!(
                "10.0.0.1 sent a password to 10.0.0.2 port {port} by {name} without encryption, 2 times."
            )
        );
        assert_eq!(finding.severity, Severity::High);
    }
}

#[test]
fn who_tries_one_password_after_the_other() {
    for (name, port, script) in ALL {
        let mut lab = Lab::new();
        for client_port in 0..24 {
            play(&mut lab, 40_000 + client_port, port, script);
        }
        let outcome = lab.end();
        assert_eq!(
            outcome.codes(),
            ["cred.cleartext", "auth.bruteforce"],
            "{name}"
        );
        let finding = outcome.findings_of("auth.bruteforce");
        let expected =
            format!("10.0.0.1 failed to log in to {name} of 10.0.0.2 port {port} 24 times within ");
        assert!(
            finding.summary.starts_with(&expected),
            "{}",
            finding.summary
        );
    }
}

#[test]
fn a_login_that_works_at_last() {
    let mut lab = Lab::new();
    for client_port in 0..20 {
        play(&mut lab, 40_000 + client_port, 143, IMAP);
    }
    Talk::new(&mut lab, 41_000, 143)
        .server(IMAP[0].1)
        .client("a LOGIN hugo hunter3\r\n")
        .server("a OK done\r\n")
        .close();
    let outcome = lab.end();
    let finding = outcome.findings_of("auth.bruteforce");
    assert!(
        finding.summary.ends_with(", and got in after that."),
        "{}",
        finding.summary
    );
}

/// What never leaves the host is less bad.
#[test]
fn a_password_between_programs_of_one_host() {
    let mut lab = Lab::new();
    for (address, client_port) in [("127.0.0.1", 40_000), ("10.0.0.2", 40_001)] {
        Talk::between(&mut lab, (address, client_port), (address, 6379))
            .client(REDIS[0].1)
            .server("+OK\r\n")
            .close();
    }
    // The frames are Ethernet, where such addresses are wrong.
    let outcome = lab.end();
    let findings = outcome.report.findings.iter();
    let findings = findings.filter(|finding| finding.code == "cred.cleartext");
    let severities: Vec<_> = findings.map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Warn; 2]);
}

/// A mail program with an old password tries every five minutes.
#[test]
fn tries_that_are_far_apart_are_no_guessing() {
    let mut lab = Lab::new();
    for client_port in 0..50 {
        play(&mut lab, 40_000 + client_port, 110, POP3);
        // Not so regular that it would be a beacon.
        lab.wait((200 + u64::from(client_port) * 37 % 200) * SECOND);
    }
    let outcome = lab.end();
    assert_eq!(outcome.codes(), ["cred.cleartext"]);
}

#[test]
fn logins_that_show_no_password() {
    let talks: [(u16, Script); 9] = [
        (
            21,
            &[
                (Server, b"220 ftp.example.org FTP server\r\n"),
                (Client, b"USER anonymous\r\n"),
                (Server, b"331 send e-mail\r\n"),
                (Client, b"PASS me@example.org\r\n"),
                (Server, b"230 Welcome\r\n"),
            ],
        ),
        (
            21,
            &[
                (Server, b"220 FTP\r\n"),
                (Client, b"AUTH TLS\r\n"),
                (Server, b"234 Proceed\r\n"),
                (Client, b"\x16\x03\x01\x00\x05PASS a\r\n"),
            ],
        ),
        (
            587,
            &[
                (Server, b"220 mail ESMTP\r\n"),
                (Client, b"EHLO me\r\n"),
                (Server, b"250 STARTTLS\r\n"),
                (Client, b"STARTTLS\r\n"),
                (Server, b"220 Go\r\n"),
                (Client, b"\x16\x03\x01\x00\x05AUTH PLAIN YTpi\r\n"),
            ],
        ),
        (
            25,
            &[
                (Server, b"220 mail ESMTP\r\n"),
                (Client, b"EHLO me\r\n"),
                (Server, b"250 ok\r\n"),
                (Client, b"DATA\r\n"),
                (Server, b"354 go\r\n"),
                (Client, b"AUTH PLAIN is how one logs in\r\n.\r\n"),
                (Server, b"250 ok\r\n"),
            ],
        ),
        (
            25,
            &[
                (Server, b"220 mail ESMTP\r\n"),
                (Client, b"EHLO me\r\n"),
                (Server, b"250 AUTH CRAM-MD5\r\n"),
                (Client, b"AUTH CRAM-MD5\r\n"),
                (Server, b"334 PDE+\r\n"),
                (Client, b"aHVnbyBh\r\n"),
                (Server, b"235 ok\r\n"),
            ],
        ),
        (
            110,
            &[
                (Server, b"+OK POP3 <1@a>\r\n"),
                (Client, b"APOP hugo c4c9334bac560ecc979e58001b3e22fb\r\n"),
                (Server, b"+OK\r\n"),
            ],
        ),
        (
            80,
            &[
                (
                    Client,
                    b"GET / HTTP/1.1\r\nAuthorization: Digest username=\"hugo\"\r\n\r\n",
                ),
                (Server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ],
        ),
        (
            389,
            &[
                (
                    Client,
                    b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00",
                ),
                (
                    Server,
                    b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
                ),
            ],
        ),
        (
            6379,
            &[
                (Client, b"*3\r\n$3\r\nSET\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"),
                (Server, b"+OK\r\n"),
            ],
        ),
    ];
    for (client_port, (port, script)) in (40_000..).zip(talks) {
        let mut lab = Lab::new();
        play(&mut lab, client_port, port, script);
        lab.end().nothing();
    }
}

/// The community of SNMP, unless it is the one that everybody knows.
#[test]
fn communities() {
    let message = |version: u8, community: &str| {
        let mut bytes = vec![0x30, 0x29, 2, 1, version, 4, community.len() as u8];
        bytes.extend(community.as_bytes());
        bytes.extend(b"\xa0\x1c\x02\x04\x0a\x0b\x0c\x0d\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0");
        bytes
    };
    let run = |version, community| {
        let mut lab = Lab::new();
        let bytes = message(version, community);
        for _ in 0..3 {
            lab.send(udp_frame(("10.0.0.1", 50_000), ("10.0.0.2", 161), &bytes));
            lab.send(udp_frame(("10.0.0.2", 161), ("10.0.0.1", 50_000), &bytes));
        }
        lab.end()
    };
    let outcome = run(1, "hunter");
    let finding = outcome.only("cred.cleartext");
    assert_eq!(
        finding.summary,
        "10.0.0.1 sent a community to 10.0.0.2 port 161 by SNMP without encryption, 3 times."
    );
    run(0, "public").only("crypto.weak");
    // Version 3 says who it is in another way.
    let mut lab = Lab::new();
    let newer =
        b"\x30\x3e\x02\x01\x03\x30\x11\x02\x04\0\0\0\x01\x02\x03\0\xff\xe3\x04\x01\x07\x02\x01\x03";
    lab.send(udp_frame(("10.0.0.1", 50_000), ("10.0.0.2", 161), newer));
    lab.end().nothing();
}

/// Neither the name nor the password of any protocol is in what is found.
#[test]
fn nothing_of_a_login_is_shown() {
    let mut lab = Lab::new();
    for (client_port, (_, port, script)) in (40_000..).step_by(30).zip(ALL) {
        for number in 0..24 {
            play(&mut lab, client_port + number, port, script);
        }
    }
    let outcome = lab.end();
    let all: Vec<&Finding> = outcome.report.findings.iter().collect();
    assert_eq!(all.len(), ALL.len() + 1, "one for who guesses");
    let text =
        serde_json::to_string(&outcome.report).expect("JSON") + &format!("{:?}", outcome.report);
    for secret in ["hunter2", "hugo", "aHVudGVyMg", "aHVnb"] {
        assert!(!text.contains(secret), "{secret}");
    }
}
