//! What people type for the fields of a request, as the request has it: numbers as numbers, lists taken apart, and the
//! words of other tools for what they mean here. Nothing is checked: that is for [`Plan::resolve`](super::Plan::resolve).

use super::address;
use crate::task::{Addresses, Quantity};

/// `eth0,eth1` are two; the kernel's and other tools' words for all are taken too.
pub fn interfaces(options: &[String]) -> Vec<String> {
    let items = options.iter().flat_map(|option| option.split(','));
    let names = items.map(|name| match name.trim() {
        "all" | "*" | "ANY" | "Any" => "any".to_owned(),
        name => name.to_owned(),
    });
    names.collect()
}

/// A number where the text is one, so that the request reads as if it had come as JSON.
pub fn quantity(text: String) -> Quantity {
    match text.parse() {
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Quantity::Number(number),
        _ => Quantity::Text(text),
    }
}

/// tcpdump's unit of `-C` for a bare number.
pub fn millions(text: String) -> Quantity {
    match quantity(text) {
        Quantity::Number(number) => number
            .checked_mul(1_000_000)
            .map_or_else(|| Quantity::Text(format!("{number}MB")), Quantity::Number),
        text => text,
    }
}

/// Ports, ranges and names of services, several in one option too; `service` knows the ports of names.
pub fn ports(options: &[String], service: impl Fn(&str) -> Option<u16>) -> Vec<Quantity> {
    let items = options.iter().flat_map(|option| option.split(','));
    let items = items.map(|item| match service(item.trim()) {
        Some(port) => Quantity::Number(port.into()),
        None => quantity(item.trim().to_owned()),
    });
    items.collect()
}

/// Addresses, ranges and prefixes, several in one option too; none where no option is given.
pub fn addresses(options: &[String]) -> Option<Addresses> {
    let items: Vec<_> = options
        .iter()
        .flat_map(|option| address::items(option))
        .collect();
    match items.as_slice() {
        [] => Some(Addresses::One(options.first()?.clone())),
        [item] => Some(Addresses::One(item.clone())),
        _ => Some(Addresses::List(items)),
    }
}

/// tcpdump's words for the directions are taken too.
pub fn direction(word: String) -> String {
    match word.to_ascii_lowercase().as_str() {
        "in" => "ingress".to_owned(),
        "out" => "egress".to_owned(),
        "inout" => "both".to_owned(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn lists_are_taken_apart_and_numbers_are_numbers() {
        assert_eq!(
            interfaces(&texts(&["eth0, eth1", "*"])),
            ["eth0", "eth1", "any"]
        );
        let service = |name: &str| (name == "https").then_some(443);
        assert_eq!(
            ports(&texts(&["https, 80", "8000-8100"]), service),
            [
                Quantity::Number(443),
                Quantity::Number(80),
                Quantity::Text("8000-8100".to_owned())
            ]
        );
        for (text, expected) in [
            ("5", Quantity::Number(5_000_000)),
            ("5MB", Quantity::Text("5MB".to_owned())),
            (
                "9223372036854775807",
                Quantity::Text("9223372036854775807MB".to_owned()),
            ),
        ] {
            assert_eq!(millions(text.to_owned()), expected);
        }
        for (options, expected) in [
            (&[][..], None),
            (&[""], Some("".into())),
            (&["10.0.0.1"], Some("10.0.0.1".into())),
            (
                &["10.0.0.1,10.0.0.9", "::1", "10.1.0.1 - 10.1.0.9"],
                Some(Addresses::List(texts(&[
                    "10.0.0.1",
                    "10.0.0.9",
                    "::1",
                    "10.1.0.1-10.1.0.9",
                ]))),
            ),
        ] {
            assert_eq!(addresses(&texts(options)), expected);
        }
        assert_eq!(direction("IN".to_owned()), "ingress");
        assert_eq!(direction("sideways".to_owned()), "sideways");
    }
}
