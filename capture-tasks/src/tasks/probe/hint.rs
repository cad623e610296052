//! What is near, where a filter matches nothing: the same filter with the address alone or, without one, everything.

use std::time::Duration;

use capture_task::{
    count_text,
    plan::{Endpoint, Filter, InterfaceSelection, Plan, address_words},
};
use ipnet::IpNet;

use super::talkers::{Kind, Service, Talkers};

/// Services that a hint names.
const MOST_SERVICES: usize = 5;

/// Interfaces that a hint names.
const MOST_INTERFACES: usize = 3;

/// What is looked at beside a filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wider {
    addresses: Option<Vec<IpNet>>,
    /// Also asked for, as the other side.
    peer: Vec<IpNet>,
}

impl Wider {
    /// What is wider than the filter of a plan, where anything is.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let Filter { local, peer, .. } = &plan.filter;
        let this = Self {
            addresses: local.addresses.clone(),
            peer: peer.addresses.clone().unwrap_or_default(),
        };
        (this.filter() != plan.filter).then_some(this)
    }

    /// The plan of this, for so many packets.
    pub(super) fn plan(&self, plan: &Plan, packets: u64) -> Plan {
        Plan {
            filter: self.filter(),
            max_packets: Some(packets),
            ..plan.clone()
        }
    }

    fn filter(&self) -> Filter {
        Filter {
            local: Endpoint {
                addresses: self.addresses.clone(),
                ports: None,
            },
            ..Filter::default()
        }
    }

    /// One sentence, or two, where `packets` of this were seen and none matched.
    pub(super) fn hint(
        &self,
        plan: &Plan,
        seen: u64,
        took: Duration,
        packets: u64,
        talkers: &Talkers,
    ) -> String {
        if packets == 0 {
            return nothing(plan, seen, took, true);
        }
        let services = service_words(&talkers.services(self.addresses.as_deref()));
        let Some(addresses) = &self.addresses else {
            return format!("Seen on {}: {services}.", interface_words(plan));
        };
        let peer = match &self.peer {
            peer if peer.is_empty() || talkers.has(peer) => String::new(),
            peer => format!(", nothing with {}", address_words(peer)),
        };
        format!("Seen from {}: {services}{peer}.", address_words(addresses))
    }
}

/// The sentence where nothing that is near was seen either, or where nobody looked.
pub(super) fn nothing(plan: &Plan, seen: u64, took: Duration, has_looked: bool) -> String {
    let place = interface_words(plan);
    let addresses = plan.filter.local.addresses.as_deref();
    match (seen, addresses.filter(|_| has_looked)) {
        (0, _) => format!("Nothing passed {place} in {:.0} s.", took.as_secs_f64()),
        (seen, Some(addresses)) => format!(
            "{} frames passed {place}, none with {}.",
            count_text(seen),
            address_words(addresses)
        ),
        (seen, None) => format!("{} frames passed {place}, none matched.", count_text(seen)),
    }
}

/// `TCP 8443, UDP to 53`.
fn service_words(services: &[(Kind, Option<Service>)]) -> String {
    let words = services.iter().take(MOST_SERVICES).map(|(kind, service)| {
        let kind = kind.name();
        match service {
            Some(Service::Offers(port)) => format!("{kind} {port}"),
            Some(Service::Uses(port)) => format!("{kind} to {port}"),
            None => kind,
        }
    });
    let words: Vec<_> = words.collect();
    let more = services.len().saturating_sub(MOST_SERVICES);
    match (words.is_empty(), more) {
        (true, _) => "nothing of IP".to_owned(),
        (_, 0) => words.join(", "),
        (_, more) => format!("{} and {more} more", words.join(", ")),
    }
}

