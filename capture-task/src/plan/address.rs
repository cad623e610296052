//! Addresses: `ip` and `peer_ip` as an address or a CIDR prefix, and a sentence for each of the
//! things that people write instead. Names are not resolved: a capture must not depend on DNS, nor
//! show up in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::{fault::ValueError, text::quote};

/// An address (as a prefix of full length) or a prefix, whose host bits are cleared.
pub(super) fn parse(text: &str) -> Result<IpNet, ValueError> {
    let trimmed = text.trim();
    let (address_text, length_text) = match trimmed.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (trimmed, None),
    };
    let address: IpAddr = address_text
        .parse()
        .map_err(|_| explain(trimmed, address_text))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = length_text.map_or(Ok(most), |length| prefix_length(text, length, most))?;

    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
        && length >= 96
    {
        let plain = if length == 128 {
            v4.to_string()
        } else {
            format!("{v4}/{}", length - 96)
        };
        return Err(ValueError::invalid(format!(
            "{} is an IPv4-mapped address, which packets do not carry; write \"{plain}\"",
            quote(trimmed)
        )));
    }
    IpNet::new(address, length)
        .map(|net| net.trunc())
        .map_err(|_| out_of_range(text, most))
}

fn prefix_length(text: &str, length: &str, most: u8) -> Result<u8, ValueError> {
    if let Ok(mask) = length.parse::<Ipv4Addr>() {
        let ones = u32::from(mask).leading_ones();
        let hint = if u32::from(mask).count_ones() == ones {
            format!("\"/{ones}\"")
        } else {
            "as in \"/24\"".to_owned()
        };
        return Err(ValueError::invalid(format!(
            "{} has a netmask; write the prefix length, {hint}",
            quote(text)
        )));
    }
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::invalid(format!(
            "{} has no prefix length after the slash; write one as in \"/24\"",
            quote(text)
        )));
    }
    length
        .parse()
        .ok()
        .filter(|length| *length <= most)
        .ok_or_else(|| out_of_range(text, most))
}

fn out_of_range(text: &str, most: u8) -> ValueError {
    ValueError::out_of_range(format!("{} has a prefix length beyond {most}", quote(text)))
}

/// Why `address`, a part of `text`, is not an address.
fn explain(text: &str, address: &str) -> ValueError {
    let quoted = quote(text);
    if address.is_empty() {
        return ValueError::invalid(format!(
            "{quoted} is not an address; write one as in \"10.0.0.1\", or a prefix as in \"10.0.0.0/8\""
        ));
    }
    if text.contains(',') || text.contains(char::is_whitespace) {
        return ValueError::invalid(format!(
            "{quoted} is more than one address; write a single one, or a prefix that covers them"
        ));
    }
    if let Some((plain, zone)) = address.split_once('%')
        && plain.parse::<Ipv6Addr>().is_ok()
    {
        return ValueError::invalid(format!(
            "{quoted} has a zone, which packets do not carry; write \"{plain}\" and name {} in `interfaces`",
            quote(zone)
        ));
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return ValueError::invalid(format!(
            "{quoted} has a port; write \"{}\" here and {} in the ports of this address",
            with_port.ip(),
            with_port.port()
        ));
    }
    if let Some(plain) = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return ValueError::invalid(format!(
            "{quoted} has brackets; write {} without",
            quote(plain)
        ));
    }
    if address
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return ValueError::invalid(format!(
            "{quoted} is not an IPv4 address; write four numbers from 0 to 255 without leading zeros"
        ));
    }
    if is_name(address) {
        return ValueError::invalid(format!(
            "capture-agent takes addresses, not names: {quoted}; try `getent hosts {address}`"
        ));
    }
    ValueError::invalid(format!(
        "{quoted} is not an address; write one as in \"10.0.0.1\" or \"2001:db8::1\""
    ))
}

/// Whether this could be a host name, and is safe to show as part of a shell command.
fn is_name(text: &str) -> bool {
    text.len() <= 253
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes() {
        for (text, expected) in [
            ("10.0.0.1", "10.0.0.1/32"),
            (" 10.0.0.1 ", "10.0.0.1/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1/128"),
            ("2001:DB8::5/32", "2001:db8::/32"),
            ("fe80::1/10", "fe80::/10"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
        ] {
            let expected: IpNet = expected.parse().expect(expected);
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_people_write_instead() {
        for (text, code, hint) in [
            ("", "invalid", "10.0.0.0/8"),
            ("/8", "invalid", "10.0.0.0/8"),
            (
                "example.org",
                "invalid",
                "not names: \"example.org\"; try `getent hosts example.org`",
            ),
            ("localhost/8", "invalid", "getent hosts localhost"),
            ("10.1", "invalid", "four numbers"),
            ("10.0.0.256", "invalid", "four numbers"),
            ("010.0.0.1", "invalid", "leading zeros"),
            ("10.0.0.1:443", "invalid", "\"10.0.0.1\" here and 443"),
            ("[::1]:443", "invalid", "\"::1\" here and 443"),
            ("[::1]", "invalid", "write \"::1\" without"),
            ("10.0.0.1,10.0.0.2", "invalid", "more than one"),
            (
                "fe80::1%eth0",
                "invalid",
                "write \"fe80::1\" and name \"eth0\" in `interfaces`",
            ),
            ("::ffff:10.0.0.1", "invalid", "write \"10.0.0.1\""),
            ("::ffff:10.0.0.0/104", "invalid", "write \"10.0.0.0/8\""),
            ("10.0.0.0/33", "out_of_range", "beyond 32"),
            ("::/129", "out_of_range", "beyond 128"),
            ("10.0.0.0/999", "out_of_range", "beyond 32"),
            ("10.0.0.0/", "invalid", "prefix length"),
            ("10.0.0.0/+8", "invalid", "prefix length"),
            ("10.0.0.0/255.0.0.0", "invalid", "\"/8\""),
            ("10.0.0.0/255.0.255.0", "invalid", "\"/24\""),
            ("::g", "invalid", "2001:db8::1"),
            ("$(reboot)", "invalid", "2001:db8::1"),
        ] {
            let problem = parse(text).expect_err(text);
            assert_eq!(problem.code, code, "{text}");
            assert!(problem.detail.contains(hint), "{text}: {}", problem.detail);
        }
    }
}
