//! Versions and algorithms that should not be used any more.

use crate::testing::Lab;
use crate::tests::app::talk::Talk;

fn kex_init(kex: &str, key: &str, cipher: &str, mac: &str) -> Vec<u8> {
    let mut bytes = vec![4, 20];
    bytes.extend([7; 16]);
    for list in [kex, key, cipher, cipher, mac, mac, "none", "none", "", ""] {
        bytes.extend((list.len() as u32).to_be_bytes());
        bytes.extend(list.as_bytes());
    }
    bytes.extend([0; 9]);
    [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

fn ssh(lab: &mut Lab, port: u16, server: &[u8]) {
    let client = kex_init(
        "curve25519-sha256,diffie-hellman-group14-sha256,diffie-hellman-group1-sha1",
        "ssh-ed25519,ssh-rsa,ssh-dss",
        "chacha20-poly1305@openssh.com,aes128-ctr,3des-cbc",
        "hmac-sha2-256,hmac-md5",
    );
    Talk::new(lab, 40_000, port)
        .server("SSH-2.0-dropbear_0.4\r\n")
        .client("SSH-2.0-OpenSSH_9.2\r\n")
        .client(&client)
        .server(server)
        .client([0; 40])
        .close();
}

#[test]
fn what_an_old_server_brings_about() {
    let mut lab = Lab::new();
    let server = kex_init(
        "diffie-hellman-group1-sha1",
        "ssh-dss",
        "3des-cbc",
        "hmac-md5",
    );
    ssh(&mut lab, 22, &server);
    let outcome = lab.end();
    assert_eq!(outcome.codes(), ["crypto.weak"; 4]);
    let names: Vec<_> = outcome
        .report
        .findings
        .iter()
        .map(|finding| {
            outcome.check(finding);
            finding.subject.name.clone().expect("a name")
        })
        .collect();
    assert_eq!(
        names,
        [
            "3des-cbc",
            "diffie-hellman-group1-sha1",
            "hmac-md5",
            "ssh-dss"
        ]
    );
    assert_eq!(
        outcome.report.findings[1].summary,
        "10.0.0.2 port 22 and 10.0.0.1 use SSH with diffie-hellman-group1-sha1: its group of 1024 bits can be computed by states (RFC 9142 section 4)."
    );
}

/// What is offered and not chosen is of no consequence; nor is the MAC of a cipher with one of its own.
#[test]
fn what_is_only_offered_is_harmless() {
    let mut lab = Lab::new();
    let server = kex_init(
        "diffie-hellman-group1-sha1,curve25519-sha256",
        "ssh-dss,ssh-ed25519",
        "3des-cbc,chacha20-poly1305@openssh.com",
        "hmac-md5",
    );
    ssh(&mut lab, 22, &server);
    Talk::new(&mut lab, 40_001, 22)
        .server("SSH-1.99-Cisco-1.25\r\n")
        .client("SSH-2.0-OpenSSH_9.2\r\n")
        .close();
    lab.end().nothing();
    let mut lab = Lab::new();
    ssh(&mut lab, 443, &server);
    lab.end().only("service.odd_port");
}

#[test]
fn version_1_of_ssh() {
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 22)
        .server("SSH-1.5-OpenSSH_1.2.3\n")
        .client("SSH-1.5-old\n")
        .close();
    let outcome = lab.end();
    let finding = outcome.only("crypto.weak");
    assert_eq!(
        finding.summary,
        "10.0.0.2 port 22 and 10.0.0.1 use SSH with protocol version 1: it has had no integrity since 1998."
    );
}

fn session(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn negotiate() -> Vec<u8> {
    let mut message = b"\xffSMB\x72\0\0\0\0\x18".to_vec();
    message.resize(32, 0);
    message.extend(b"\0\x18\0\x02NT LM 0.12\0\x02SMB 2.???\0");
    session(&message)
}

#[test]
fn version_1_of_smb() {
    let mut lab = Lab::new();
    let mut answer = b"\xffSMB\x72\0\0\0\0\x98".to_vec();
    answer.resize(32, 0);
    answer.extend([17, 0, 0]);
    answer.resize(32 + 37, 0);
    Talk::new(&mut lab, 40_000, 445)
        .client(negotiate())
        .server(session(&answer))
        .close();
    let outcome = lab.end();
    let finding = outcome.only("crypto.weak");
    assert!(
        finding.summary.contains("SMB with version 1"),
        "{}",
        finding.summary
    );
}

/// Clients that ask by version 1 and are answered by version 2, with refused logins.
#[test]
fn version_2_of_smb() {
    let two = |command: u8, status: u32, dialect: u8| {
        let mut message = b"\xfeSMB\x40\0\0\0".to_vec();
        message.extend(status.to_le_bytes());
        message.extend([command, 0, 1, 0, 1, 0, 0, 0]);
        message.resize(64, 0);
        message.extend([0x41, 0, 1, 0, dialect, 2, 0, 0]);
        session(&message)
    };
    let mut lab = Lab::new();
    Talk::new(&mut lab, 40_000, 445)
        .client(negotiate())
        .server(two(0, 0, 0xff))
        .close();
    lab.end().nothing();
    let mut lab = Lab::new();
    for port in 0..20 {
        Talk::new(&mut lab, 40_000 + port, 445)
            .client(negotiate())
            .server(two(0, 0, 0xff))
            .client(
                two(1, 0, 0)
                    .iter()
                    .enumerate()
                    .map(|(at, byte)| if at == 20 { 0 } else { *byte })
                    .collect::<Vec<_>>(),
            )
            .server(two(1, 0xc000_006d, 0))
            .close();
    }
    let outcome = lab.end();
    let finding = outcome.only("auth.bruteforce");
    assert!(
        finding
            .summary
            .starts_with("10.0.0.1 failed to log in to SMB of 10.0.0.2 port 445 20 times within "),
        "{}",
        finding.summary
    );
}