fn interface_words(plan: &Plan) -> String {
    match &plan.interfaces {
        InterfaceSelection::Any => "any interface".to_owned(),
        InterfaceSelection::Named(names) => {
            let shown: Vec<_> = names.iter().take(MOST_INTERFACES).cloned().collect();
            match names.len().saturating_sub(MOST_INTERFACES) {
                0 => shown.join(", "),
                more => format!("{} and {more} more", shown.join(", ")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use capture_task::plan::RequestOrigin;
    use serde_json::{Value, json};

    use super::{
        super::talkers::tests::{add, udp},
        *,
    };

    fn plan(mut task: Value) -> Plan {
        task["name"] = json!("n");
        if task.get("interfaces").is_none() {
            task["interfaces"] = json!(["eth0"]);
        }
        let spec = serde_json::from_value(task).expect("a request");
        Plan::resolve(&spec, RequestOrigin::Daemon).expect("a plan")
    }

    const TOOK: Duration = Duration::from_millis(2990);

    fn hint(task: Value, frames: &[Vec<u8>]) -> String {
        let plan = plan(task);
        let mut talkers = Talkers::default();
        for frame in frames {
            add(&mut talkers, frame);
        }
        let wider = Wider::of(&plan).expect("something is wider");
        wider.hint(&plan, 9214, TOOK, frames.len() as u64, &talkers)
    }

    #[test]
    fn hints() {
        let here = [10, 0, 0, 5];
        let frames = [
            udp((here, 8443), ([10, 0, 0, 9], 50_000)),
            udp(([10, 0, 0, 9], 50_000), (here, 8443)),
            udp((here, 40_000), ([10, 0, 0, 1], 53)),
        ];
        let asked = json!({"ip": "10.0.0.5", "ports": [443]});
        assert_eq!(
            hint(asked.clone(), &frames),
            "Seen from 10.0.0.5: UDP 8443, UDP to 53."
        );
        assert_eq!(
            hint(asked, &[]),
            "9,214 frames passed eth0, none with 10.0.0.5."
        );
        let pair = |peer: &str| {
            hint(
                json!({"ip": "10.0.0.0/24", "ports": [1], "peer_ip": peer}),
                &frames[..2],
            )
        };
        assert_eq!(
            pair("10.0.0.9"),
            "Seen from 10.0.0.0/24: UDP 8443, UDP to 8443."
        );
        assert_eq!(
            pair("192.0.2.1"),
            "Seen from 10.0.0.0/24: UDP 8443, UDP to 8443, nothing with 192.0.2.1."
        );
        assert_eq!(
            pair("192.0.2.1,10.0.0.9"),
            "Seen from 10.0.0.0/24: UDP 8443, UDP to 8443."
        );
        let several = json!({"ip": ["10.0.0.4", "10.0.0.5"], "ports": [1]});
        assert_eq!(
            hint(several.clone(), &frames),
            "Seen from 10.0.0.4 or 10.0.0.5: UDP 8443, UDP to 53."
        );
        assert_eq!(
            hint(several, &[]),
            "9,214 frames passed eth0, none with 10.0.0.4 or 10.0.0.5."
        );
        let any = json!({"interfaces": ["any"], "ports": [1]});
        assert_eq!(
            hint(any, &frames),
            "Seen on any interface: UDP 8443, UDP 53."
        );
        let tcp = json!({"protocol": "tcp"});
        assert_eq!(hint(tcp, &[vec![0xff; 60]]), "Seen on eth0: nothing of IP.");
        let many: Vec<_> = (1..=7)
            .map(|port| udp((here, port), (here, 60_000)))
            .collect();
        let many = hint(json!({"ip": "10.0.0.5", "ports": [9]}), &many);
        assert!(many.ends_with(" more."), "{many}");
    }

    #[test]
    fn nothing_is_wider_than_an_address_or_everything() {
        for task in [json!({}), json!({"ip": "10.0.0.5"})] {
            assert_eq!(Wider::of(&plan(task)), None);
        }
        assert_eq!(
            nothing(&plan(json!({})), 0, TOOK, true),
            "Nothing passed eth0 in 3 s."
        );
        let several = plan(json!({"interfaces": ["a", "b", "c", "d", "e"]}));
        assert_eq!(
            nothing(&several, 5, TOOK, true),
            "5 frames passed a, b, c and 2 more, none matched."
        );
        // What has not been looked for is not said to be missing.
        let blind = plan(json!({"ip": "10.0.0.5", "ports": [1]}));
        assert_eq!(
            nothing(&blind, 5, TOOK, false),
            "5 frames passed eth0, none matched."
        );
    }
}
