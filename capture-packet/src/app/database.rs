//! The first messages of database servers: MySQL's protocol, PostgreSQL's, and that of Redis, as far as logins go.

use crate::decode::be32;

/// What a server or client of a database says about a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// The server asks for the password as it is.
    AsksForPassword,
    /// A password as it is.
    Password,
    /// A name or password was refused.
    Refused,
}

/// Whether a server of MySQL begins like this: a handshake of version 10, with the version of the server.
pub fn is_mysql_greeting(bytes: &[u8]) -> bool {
    let Some([_, _, 0, 0, 10, version @ ..]) = bytes.get(..12) else {
        return false;
    };
    let is_version = |byte: &u8| byte.is_ascii_graphic();
    version[0].is_ascii_digit() && version[..3].iter().all(is_version)
}

/// What a server of MySQL says in the packet that these bytes begin with.
pub fn mysql(bytes: &[u8]) -> Option<Login> {
    let [_, _, 0, _, kind, rest @ ..] = bytes else {
        return None;
    };
    // 1045 is ER_ACCESS_DENIED_ERROR, 1698 the same without a password.
    match (kind, rest) {
        (0xff, [0x15, 0x04, ..] | [0xa2, 0x06, ..]) => Some(Login::Refused),
        (0xfe, rest) if rest.starts_with(b"mysql_clear_password\0") => Some(Login::AsksForPassword),
        _ => None,
    }
}

/// Whether a client of PostgreSQL begins like this: version 3 with its user, or the question for TLS.
pub fn is_postgres_start(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..8) else {
        return false;
    };
    let (len, code) = (be32(header, 0), be32(header, 4));
    match code {
        0x0003_0000 => (9..10_000).contains(&len) && bytes[8..].starts_with(b"user\0"),
        // SSLRequest and GSSENCRequest.
        80_877_103 | 80_877_104 => len == 8,
        _ => false,
    }
}

/// What a server of PostgreSQL says in the message that these bytes begin with.
pub fn postgres(bytes: &[u8]) -> Option<Login> {
    let [kind, rest @ ..] = bytes else {
        return None;
    };
    let (len, body) = rest.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes(*len) as usize;
    let body = &body[..body.len().min(len.saturating_sub(4))];
    match kind {
        // AuthenticationCleartextPassword.
        b'R' if body == [0, 0, 0, 3] => Some(Login::AsksForPassword),
        b'E' => {
            let mut fields = body.split(|byte| *byte == 0);
            // invalid_password, invalid_authorization_specification.
            let is_login = |field: &[u8]| field == b"C28P01" || field == b"C28000";
            fields.any(is_login).then_some(Login::Refused)
        }
        _ => None,
    }
}

/// What a client of Redis says: a command as an array of strings, or as a line.
pub fn redis_client(bytes: &[u8]) -> Option<Login> {
    let mut words = bytes.split(|byte| byte.is_ascii_whitespace());
    let words = words.by_ref().filter(|word| !word.is_empty()).take(12);
    let mut words = words.filter(|word| !matches!(word[0], b'*' | b'$'));
    let first = words.next()?;
    let is_login = match () {
        () if first.eq_ignore_ascii_case(b"AUTH") => words.next().is_some(),
        () if first.eq_ignore_ascii_case(b"HELLO") => {
            words.any(|word| word.eq_ignore_ascii_case(b"AUTH"))
        }
        () => false,
    };
    is_login.then_some(Login::Password)
}

/// Bytes of the command of Redis that these begin with, an array of strings or a line; `None` where there are too few of
/// them to tell.
pub fn redis_len(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize| {
        let line = bytes.get(at + 1..)?;
        let end = line.iter().take(12).position(|byte| *byte == b'\n')?;
        let text = std::str::from_utf8(&line[..end]).ok()?;
        let number: usize = text.trim_end().parse().ok()?;
        Some((number, at + 1 + end + 1))
    };
    if bytes.first() != Some(&b'*') {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        return Some(end + 1);
    }
    let (count, mut at) = number(0)?;
    // Of a longer one only what it begins with matters.
    for _ in 0..count.min(8) {
        let (len, start) = number(at).filter(|_| bytes.get(at) == Some(&b'$'))?;
        at = start.saturating_add(len).saturating_add(2);
    }
    Some(if count > 8 { at.max(bytes.len()) } else { at })
}

