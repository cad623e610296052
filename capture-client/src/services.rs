//! Names of services as ports: `https` is 443. From `/etc/services`, or from a short list where that file is not
//! installed.

use std::fs;

/// What is asked for most, by the names that IANA has registered.
pub const USUAL: &[(&str, u16)] = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("dns", 53),
    ("bootps", 67),
    ("dhcp", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-ssn", 139),
    ("imap2", 143),
    ("imap", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("isakmp", 500),
    ("syslog", 514),
    ("submission", 587),
    ("ldaps", 636),
    ("domain-s", 853),
    ("imaps", 993),
    ("pop3s", 995),
    ("openvpn", 1194),
    ("ms-sql-s", 1433),
    ("radius", 1812),
    ("nfs", 2049),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("rdp", 3389),
    ("sip", 5060),
    ("mdns", 5353),
    ("postgresql", 5432),
    ("amqp", 5672),
    ("redis", 6379),
    ("http-alt", 8080),
];

/// The port of a service.
pub fn port(name: &str) -> Option<u16> {
    let name = name.to_ascii_lowercase();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let usual = || {
        let found = USUAL.iter().find(|(usual, _)| *usual == name);
        found.map(|(_, port)| *port)
    };
    let file = fs::read_to_string("/etc/services").unwrap_or_default();
    listed(&name, &file).or_else(usual)
}

/// The first entry with this name or alias: `https 443/tcp  # comment` (services(5)).
fn listed(name: &str, file: &str) -> Option<u16> {
    file.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let official = words.next()?;
        let (port, _) = words.next()?.split_once('/')?;
        let mut names = [official].into_iter().chain(words);
        let is_meant = names.any(|word| word.eq_ignore_ascii_case(name));
        is_meant.then(|| port.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases() {
        let file =
            "# services\nhttp\t\t80/tcp\t\twww\t# WorldWideWeb\nodd\nx 99999/tcp\nntp 123/udp\n";
        for (name, port) in [
            ("http", Some(80)),
            ("www", Some(80)),
            ("ntp", Some(123)),
            ("x", None),
            ("odd", None),
            ("WorldWideWeb", None),
        ] {
            assert_eq!(listed(name, file), port, "{name}");
        }
        assert_eq!(port("HTTPS"), Some(443));
        assert_eq!(port("443"), None);
        assert_eq!(port(""), None);
        assert_eq!(port("no-such-service"), None);
    }
}
