//! Addresses: `ip` and `peer_ip` as an address or a CIDR prefix, and a sentence for each of the
//! things that people write instead. Names are not resolved: a capture must not depend on DNS, nor
//! show up in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};

use super::fault::FaultKind;

/// An address (as a prefix of full length) or a prefix, whose host bits are cleared.
pub(super) fn parse(text: &str) -> Result<IpNet, FaultKind> {
    let trimmed = text.trim();
    let several = parse_several(trimmed).map(written);
    let trimmed = several.as_deref().unwrap_or(trimmed);
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
        return Err(FaultKind::Ipv4Mapped {
            text: trimmed.into(),
            ipv4: plain,
        });
    }
    IpNet::new(address, length)
        .map(|net| net.trunc())
        .map_err(|_| out_of_range(text, most))
}

/// A range (`10.0.0.0-10.0.0.255`) or a list (`10.0.0.4,10.0.0.5`) that is a prefix and nothing more: a task has one.
pub(super) fn parse_several(text: &str) -> Option<IpNet> {
    let (nets, cover) = several(text)?;
    let merged = IpNet::aggregate(&nets);
    (merged == [cover]).then_some(cover)
}

/// The smallest prefix over the addresses of a range or a list, where they are such.
pub(super) fn cover_of(text: &str) -> Option<String> {
    several(text).map(|(_, cover)| written(cover))
}

/// As people write it: one address without its length.
pub(super) fn written(net: IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    }
}

/// The prefixes of a range or a list of one IP version, and the smallest one over them.
fn several(text: &str) -> Option<(Vec<IpNet>, IpNet)> {
    let nets: Vec<IpNet> = match text.split_once('-') {
        Some((first, last)) => subnets(first.trim().parse().ok()?, last.trim().parse().ok()?)?,
        None => {
            let items = text.split([',', ';', ' ']).filter(|item| !item.is_empty());
            let nets = items.map(|item| {
                item.parse()
                    .ok()
                    .or_else(|| Some(item.parse::<IpAddr>().ok()?.into()))
            });
            nets.collect::<Option<_>>()?
        }
    };
    let is_list = text.contains(['-', ',', ';', ' ']);
    let mut rest = nets.iter().map(IpNet::trunc);
    let mut cover = rest.next().filter(|_| is_list)?;
    for net in rest {
        while !cover.contains(&net) {
            cover = cover.supernet()?;
        }
    }
    Some((nets, cover))
}

/// The prefixes that make up a range.
fn subnets(first: IpAddr, last: IpAddr) -> Option<Vec<IpNet>> {
    let (first, last) = (first.min(last), first.max(last));
    let subnets: IpSubnets = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0).into(),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0).into(),
        _ => return None,
    };
    Some(subnets.collect())
}

fn prefix_length(text: &str, length: &str, most: u8) -> Result<u8, FaultKind> {
    if let Ok(mask) = length.parse::<Ipv4Addr>() {
        let ones = u32::from(mask).leading_ones();
        return Err(FaultKind::Netmask {
            text: text.into(),
            prefix_length: (u32::from(mask).count_ones() == ones).then_some(ones),
        });
    }
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FaultKind::NoPrefixLength { text: text.into() });
    }
    length
        .parse()
        .ok()
        .filter(|length| *length <= most)
        .ok_or_else(|| out_of_range(text, most))
}

fn out_of_range(text: &str, most: u8) -> FaultKind {
    FaultKind::PrefixTooLong {
        text: text.into(),
        most,
    }
}

/// Why `address`, a part of `text`, is not an address.
fn explain(text: &str, address: &str) -> FaultKind {
    let excerpt = text.into();
    if address.is_empty() {
        return FaultKind::NotAnAddress { text: excerpt };
    }
    if text.contains([',', ';']) || text.contains(char::is_whitespace) || several(text).is_some() {
        return FaultKind::SeveralAddresses { text: excerpt };
    }
    if let Some((plain, zone)) = address.split_once('%')
        && plain.parse::<Ipv6Addr>().is_ok()
    {
        return FaultKind::AddressWithZone {
            text: excerpt,
            address: plain.to_owned(),
            zone: zone.into(),
        };
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return FaultKind::AddressWithPort {
            text: excerpt,
            address: with_port.ip().to_string(),
            port: with_port.port(),
        };
    }
    if let Some(plain) = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return FaultKind::AddressInBrackets {
            text: excerpt,
            address: plain.into(),
        };
    }
    if address
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return FaultKind::NotIpv4 { text: excerpt };
    }
    if is_name(address) {
        return FaultKind::HostName {
            text: excerpt,
            host: address.to_owned(),
        };
    }
    FaultKind::NotAnAddress { text: excerpt }
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
    use crate::plan::Wording;

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
            ("10.0.0.0-10.0.0.255", "10.0.0.0/24"),
            ("0.0.0.0 - 255.255.255.255", "0.0.0.0/0"),
            ("2001:db8::-2001:db8::ffff", "2001:db8::/112"),
            ("10.0.0.7-10.0.0.7", "10.0.0.7/32"),
            ("10.0.0.4,10.0.0.5", "10.0.0.4/31"),
            ("10.0.0.6; 10.0.0.4/31 10.0.0.7", "10.0.0.4/30"),
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
            (
                "10.0.0.1,10.0.0.2",
                "invalid",
                "and a task takes one address or prefix; \"10.0.0.0/30\" covers them",
            ),
            ("10.0.0.1;10.0.0.2", "invalid", "\"10.0.0.0/30\""),
            ("10.0.0.9-10.0.0.12", "invalid", "\"10.0.0.8/29\""),
            ("10.0.0.9-10.0.0.1", "invalid", "\"10.0.0.0/28\""),
            ("10.0.0.1,::1", "invalid", "more than one"),
            ("10.0.0.1,a", "invalid", "more than one"),
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
            let fault = parse(text).expect_err(text);
            assert_eq!(fault.code(), code, "{text}");
            let sentence = fault.sentence(Wording::API);
            assert!(sentence.contains(hint), "{text}: {sentence}");
        }
    }
}
