//! A request in the form in which it is kept and shown: lists of ports in their shortest form, words in lower case,
//! addresses sorted and each once, ranges as prefixes.

use super::{
    address,
    keyword::{self, AddressType, Directions, Format, Hook, Keyword, Oversize, Protocol},
    ports::shorten,
};
use crate::task::TaskSpec;

/// Brings a request into that form. What is wrong in it stays as it is.
pub fn normalise(spec: &mut TaskSpec) {
    shorten(&mut spec.ports);
    shorten(&mut spec.peer_ports);
    word::<Directions>(&mut spec.direction);
    word::<Hook>(&mut spec.hook);
    word::<Protocol>(&mut spec.protocol);
    word::<AddressType>(&mut spec.address_type);
    word::<Oversize>(&mut spec.oversize);
    word::<Format>(&mut spec.format);
    for addresses in [&mut spec.ip, &mut spec.peer_ip].into_iter().flatten() {
        address::shorten(addresses);
    }
}

fn word<T: Keyword>(text: &mut Option<String>) {
    if let Some(word) = text
        && let Ok(value) = keyword::parse::<T>(word)
    {
        value.keyword().clone_into(word);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn normalised(spec: Value) -> Value {
        let mut spec: TaskSpec = serde_json::from_value(spec).expect("a request");
        normalise(&mut spec);
        serde_json::to_value(spec).expect("JSON")
    }

    #[test]
    fn words_and_ranges_have_one_form() {
        assert_eq!(
            normalised(json!({
                "interfaces": ["Eth0"], "protocol": "TCP", "direction": "Ingress", "hook": "XDP-Generic",
                "address_type": "IP_PAIR", "oversize": "Discard", "format": "PCAP", "ports": ["81", "80"],
                "ip": "10.0.0.0-10.0.0.255", "peer_ip": "10.1.0.9, 10.1.0.5 10.1.0.5",
            })),
            json!({
                "interfaces": ["Eth0"], "protocol": "tcp", "direction": "ingress", "hook": "xdp-generic",
                "address_type": "ip_pair", "oversize": "discard", "format": "pcap", "ports": ["80-81"],
                "ip": "10.0.0.0/24", "peer_ip": ["10.1.0.5", "10.1.0.9"],
            })
        );
    }

    #[test]
    fn what_is_wrong_or_plain_stays() {
        let spec = json!({
            "interfaces": ["lo"], "protocol": "sctp", "ip": ["10.0.0.9", "10.0.0.300"], "peer_ip": "10.0.0.0/8"
        });
        assert_eq!(normalised(spec.clone()), spec);
    }
}
