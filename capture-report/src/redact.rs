//! Takes addresses and secrets out of text. What is neither stays as it is: versions, times, paths.

use std::net::{IpAddr, Ipv6Addr};

/// Hexadecimal digits in a row that may be a secret: those of this program have 64. Commits are shorter.
const LONG: usize = 32;

/// The text, with `[address]` and `[secret]` in their place. Loopback addresses tell nothing, and stay.
pub(super) fn redacted(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '%');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, behind) = rest.split_at(start);
        out.push_str(before);
        let end = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
        let (word, behind) = behind.split_at(end);
        out.push_str(&of_word(word));
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn of_word(word: &str) -> String {
    let bare = word.trim_end_matches(['.', ':']);
    let end = &word[bare.len()..];
    if has_secret(bare) {
        return format!("[secret]{end}");
    }
    if is_mac(bare) || tells(bare) {
        return format!("[address]{end}");
    }
    // With a port behind it, or a name before it.
    if let Some((address, port)) = bare.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && tells(address)
        && !address.contains(':')
    {
        return format!("[address]:{port}{end}");
    }
    word.to_owned()
}

fn tells(text: &str) -> bool {
    let text = text.split('%').next().unwrap_or(text);
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => !address.is_loopback() && !address.is_unspecified(),
        Ok(IpAddr::V6(address)) => {
            let own = [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED];
            // In paths of Rust "::" stands between words.
            !own.contains(&address) && text.bytes().any(|byte| byte.is_ascii_digit())
                || address.segments()[0] & 0xfe00 == 0xfc00
                || address.segments()[0] & 0xffc0 == 0xfe80
        }
        Err(_) => false,
    }
}

fn is_mac(text: &str) -> bool {
    let mut groups = 0;
    let mut all = text.split(':');
    let is_group = |group: &str| group.len() == 2 && group.bytes().all(|b| b.is_ascii_hexdigit());
    all.all(|group| {
        groups += 1;
        is_group(group)
    }) && groups == 6
}

fn has_secret(text: &str) -> bool {
    let mut runs = text.split(|c: char| !c.is_ascii_hexdigit());
    runs.any(|run| run.len() >= LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_secrets_go_and_the_rest_stays() {
        let secret = format!("cap_{}", "0123456789abcdef".repeat(4));
        for (text, expected) in [
            ("from 10.0.0.5.", "from [address]."),
            ("10.0.0.5:443 → 192.0.2.1", "[address]:443 → [address]"),
            (
                "host 10.0.0.0/8, [fd00::1]:8443",
                "host [address]/8, [[address]]:8443",
            ),
            ("\"2001:db8::7\" fe80::1%eth0", "\"[address]\" [address]"),
            ("::ffff:10.0.0.5", "[address]"),
            ("link 02:00:00:00:0a:01 up", "link [address] up"),
            ("10.0.0.1-10.0.0.9", "[address]-[address]"),
            (&format!("Bearer {secret}"), "Bearer [secret]"),
            (
                "127.0.0.1:8443 ::1 0.0.0.0 [::]",
                "127.0.0.1:8443 ::1 0.0.0.0 [::]",
            ),
            ("6.18.44-fc-v857, 0.1.0", "6.18.44-fc-v857, 0.1.0"),
            (
                "12:01:00 2026-03-01T12:01:00.000Z",
                "12:01:00 2026-03-01T12:01:00.000Z",
            ),
            ("capture_daemon::api, a::b", "capture_daemon::api, a::b"),
            ("commit 0123456789ab", "commit 0123456789ab"),
            ("é→ü", "é→ü"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }
}
