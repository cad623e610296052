//! The request that a plan would come from with nothing left to a default.

use super::{
    address,
    filter::{Endpoint, Filter},
    keyword::{AddressType, Keyword as _},
    ports,
    validated::{InterfaceSelection, Plan, Rotate},
};
use crate::task::{Quantity, RotateSpec, TaskSpec};

impl From<&Plan> for TaskSpec {
    /// Every field as the plan has it. Limits that there are none of stay absent, apart from `max_bytes`, where 0 says
    /// so.
    fn from(plan: &Plan) -> Self {
        let Plan {
            name,
            interfaces,
            directions,
            hook,
            filter,
            max_bytes,
            oversize,
            duration,
            max_packets,
            max_file_bytes,
            format,
            rotate,
        } = plan;
        let Filter {
            protocol,
            local,
            peer,
            icmp_errors,
        } = filter;
        let address_type = match (&local.addresses, &peer.addresses) {
            (_, Some(_)) => AddressType::IpPair,
            (Some(_), None) => AddressType::Ip,
            (None, None) => AddressType::Any,
        };
        Self {
            name: Some(name.clone()),
            interfaces: match interfaces {
                InterfaceSelection::Any => vec!["any".to_owned()],
                InterfaceSelection::Named(names) => names.clone(),
            },
            direction: Some(directions.keyword().to_owned()),
            hook: Some(hook.keyword().to_owned()),
            protocol: Some(protocol.keyword().to_owned()),
            address_type: Some(address_type.keyword().to_owned()),
            ip: local.addresses.as_deref().map(address::written),
            ports: port_list(local),
            peer_ip: peer.addresses.as_deref().map(address::written),
            peer_ports: port_list(peer),
            icmp_errors: *icmp_errors,
            max_bytes: Some(Quantity::Number(max_bytes.map_or(0, i64::from))),
            oversize: Some(oversize.keyword().to_owned()),
            duration: duration.map(|duration| number(duration.as_secs())),
            max_packets: max_packets.map(number),
            max_file_bytes: max_file_bytes.map(number),
            format: Some(format.keyword().to_owned()),
            rotate: rotate.map(rotation),
        }
    }
}

fn port_list(endpoint: &Endpoint) -> Vec<Quantity> {
    let ranges = endpoint.ports.iter().flatten();
    ranges.map(|range| ports::written(range.clone())).collect()
}

fn rotation(rotate: Rotate) -> RotateSpec {
    let Rotate {
        bytes,
        seconds,
        files,
    } = rotate;
    RotateSpec {
        bytes: bytes.map(number),
        seconds: seconds.map(number),
        files: files.map(number),
    }
}

/// Limits have at most 63 bits.
fn number(value: u64) -> Quantity {
    i64::try_from(value).map_or_else(|_| Quantity::Text(value.to_string()), Quantity::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::RequestOrigin;

    #[test]
    fn nothing_is_left_to_defaults_and_nothing_is_changed() {
        for request in [
            json!({"name": "n", "interfaces": ["any"]}),
            json!({"name": "n", "interfaces": ["a", "b"], "ip": "10.1.2.3/8", "ports": [443, "1-9"]}),
            json!({"name": "n", "interfaces": ["any"], "ip": ["::1", "10.0.0.1-10.0.0.6"], "peer_ip": ["10.0.0.9", "10.1.0.0/16"]}),
            json!({
                "name": "n", "interfaces": ["lo"], "direction": "egress", "hook": "xdp",
                "protocol": "udp", "ip": "::1", "peer_ip": "fe80::/10", "peer_ports": ["53"],
                "icmp_errors": true, "max_bytes": "1k", "oversize": "discard", "duration": "1h30m",
                "max_packets": 7, "max_file_bytes": "2GiB", "format": "pcap",
                "rotate": {"bytes": "1MB", "seconds": "1m", "files": 3},
            }),
        ] {
            let spec: TaskSpec = serde_json::from_value(request.clone()).expect("a request");
            let plan = Plan::resolve(&spec, RequestOrigin::Daemon).expect("a plan");
            let filled = TaskSpec::from(&plan);
            let again = Plan::resolve(&filled, RequestOrigin::Daemon);
            assert_eq!(again.as_ref(), Ok(&plan), "{request}");
            // Nothing of it hangs on who asks.
            let other = Plan::resolve(&filled, RequestOrigin::Run);
            assert_eq!(other.as_ref(), Ok(&plan), "{request}");
            assert_eq!(TaskSpec::from(&plan), filled);
        }
        let least = json!({"name": "n", "interfaces": ["any"]});
        let spec: TaskSpec = serde_json::from_value(least).expect("a request");
        let plan = Plan::resolve(&spec, RequestOrigin::Daemon).expect("a plan");
        assert_eq!(
            serde_json::to_value(TaskSpec::from(&plan)).expect("JSON"),
            json!({
                "name": "n", "interfaces": ["any"], "direction": "both", "hook": "auto",
                "protocol": "all", "address_type": "any", "max_bytes": 0, "oversize": "truncate",
                "duration": 60, "max_file_bytes": 1 << 30, "format": "pcapng",
            })
        );
    }
}
