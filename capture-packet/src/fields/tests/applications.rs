//! Messages of application protocols.

use crate::testing::{tcp_frame, udp_frame};

/// Messages over TCP: the ports, and what is in the segment.
const SEGMENTS: [(u16, u16, &[u8]); 22] = [
    (45000, 80, b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x/1\r\nAuthorization: Basic dTpw\r\nReferer: http://r/\r\nCookie: a=b\r\n\r\n"),
    (80, 45001, b"HTTP/1.1 404 Not Found\r\nServer: srv\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nLocation: /x\r\n\r\nhi"),
    (45002, 8080, b"POST /f HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\na=b"),
    (45003, 22, b"SSH-2.0-OpenSSH_9.2\r\n"),
    (22, 45004, b"SSH-1.99-x\r\n"),
    (45005, 21, b"USER alice\r\n"),
    (21, 45006, b"331 Password please\r\n"),
    (21, 45007, b"230-Welcome\r\n230 Done\r\n"),
    (45008, 25, b"EHLO me\r\n"),
    (25, 45009, b"250-host\r\n250 AUTH PLAIN\r\n"),
    (45010, 110, b"USER alice\r\n"),
    (110, 45011, b"+OK hello\r\n"),
    (110, 45012, b"-ERR no\r\n"),
    (45013, 143, b"a1 LOGIN alice secret\r\n"),
    (143, 45014, b"a1 NO failed\r\n"),
    (143, 45015, b"* OK hello there\r\n"),
    (45016, 389, b"\x30\x14\x02\x01\x01\x60\x0f\x02\x01\x03\x04\x04cn=a\x80\x04pass"),
    (389, 45017, b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00"),
    (45018, 21, b"QUIT\r\n"),
    (45019, 25, b"QUIT\r\n"),
    (25, 45020, b"220 mail.example.org ESMTP\r\n"),
    (45021, 110, b"PASS secret\r\n"),
];

/// Messages over UDP.
const DATAGRAMS: [(u16, u16, &[u8]); 4] = [
    (123, 123, b"\x17\x00\x03\x2a\0\0\0\0"),
    (5001, 123, b"\x16\x02\0\x01\0\0\0\0\0\0\0\0"),
    (5002, 161, b"\x30\x29\x02\x01\x01\x04\x06secret\xa0\x1c\x02\x04\x0a\x0b\x0c\x0d\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00"),
    (161, 5003, b"\x30\x29\x02\x01\x00\x04\x06public\xa2\x1c\x02\x04\x0a\x0b\x0c\x0d\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00"),
];

fn smb1() -> Vec<u8> {
    let mut message = b"\0\0\0\x25\xffSMB\x72\0\0\0\0\x98".to_vec();
    message.resize(4 + 32, 0);
    message.extend([1, 5, 0, 0, 0]);
    message
}

fn smb2() -> Vec<u8> {
    let mut message = b"\0\0\0\x83\xfeSMB\x40\0\0\0\0\0\0\0\0\0\x01\0\x01\0\0\0".to_vec();
    message.resize(4 + 64, 0);
    message.extend([0x41, 0, 1, 0, 0x11, 3, 0]);
    message.resize(4 + 131, 0);
    message
}

pub(super) fn frames() -> impl Iterator<Item = Vec<u8>> {
    let (here, there) = ("10.0.0.1", "10.0.0.2");
    let segment =
        move |from, to, bytes: &[u8]| tcp_frame((here, from), (there, to), 0x18, 1, bytes);
    let segments = SEGMENTS
        .into_iter()
        .map(move |(from, to, bytes)| segment(from, to, bytes));
    let datagrams = DATAGRAMS.into_iter();
    let datagrams =
        datagrams.map(move |(from, to, bytes)| udp_frame((here, from), (there, to), bytes));
    let files = [segment(445, 45030, &smb1()), segment(445, 45031, &smb2())];
    segments.chain(datagrams).chain(files)
}

/// Fields that the frames above must show.
pub(super) const NAMES: [&str; 28] = [
    "http.request.method",
    "http.request.uri",
    "http.host",
    "http.authorization",
    "http.response.code",
    "http.response.phrase",
    "http.content_length_header",
    "ssh.protocol",
    "ftp.request.command",
    "ftp.request.arg",
    "ftp.response.code",
    "smtp.req.command",
    "smtp.response.code",
    "smtp.rsp.parameter",
    "pop.request.command",
    "pop.response.indicator",
    "imap.request.command",
    "imap.response.status",
    "ldap.simple",
    "ldap.resultCode",
    "smb.cmd",
    "smb.flags.response",
    "smb2.cmd",
    "smb2.dialect",
    "ntp.priv.reqcode",
    "ntp.ctrl.flags2.opcode",
    "snmp.version",
    "snmp.community",
];
