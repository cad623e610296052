//! Addresses: `ip` and `peer_ip` as addresses, ranges and CIDR prefixes, and a sentence for each of the
//! things that people write instead. Names are not resolved: a capture must not depend on DNS, nor
//! show up in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};

use super::{
    collect::Faults,
    fault::FaultKind,
    field::Field,
    limits::{MAX_ADDRESS_ITEMS, MAX_ADDRESSES},
};
use crate::task::Addresses;

/// The prefixes of a field, host bits cleared, sorted, none within another.
pub(super) fn parse(field: Field, given: &Addresses, faults: &mut Faults) -> Option<Vec<IpNet>> {
    let texts = given.texts();
    let count: usize = texts.iter().map(|text| items(text).len()).sum();
    if texts.is_empty() || count.max(texts.len()) > MAX_ADDRESS_ITEMS {
        let kind = if texts.is_empty() {
            FaultKind::NoAddress
        } else {
            too_many(count.max(texts.len()), MAX_ADDRESS_ITEMS)
        };
        faults.add(field, kind);
        return None;
    }
    let mut nets = Vec::new();
    let mut is_valid = true;
    for (index, text) in texts.iter().enumerate() {
        for item in items_of(text) {
            let item = match given {
                Addresses::One(_) => faults.check(field, item),
                Addresses::List(_) => faults.check_item(field, index, item),
            };
            is_valid &= item.is_some();
            nets.extend(item.into_iter().flatten());
        }
    }
    let nets = merge(nets);
    if nets.len() > MAX_ADDRESSES {
        faults.add(field, too_many(nets.len(), MAX_ADDRESSES));
        return None;
    }
    is_valid.then_some(nets)
}

pub(super) fn too_many(count: usize, most: usize) -> FaultKind {
    FaultKind::TooManyAddresses {
        count: count as u64,
        most: most as u64,
    }
}

/// The same addresses as a task has them. What has a fault stays as it is.
pub(super) fn shorten(given: &mut Addresses) {
    let mut faults = Faults::default();
    if let Some(nets) = parse(Field::Ip, given, &mut faults)
        && faults.into_vec().is_empty()
    {
        *given = written(&nets);
    }
}

/// As a task has them: one alone as text, several as a list.
pub(super) fn written(nets: &[IpNet]) -> Addresses {
    match nets {
        [net] => Addresses::One(text(net)),
        nets => Addresses::List(nets.iter().map(text).collect()),
    }
}

/// As people write it: one address without its length.
pub(super) fn text(net: &IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    }
}

/// The items of a text: commas, semicolons and spaces separate them, but for spaces around the dash of a range.
pub(super) fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for part in text.split([',', ';']) {
        let mut words = part.split_whitespace();
        items.extend(words.next().map(str::to_owned));
        for word in words {
            match items.last_mut() {
                Some(last) if last.ends_with('-') || word.starts_with('-') => last.push_str(word),
                _ => items.push(word.to_owned()),
            }
        }
    }
    items
}

/// The prefixes of each item of a text, which has one at least.
fn items_of(text: &str) -> Vec<Result<Vec<IpNet>, FaultKind>> {
    let items = items(text);
    if items.is_empty() {
        return vec![Err(FaultKind::NotAnAddress { text: text.into() })];
    }
    items.iter().map(|item| parse_item(item)).collect()
}

fn parse_item(item: &str) -> Result<Vec<IpNet>, FaultKind> {
    match item.split_once('-') {
        Some((first, last)) if first.parse::<IpAddr>().is_ok() => range(item, first, last),
        _ => Ok(vec![parse_one(item)?]),
    }
}

