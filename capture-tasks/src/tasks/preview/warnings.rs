//! What to mind about a valid task. Each warning has a code of its own; none keeps the task from being created, though
//! some say that it would be refused now.

use std::net::{IpAddr, SocketAddr};

use capture_engine::interfaces::{InterfaceEntry, LinkState};
use capture_store::Quota;
use capture_task::{
    bytes_text,
    plan::{Field, Hook, InterfaceSelection, Plan, Protocol, RequestOrigin, address_words, quote},
    preview::{PlannedHook, Warning},
    task::TaskRecord,
};
use ipnet::IpNet;

use super::ssh;

/// Services that send passwords and contents as they are.
const CLEARTEXT: &[(u16, &str)] = &[
    (21, "FTP"),
    (23, "Telnet"),
    (25, "SMTP"),
    (80, "HTTP"),
    (110, "POP3"),
    (143, "IMAP"),
    (161, "SNMP"),
    (389, "LDAP"),
    (6379, "Redis"),
    (8080, "HTTP"),
];

/// Bytes of a frame up to which little but headers is kept.
const HEADERS: u16 = 128;

const INTERFACE_DOWN: &str = "interface_down";

/// Most warnings about interfaces, of which a task can have hundreds.
const MOST_OF_INTERFACES: usize = 5;

/// What a task would come into.
pub(super) struct Surroundings<'a> {
    pub(super) interfaces: Vec<InterfaceEntry>,
    /// The tasks that run.
    pub(super) running: Vec<TaskRecord>,
    /// The connection of whoever asks, where it is TCP.
    pub(super) connection: Option<[SocketAddr; 2]>,
    pub(super) room: Room,
    pub(super) quota: &'a Quota,
    pub(super) starts_later: bool,
}

/// Bytes that the task may need, and that there are.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) worst_case: u64,
    pub(super) disk_free: u64,
    pub(super) budget_left: u64,
}

/// All that holds for a task.
pub(super) fn of(plan: &Plan, hooks: &[PlannedHook], around: &Surroundings<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    warnings.extend(quota(around.quota));
    warnings.extend(duplicate(plan, &around.running));
    warnings.extend(room(plan, around.room));
    let mut of_packets = of_packets(plan, hooks, &around.interfaces);
    // What is down now may be up by then.
    of_packets.retain(|warning| !around.starts_later || warning.code != INTERFACE_DOWN);
    warnings.extend(of_packets);
    warnings.extend(sessions(plan, around));
    warnings
}

/// What holds for the packets of a task that starts now, whoever executes it.
pub(super) fn of_packets(
    plan: &Plan,
    hooks: &[PlannedHook],
    interfaces: &[InterfaceEntry],
) -> Vec<Warning> {
    let mut warnings = hook(plan, hooks);
    warnings.extend(interfaces_down(plan, interfaces));
    warnings.extend(address(plan, interfaces));
    warnings.extend(cleartext(plan));
    warnings
}

fn warning(pointer: impl Into<String>, code: &str, detail: String) -> Warning {
    Warning {
        pointer: pointer.into(),
        code: code.to_owned(),
        detail,
        task: None,
    }
}

fn quota(quota: &Quota) -> Option<Warning> {
    let edition = quota.edition;
    if quota.limit == Some(0) {
        let detail = format!("the edition {edition} does not capture; the task would be refused");
        return Some(warning("", "edition", detail));
    }
    let limit = quota.limit.filter(|_| quota.is_used_up())?;
    let detail = format!(
        "{} of {limit} tasks of the day are used; the task would be refused",
        quota.used
    );
    Some(warning("", "quota", detail))
}

/// A task that takes the same packets already.
fn duplicate(plan: &Plan, running: &[TaskRecord]) -> Option<Warning> {
    let takes = |plan: &Plan| {
        let Plan {
            interfaces,
            directions,
            hook,
            filter,
            max_bytes,
            oversize,
            ..
        } = plan.clone();
        let interfaces = match interfaces {
            InterfaceSelection::Any => None,
            InterfaceSelection::Named(mut names) => {
                names.sort();
                Some(names)
            }
        };
        let hook = if hook == Hook::Auto { Hook::Tc } else { hook };
        (interfaces, directions, hook, filter, max_bytes, oversize)
    };
    let wanted = takes(plan);
    let same = running.iter().find(|task| {
        let there = Plan::resolve(&task.spec, RequestOrigin::Daemon);
        there.is_ok_and(|there| takes(&there) == wanted)
    })?;
    let detail = format!("the task {} captures the same now", quote(&same.name));
    Some(Warning {
        task: Some(same.id.clone()),
        ..warning("", "duplicate", detail)
    })
}