/// What a server of Redis says.
pub fn redis_server(bytes: &[u8]) -> Option<Login> {
    let is_refused =
        bytes.starts_with(b"-WRONGPASS") || bytes.starts_with(b"-ERR invalid password");
    is_refused.then_some(Login::Refused)
}

/// Whether a client of Redis begins like this: an array of strings.
pub fn is_redis_command(bytes: &[u8]) -> bool {
    let Some([b'*', count @ b'1'..=b'9', rest @ ..]) = bytes.get(..8) else {
        return false;
    };
    count.is_ascii_digit() && rest.starts_with(b"\r\n$") && rest[3].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings() {
        assert!(is_mysql_greeting(b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0"));
        assert!(!is_mysql_greeting(b"\x4a\0\0\0\x0aHello, you"));
        assert!(is_postgres_start(b"\0\0\0\x14\0\x03\0\0user\0a\0\0"));
        assert!(is_postgres_start(b"\0\0\0\x08\x04\xd2\x16\x2f"));
        assert!(!is_postgres_start(b"\0\0\0\x09\x04\xd2\x16\x2f"));
        assert!(is_redis_command(b"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"));
        assert!(!is_redis_command(b"*2 and more"));
    }

    #[test]
    fn refusals() {
        assert_eq!(
            mysql(b"\x48\0\0\x02\xff\x15\x04#28000Access denied"),
            Some(Login::Refused)
        );
        assert_eq!(
            mysql(b"\x48\0\0\x02\xff\x19\x04#42000Unknown database"),
            None
        );
        assert_eq!(
            postgres(b"E\0\0\0\x1aSFATAL\0C28P01\0Mno\0\0"),
            Some(Login::Refused)
        );
        assert_eq!(postgres(b"E\0\0\0\x1aSERROR\0C42P01\0Mno\0\0"), None);
        assert_eq!(
            redis_server(b"-WRONGPASS invalid username-password pair\r\n"),
            Some(Login::Refused)
        );
        assert_eq!(redis_server(b"-NOAUTH Authentication required.\r\n"), None);
    }

    #[test]
    fn commands_end_where_they_end() {
        let login = b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n";
        assert_eq!(
            redis_len(&[&login[..], b"*1\r\n"].concat()),
            Some(login.len())
        );
        assert_eq!(redis_len(b"PING\r\nPING\r\n"), Some(6));
        assert_eq!(
            redis_len(b"*2\r\n$3\r\nGET\r\n$100000\r\nk"),
            Some(13 + 9 + 100_002)
        );
        for len in 0..login.len() - 8 {
            assert_eq!(redis_len(&login[..len]), None);
        }
        assert_eq!(redis_len(b"*2\r\n$18446744073709551615\r\n$"), None);
        assert_eq!(redis_len(b"*x\r\n"), None);
    }

    #[test]
    fn passwords() {
        assert_eq!(
            postgres(b"R\0\0\0\x08\0\0\0\x03"),
            Some(Login::AsksForPassword)
        );
        assert_eq!(postgres(b"R\0\0\0\x0c\0\0\0\x05salt"), None, "MD5");
        let switch = b"\x16\0\0\x02\xfemysql_clear_password\0";
        assert_eq!(mysql(switch), Some(Login::AsksForPassword));
        for bytes in [
            &b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"[..],
            b"*3\r\n$4\r\nauth\r\n$1\r\nu\r\n$6\r\nsecret\r\n",
            b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n",
            b"AUTH secret\r\n",
        ] {
            assert_eq!(redis_client(bytes), Some(Login::Password));
        }
        assert_eq!(
            redis_client(b"*3\r\n$3\r\nSET\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"),
            None
        );
        assert_eq!(redis_client(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"), None);
    }
}