/// The prefixes that make up a range.
fn range(text: &str, first: &str, last: &str) -> Result<Vec<IpNet>, FaultKind> {
    let end = |end: &str| match parse_one(end) {
        Ok(net) => Ok(net.addr()),
        Err(mapped @ FaultKind::Ipv4Mapped { .. }) => Err(mapped),
        Err(_) => Err(FaultKind::NotAnAddressRange { text: text.into() }),
    };
    let subnets: IpSubnets = match (end(first)?, end(last)?) {
        (first, last) if last.is_ipv4() == first.is_ipv4() && first > last => {
            return Err(FaultKind::AddressRangeBackwards {
                text: text.into(),
                first: first.to_string(),
                last: last.to_string(),
            });
        }
        (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0).into(),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0).into(),
        _ => return Err(FaultKind::NotAnAddressRange { text: text.into() }),
    };
    Ok(subnets.collect())
}

/// Sorted, and without what is within another one. Neighbours become one prefix only where there are too many: a task
/// is easier to read with the addresses that were asked for, and addresses are found faster than prefixes.
fn merge(mut nets: Vec<IpNet>) -> Vec<IpNet> {
    nets.sort_unstable();
    let mut merged: Vec<IpNet> = Vec::with_capacity(nets.len());
    for net in nets {
        // A prefix comes before all that is within it.
        if !merged.last().is_some_and(|last| last.contains(&net)) {
            merged.push(net);
        }
    }
    if merged.len() > MAX_ADDRESSES {
        merged = IpNet::aggregate(&merged);
    }
    merged
}