fn room(plan: &Plan, room: Room) -> Vec<Warning> {
    let Room {
        worst_case,
        disk_free,
        budget_left,
    } = room;
    let pointer = Field::MaxFileBytes.pointer();
    let mut warnings = Vec::new();
    // What the creation asks for, as the error has it.
    let needed = plan.max_file_bytes.unwrap_or(u64::MAX);
    if needed > budget_left {
        let detail = format!(
            "{} are left of the disk budget, and the task may write {}; it would be refused",
            bytes_text(budget_left),
            bytes_text(needed)
        );
        warnings.push(warning(&pointer, "disk_budget", detail));
    }
    warnings.extend(disk(worst_case, disk_free));
    warnings
}

/// More than is free on the disk.
pub(super) fn disk(worst_case: u64, disk_free: u64) -> Option<Warning> {
    let pointer = Field::MaxFileBytes.pointer();
    (worst_case > disk_free).then(|| {
        let detail = format!(
            "{} are free on the disk, and the task may write {}; it may end early",
            bytes_text(disk_free),
            bytes_text(worst_case)
        );
        warning(&pointer, "disk", detail)
    })
}

fn hook(plan: &Plan, hooks: &[PlannedHook]) -> Vec<Warning> {
    let pointer = Field::Hook.pointer();
    let conflicts = hooks.iter().filter_map(|hook| hook.conflict.as_ref());
    let mut warnings: Vec<_> = conflicts
        .take(MOST_OF_INTERFACES)
        .map(|conflict| warning(&pointer, "hook_conflict", conflict.clone()))
        .collect();
    if plan.hook == Hook::Xdp {
        let detail = "many drivers reset the link when native XDP comes and goes; connections may stall for seconds";
        warnings.push(warning(&pointer, "xdp_resets_link", detail.to_owned()));
    }
    warnings
}

fn interfaces_down(plan: &Plan, interfaces: &[InterfaceEntry]) -> Vec<Warning> {
    let InterfaceSelection::Named(names) = &plan.interfaces else {
        return Vec::new();
    };
    let named = names.iter().enumerate().filter_map(|(index, name)| {
        let entry = interfaces.iter().find(|entry| entry.name == *name)?;
        let how = match entry.state {
            LinkState::Up => return None,
            LinkState::NoCarrier => "has no carrier",
            LinkState::Down => "is down",
        };
        let pointer = format!("{}/{index}", Field::Interfaces.pointer());
        Some(warning(
            pointer,
            INTERFACE_DOWN,
            format!("{name} {how}; nothing passes it now"),
        ))
    });
    named.take(MOST_OF_INTERFACES).collect()
}

/// Where the addresses of the filter are, as far as this host has them.
fn address(plan: &Plan, interfaces: &[InterfaceEntry]) -> Option<Warning> {
    let local = plan.filter.local.addresses.as_deref()?;
    let owners = |nets: &[IpNet]| {
        let has = |entry: &&InterfaceEntry| {
            let mut own = entry.addresses.iter();
            own.any(|own| nets.iter().any(|net| net.contains(&own.addr())))
        };
        interfaces.iter().filter(has).collect::<Vec<_>>()
    };
    let with_local = owners(local);
    let with_peer = owners(plan.filter.peer.addresses.as_deref().unwrap_or_default());
    let own = [with_local, with_peer].concat();
    let text = shown(local);
    if own.is_empty() {
        let detail = format!(
            "no interface has {text}; the task sees only what it exchanges with this host, or through it"
        );
        return Some(warning(Field::Ip.pointer(), "address_not_here", detail));
    }
    let InterfaceSelection::Named(names) = &plan.interfaces else {
        return None;
    };
    if own.iter().any(|entry| names.contains(&entry.name)) {
        return None;
    }
    let mut there: Vec<_> = own.iter().map(|entry| entry.name.as_str()).collect();
    there.dedup();
    there.truncate(MOST_OF_INTERFACES);
    let detail = format!(
        "the address is on {}, which the task does not capture on",
        there.join(", ")
    );
    Some(warning(
        Field::Interfaces.pointer(),
        "address_elsewhere",
        detail,
    ))
}

fn shown(nets: &[IpNet]) -> String {
    match nets {
        [net] if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        nets => format!("an address of {}", address_words(nets)),
    }
}

/// Connections of whoever looks on, which grow with what is captured and shown of them.
fn sessions(plan: &Plan, around: &Surroundings<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let takes = |ends: [SocketAddr; 2]| {
        plan.filter.takes(Protocol::Tcp, ends)
            && is_captured(plan, &around.interfaces, ends[1].ip())
    };
    if let Some(ends) = around.connection.filter(|ends| takes(*ends)) {
        let detail = format!(
            "the task also takes the connection of this console ({}), and its own figures with it",
            ends[0]
        );
        warnings.push(warning("", "own_session", detail));
    }
    let sessions = ssh::sessions().into_iter();
    let inside = sessions.filter(|[here, there]| takes([*there, *here]));
    let mut peers: Vec<_> = inside.map(|[_, there]| there.ip()).collect();
    peers.sort();
    peers.dedup();
    if let Some(first) = peers.first() {
        let more = match peers.len() - 1 {
            0 => String::new(),
            1 => " and 1 other host".to_owned(),
            more => format!(" and {more} other hosts"),
        };
        let detail = format!("the task also takes the SSH session from {first}{more}");
        warnings.push(warning("", "ssh_session", detail));
    }
    warnings
}

/// Whether what goes to an address of this host passes an interface of the task.
fn is_captured(plan: &Plan, interfaces: &[InterfaceEntry], own: IpAddr) -> bool {
    match &plan.interfaces {
        InterfaceSelection::Any => true,
        InterfaceSelection::Named(names) => interfaces.iter().any(|entry| {
            names.contains(&entry.name) && entry.addresses.iter().any(|there| there.addr() == own)
        }),
    }
}

fn cleartext(plan: &Plan) -> Option<Warning> {
    if plan.max_bytes.is_some_and(|bytes| bytes <= HEADERS) {
        return None;
    }
    let ends = [&plan.filter.local, &plan.filter.peer];
    let asked = |port: &u16| {
        let mut ranges = ends.iter().flat_map(|end| end.ports.iter().flatten());
        ranges.any(|range| range.contains(port))
    };
    let (port, service) = CLEARTEXT.iter().find(|(port, _)| asked(port))?;
    let detail = format!(
        "{service} (port {port}) sends passwords and contents as they are, and the file would have them; {HEADERS} bytes a frame leave most of that out"
    );
    Some(warning(Field::MaxBytes.pointer(), "cleartext", detail))
}

#[cfg(test)]
mod tests {
    use capture_store::{Edition, access::Account};
    use capture_task::task::{Counters, State};
    use serde_json::{Value, json};

    use super::*;

    fn spec(value: Value) -> capture_task::task::TaskSpec {
        let mut whole = json!({"name": "n", "interfaces": ["eth0"]});
        for (key, value) in value.as_object().expect("an object") {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).expect("a request")
    }

    fn plan(value: Value) -> Plan {
        Plan::resolve(&spec(value), RequestOrigin::Daemon).expect("a plan")
    }

    fn interface(name: &str, state: LinkState, address: &str) -> InterfaceEntry {
        InterfaceEntry {
            name: name.to_owned(),
            ifindex: 1,
            state,
            arphrd: 1,
            mtu: 1500,
            addresses: vec![address.parse().expect("an address")],
            details: Default::default(),
        }
    }

    fn task(value: Value) -> TaskRecord {
        TaskRecord {
            state: State::Running,
            ..record("01ARZ3NDEKTSV4RRFFQ69G5FAV", spec(value))
        }
    }

    fn record(id: &str, spec: capture_task::task::TaskSpec) -> TaskRecord {
        serde_json::from_value(json!({
            "id": id, "name": "web", "spec": spec, "state": "running", "stop_reason": null,
            "error": null, "created_at": "", "started_at": null, "ended_at": null,
            "expires_at": null, "counters": Counters::default(), "verdict": null, "files": [],
        }))
        .expect("a record")
    }

    fn of_day(used: u32, limit: Option<u32>) -> Quota {
        Quota {
            account: Account::local(),
            edition: Edition::Ultimate,
            limit,
            used,
            remaining: limit.map(|limit| limit.saturating_sub(used)),
            resets_at: "2026-03-02T00:00:00Z".parse().expect("a time"),
        }
    }