/// An address (as a prefix of full length) or a prefix, whose host bits are cleared.
fn parse_one(text: &str) -> Result<IpNet, FaultKind> {
    let (address_text, length_text) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address_text
        .parse()
        .map_err(|_| explain(text, address_text))?;
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
            text: text.into(),
            ipv4: plain,
        });
    }
    IpNet::new(address, length)
        .map(|net| net.trunc())
        .map_err(|_| out_of_range(text, most))
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

    fn parsed(given: &Addresses) -> Result<Addresses, Vec<(String, FaultKind)>> {
        let mut faults = Faults::default();
        let nets = parse(Field::Ip, given, &mut faults);
        let faults = faults.into_vec().into_iter();
        let faults: Vec<_> = faults.map(|fault| (fault.pointer, fault.kind)).collect();
        assert_eq!(nets.is_some(), faults.is_empty(), "{given:?}: {faults:?}");
        nets.map(|nets| written(&nets)).ok_or(faults)
    }

    fn list(texts: &[&str]) -> Addresses {
        Addresses::List(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn addresses_and_prefixes() {
        for (text, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            (" 10.0.0.1 ", "10.0.0.1"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1"),
            ("2001:DB8::5/32", "2001:db8::/32"),
            ("fe80::1/10", "fe80::/10"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
            ("10.0.0.0-10.0.0.255", "10.0.0.0/24"),
            ("0.0.0.0 - 255.255.255.255", "0.0.0.0/0"),
            ("2001:db8::-2001:db8::ffff", "2001:db8::/112"),
            ("10.0.0.7-10.0.0.7", "10.0.0.7"),
            ("10.0.0.5, 10.0.0.4/31 10.0.0.4", "10.0.0.4/31"),
        ] {
            assert_eq!(parsed(&text.into()), Ok(expected.into()), "{text}");
            assert_eq!(parsed(&list(&[text])), Ok(expected.into()), "{text}");
        }
    }

    #[test]
    fn several_are_a_list_without_what_is_within_another() {
        let all = ["10.0.0.1", "10.0.0.9", "10.1.0.0/16", "2001:db8::5"];
        for given in [
            list(&all),
            list(&[
                "2001:db8::5",
                "10.0.0.9",
                "10.1.2.3",
                "10.1.0.0/16",
                "10.0.0.1",
                "10.0.0.9/32",
            ]),
            "10.0.0.1,10.0.0.9; 10.1.0.0/16\t2001:db8::5,".into(),
            list(&["10.0.0.9,10.0.0.1", "2001:db8::5 10.1.0.0-10.1.255.255"]),
        ] {
            assert_eq!(parsed(&given), Ok(list(&all)), "{given:?}");
        }
        // Neighbours stay apart.
        let neighbours = list(&["10.0.0.4", "10.0.0.5"]);
        assert_eq!(parsed(&neighbours), Ok(neighbours));
        assert_eq!(
            parsed(&"10.0.0.5-10.0.0.9".into()),
            Ok(list(&["10.0.0.5", "10.0.0.6/31", "10.0.0.8/31"]))
        );
    }

    #[test]
    fn a_list_has_a_bound() {
        let address = |n: usize| format!("10.0.{}.{}", n / 128, n % 128 * 2);
        let of = |count: usize| Addresses::List((0..count).map(address).collect());
        assert_eq!(parsed(&of(64)), Ok(of(64)));
        for (count, most) in [(65, 64), (1024, 64), (1025, 1024)] {
            let expected = vec![("/ip".to_owned(), too_many(count, most))];
            assert_eq!(parsed(&of(count)), Err(expected.clone()));
            let within_one = Addresses::One(of(count).texts().join(" "));
            assert_eq!(parsed(&within_one), Err(expected));
        }
        // More than that, and yet no more prefixes: neighbours become one then.
        let hosts = (0..256).map(|n| format!("10.0.0.{n}"));
        assert_eq!(
            parsed(&Addresses::List(hosts.collect())),
            Ok("10.0.0.0/24".into())
        );
        // Any range of IPv4 is within the bound.
        let longest = parsed(&"0.0.0.1-255.255.255.254".into()).expect("a list");
        assert_eq!(longest.texts().len(), 62);
        let long = parsed(&"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe".into());
        assert_eq!(long, Err(vec![("/ip".to_owned(), too_many(254, 64))]));
    }

    #[test]
    fn every_fault_is_found_in_its_place() {
        let given = list(&["10.0.0.1", "10.0.0.300", "::1", "", "10.0.0.2,host"]);
        let faults = parsed(&given).expect_err("faults");
        let places: Vec<_> = faults.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["/ip/1", "/ip/3", "/ip/4"]);
        let within_one = parsed(&"10.0.0.300,10.0.0.1,host".into()).expect_err("faults");
        let places: Vec<_> = within_one.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["/ip", "/ip"]);
        let none = parsed(&list(&[])).expect_err("a fault");
        assert_eq!(none, [("/ip".to_owned(), FaultKind::NoAddress)]);
    }

    #[test]
    fn the_form_of_a_task_is_its_last() {
        for given in [
            list(&["10.0.0.9", "10.0.0.1-10.0.0.6"]),
            "10.0.0.9 10.0.0.9".into(),
            Addresses::List((0..=255).map(|n| format!("10.0.0.{n}")).collect()),
        ] {
            let mut shortened = given.clone();
            shorten(&mut shortened);
            assert_eq!(parsed(&shortened), parsed(&given));
            let mut again = shortened.clone();
            shorten(&mut again);
            assert_eq!(again, shortened);
        }
        let mut wrong = list(&["10.0.0.9", "host"]);
        shorten(&mut wrong);
        assert_eq!(wrong, list(&["10.0.0.9", "host"]));
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
                "10.0.0.9-10.0.0.1",
                "invalid",
                "write \"10.0.0.1-10.0.0.9\"",
            ),
            ("10.0.0.5-9", "invalid", "both ends in full"),
            ("10.0.0.1-::1", "invalid", "of one IP version"),
            ("10.0.0.1-host", "invalid", "both ends in full"),
            (
                "::ffff:10.0.0.1-::ffff:10.0.0.9",
                "invalid",
                "write \"10.0.0.1\"",
            ),
            ("10.0.0.1,a", "invalid", "getent hosts a"),
            ("my-host", "invalid", "getent hosts my-host"),
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
            let faults = parsed(&text.into()).expect_err(text);
            let [(_, fault)] = faults.as_slice() else {
                panic!("{text}: {faults:?}");
            };
            assert_eq!(fault.code(), code, "{text}");
            let sentence = fault.sentence(Wording::API);
            assert!(sentence.contains(hint), "{text}: {sentence}");
        }
    }
}