    /// Codes and pointers of what is said.
    fn codes(plan: &Plan, change: impl FnOnce(&mut Surroundings<'_>)) -> Vec<(String, String)> {
        let quota = of_day(1, Some(50));
        let mut around = Surroundings {
            interfaces: vec![
                interface("eth0", LinkState::Up, "10.0.0.5/24"),
                interface("eth1", LinkState::Down, "10.1.0.5/24"),
            ],
            running: Vec::new(),
            connection: None,
            room: Room {
                worst_case: 10,
                disk_free: 10,
                budget_left: 1 << 40,
            },
            quota: &quota,
            starts_later: false,
        };
        change(&mut around);
        let found = of(plan, &[], &around).into_iter();
        found
            // The machine of the test may have a session.
            .filter(|warning| warning.code != "ssh_session")
            .map(|warning| (warning.code, warning.pointer))
            .collect()
    }

    fn pair(code: &str, pointer: &str) -> (String, String) {
        (code.to_owned(), pointer.to_owned())
    }

    #[test]
    fn nothing_is_said_of_a_harmless_task() {
        let harmless = plan(json!({"ip": "10.0.0.5", "ports": [443]}));
        assert_eq!(codes(&harmless, |_| ()), []);
    }

    #[test]
    fn a_task_that_captures_the_same_is_named() {
        let wanted = plan(
            json!({"interfaces": ["eth0", "eth1"], "ports": [443, 80], "max_bytes": 96, "duration": 5}),
        );
        let same = json!({"interfaces": ["eth1", "eth0"], "ports": [80, 443], "max_bytes": 96, "hook": "tc", "name": "x"});
        let found = duplicate(&wanted, &[task(json!({})), task(same.clone())]);
        let found = found.expect("the second");
        assert_eq!(found.task.as_deref(), Some("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        for (field, value) in [
            ("ports", json!([80])),
            ("max_bytes", json!(0)),
            ("direction", json!("egress")),
            ("hook", json!("xdp")),
            ("interfaces", json!(["any"])),
        ] {
            let mut other = same.clone();
            other[field] = value;
            assert_eq!(duplicate(&wanted, &[task(other)]), None, "{field}");
        }
    }

    #[test]
    fn room_and_quota() {
        let plan = plan(json!({}));
        let found = codes(&plan, |around| around.room.worst_case = 11);
        assert_eq!(found, [pair("disk", "/max_file_bytes")]);
        let found = codes(&plan, |around| around.room.budget_left = (1 << 30) - 1);
        assert_eq!(found, [pair("disk_budget", "/max_file_bytes")]);
        for (used, limit, code) in [
            (49, Some(50), None),
            (50, Some(50), Some("quota")),
            (0, Some(0), Some("edition")),
            (9, None, None),
        ] {
            let found = quota(&of_day(used, limit));
            assert_eq!(
                found.as_ref().map(|found| &*found.code),
                code,
                "{used} {limit:?}"
            );
        }
    }

    #[test]
    fn interfaces_and_addresses() {
        let down = plan(json!({"interfaces": ["eth0", "eth1"]}));
        let expected = [pair("interface_down", "/interfaces/1")];
        assert_eq!(codes(&down, |_| ()), expected);
        assert_eq!(codes(&down, |around| around.starts_later = true), []);
        for (task, expected) in [
            (
                json!({"ip": "10.1.0.5"}),
                vec![pair("address_elsewhere", "/interfaces")],
            ),
            (
                json!({"ip": "10.1.0.0/16"}),
                vec![pair("address_elsewhere", "/interfaces")],
            ),
            (json!({"ip": "10.1.0.5", "interfaces": ["any"]}), vec![]),
            (
                json!({"ip": "192.0.2.1"}),
                vec![pair("address_not_here", "/ip")],
            ),
            (json!({"ip": "192.0.2.1", "peer_ip": "10.0.0.5"}), vec![]),
            (json!({"ip": ["192.0.2.1", "10.0.0.5"]}), vec![]),
            (
                json!({"ip": ["192.0.2.1", "192.0.2.9"]}),
                vec![pair("address_not_here", "/ip")],
            ),
            (
                json!({"hook": "xdp"}),
                vec![pair("xdp_resets_link", "/hook")],
            ),
        ] {
            assert_eq!(codes(&plan(task.clone()), |_| ()), expected, "{task}");
        }
    }

    #[test]
    fn the_connection_of_whoever_asks() {
        let ends = ["10.0.0.9:50000", "10.0.0.5:8443"].map(|end| end.parse().expect("an end"));
        let inside = |task: Value| {
            let found = codes(&plan(task), |around| around.connection = Some(ends));
            found.iter().any(|(code, _)| code == "own_session")
        };
        for (task, expected) in [
            (json!({}), true),
            (json!({"ip": "10.0.0.9"}), true),
            (json!({"ip": "10.0.0.5", "ports": [8443]}), true),
            (json!({"ip": "10.0.0.5", "ports": [443]}), false),
            (json!({"ip": "10.0.0.5", "ports": [50000]}), false),
            (json!({"protocol": "udp"}), false),
            (json!({"interfaces": ["eth1"]}), false),
            (json!({"interfaces": ["any"]}), true),
        ] {
            assert_eq!(inside(task.clone()), expected, "{task}");
        }
    }

    #[test]
    fn passwords_in_whole_frames() {
        for (task, expected) in [
            (json!({"ports": [23]}), true),
            (json!({"ports": ["20-24"], "max_bytes": 129}), true),
            (json!({"ports": [23], "max_bytes": 128}), false),
            (json!({"ports": [443]}), false),
            (json!({}), false),
        ] {
            assert_eq!(cleartext(&plan(task.clone())).is_some(), expected, "{task}");
        }
    }
}
