//! The tasks of the captures in the guest, as files for `run --tasks`, and what each must take: sixty-four for
//! the frames that `frames` of the tests made, by expressions that tcpdump applies to the same frames on the
//! host, and four for what the guest's own stack sends. [`super::verdict`] compares.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use super::pcap;
use crate::command;

/// The hooks, by their names in tasks.
pub(super) const HOOKS: &[&str] = &["tc", "xdp", "xdp-generic"];

/// As many tasks as there can be at once.
const MANY: usize = 64;

/// The addresses of the frames.
const V4: [&str; 4] = ["10.1.0.1", "10.1.0.2", "10.1.1.3", "10.2.0.4"];
const V6: [&str; 4] = [
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:0:1::3",
    "2001:db9::4",
];

/// A task, and the frames it takes of those that come in and go out.
struct Task {
    fields: Map<String, Value>,
    /// Of pcap-filter(7), written by hand; tags are looked through besides.
    expression: String,
}

/// What a task's file must hold, frame for frame.
pub(super) struct Expected {
    /// The filter, for people.
    pub(super) what: String,
    /// The frames as they are kept, in order, each with its length on the wire.
    pub(super) frames: Vec<(Vec<u8>, usize)>,
}

fn task(fields: &Value, expression: impl Into<String>) -> Task {
    Task {
        fields: fields.as_object().cloned().unwrap_or_default(),
        expression: expression.into(),
    }
}

/// An endpoint in the expression language.
fn endpoint(side: &str, address: &str, ports: &str) -> String {
    let kind = if address.contains('/') { "net" } else { "host" };
    let range = if ports.contains('-') {
        "portrange"
    } else {
        "port"
    };
    match ports {
        "" => format!("{side} {kind} {address}"),
        _ => format!("{side} {kind} {address} and {side} {range} {ports}"),
    }
}

/// One endpoint is the first, and the other the second, either way round.
fn pair(one: (&str, &str), other: (&str, &str)) -> String {
    format!(
        "({} and {}) or ({} and {})",
        endpoint("src", one.0, one.1),
        endpoint("dst", other.0, other.1),
        endpoint("dst", one.0, one.1),
        endpoint("src", other.0, other.1),
    )
}

/// Either endpoint is this one.
fn either(address: &str, ports: &str) -> String {
    let (source, destination) = (
        endpoint("src", address, ports),
        endpoint("dst", address, ports),
    );
    format!("({source}) or ({destination})")
}

/// Sixty-four tasks, no two alike.
fn many() -> Vec<Task> {
    let mut tasks = plain();
    tasks.extend(by_address());
    tasks.extend(by_port());
    tasks
}

/// By protocol, direction and number.
fn plain() -> Vec<Task> {
    vec![
        task(&json!({}), ""),
        task(&json!({"protocol": "tcp"}), "tcp"),
        task(&json!({"protocol": "udp"}), "udp"),
        task(&json!({"protocol": "icmp"}), "icmp or icmp6"),
        task(&json!({"direction": "ingress"}), ""),
        task(&json!({"direction": "egress"}), ""),
        task(&json!({"direction": "ingress", "protocol": "udp"}), "udp"),
        task(
            &json!({"direction": "egress", "ip": V4[0]}),
            either(V4[0], ""),
        ),
        task(&json!({"max_packets": 7}), ""),
        task(&json!({"max_packets": 50, "protocol": "udp"}), "udp"),
        task(
            &json!({"ip": "10.3.0.1", "ports": [40000]}),
            either("10.3.0.1", "40000"),
        ),
        task(
            &json!({"protocol": "udp", "ports": [53]}),
            "udp and port 53",
        ),
    ]
}

/// By address, prefix and pair, with ports and without.
fn by_address() -> Vec<Task> {
    let mut tasks = Vec::new();
    for address in V4.into_iter().chain(V6) {
        tasks.push(task(&json!({"ip": address}), either(address, "")));
        let one = json!({"ip": address, "ports": [443]});
        tasks.push(task(&one, either(address, "443")));
        let udp = json!({"ip": address, "protocol": "udp", "max_bytes": 70});
        tasks.push(task(&udp, format!("udp and ({})", either(address, ""))));
    }
    for network in [
        "10.1.0.0/24",
        "10.1.0.0/16",
        "10.0.0.0/8",
        "2001:db8::/64",
        "2001:db8::/32",
        "2001:db8:0:1::/64",
    ] {
        tasks.push(task(&json!({"ip": network}), either(network, "")));
    }
    for (one, other) in [
        (V4[0], V4[1]),
        (V4[2], V4[3]),
        (V6[0], V6[1]),
        (V6[2], V6[3]),
    ] {
        let plain = json!({"ip": one, "peer_ip": other});
        tasks.push(task(&plain, pair((one, ""), (other, ""))));
        let ports = json!({"ip": one, "ports": ["0-443"], "peer_ip": other});
        tasks.push(task(&ports, pair((one, "0-443"), (other, ""))));
    }
    for (one, other) in [("10.1.0.0/16", V4[3]), ("2001:db8::/32", V6[1])] {
        let nets = json!({"ip": other, "peer_ip": one, "peer_ports": ["80-65535"]});
        tasks.push(task(&nets, pair((other, ""), (one, "80-65535"))));
    }
    tasks
}

/// By port alone, and cut short or discarded.
fn by_port() -> Vec<Task> {
    let mut tasks = Vec::new();
    for ports in ["80", "443", "1-443", "80-40000"] {
        let range = if ports.contains('-') {
            "portrange"
        } else {
            "port"
        };
        tasks.push(task(&json!({"ports": [ports]}), format!("{range} {ports}")));
    }
    for max_bytes in [1, 14, 60, 1000] {
        for oversize in ["truncate", "discard"] {
            let fields = json!({"max_bytes": max_bytes, "oversize": oversize, "ports": [80]});
            tasks.push(task(&fields, "port 80"));
        }
    }
    tasks
}

impl Task {
    /// What it takes of frames that first all come in and then all go out.
    fn expected(&self, frames: &Path) -> Result<Expected> {
        let mut tcpdump = Command::new("tcpdump");
        tcpdump
            .args(["-O", "-n", "--nano", "-w", "-", "-r"])
            .arg(frames);
        if !self.expression.is_empty() {
            // pcap looks at no tag unless told.
            tcpdump.arg(format!("({0}) or (vlan and ({0}))", self.expression));
        }
        let output = tcpdump
            .output()
            .with_context(|| format!("cannot start `{}`", command::line(&tcpdump)))?;
        ensure!(
            output.status.success(),
            "`{}`: {}",
            command::line(&tcpdump),
            String::from_utf8_lossy(&output.stderr)
        );
        let once = pcap::frames(&output.stdout)?;
        let number = |name: &str| self.fields.get(name).and_then(Value::as_u64);
        let times = if self.fields.contains_key("direction") {
            1
        } else {
            2
        };
        let max_bytes = number("max_bytes").map_or(usize::MAX, |most| most as usize);
        let discard = self.fields.get("oversize") == Some(&json!("discard"));
        let packets = number("max_packets").map_or(usize::MAX, |most| most as usize);
        let twice = (0..times).flat_map(|_| &once);
        let kept = twice.filter(|(frame, _)| !discard || frame.len() <= max_bytes);
        Ok(Expected {
            what: Value::from(self.fields.clone()).to_string(),
            frames: kept
                .map(|(frame, len)| (frame[..frame.len().min(max_bytes)].to_vec(), *len))
                .take(packets)
                .collect(),
        })
    }
}

/// What each of the many tasks must take of a file of frames.
pub(super) fn expected(frames: &Path) -> Result<Vec<Expected>> {
    let tasks = many();
    let expected: Vec<_> = tasks
        .iter()
        .map(|task| task.expected(frames))
        .collect::<Result<_>>()?;
    let idle = expected
        .iter()
        .filter(|task| task.frames.is_empty())
        .count();
    ensure!(
        idle <= 6,
        "{idle} of {MANY} tasks meet no frame; other frames are needed"
    );
    Ok(expected)
}

/// The tasks for what the guest's stack sends, each to its own file `HOOK-NAME`.
fn live(hook: &str) -> Vec<Value> {
    let tasks = [
        ("icmp", json!({"protocol": "icmp", "ip": "10.77.0.0/24"})),
        ("icmp6", json!({"protocol": "icmp", "ip": "fd77::2"})),
        (
            "udp",
            json!({"protocol": "udp", "ip": "10.79.0.1", "ports": ["5000-5100"]}),
        ),
        (
            "tcp",
            json!({"protocol": "tcp", "ip": "10.77.0.2", "ports": ["8000-8100"], "peer_ip": "10.77.0.0/24"}),
        ),
    ];
    tasks
        .into_iter()
        .map(|(name, mut fields)| {
            fields["interfaces"] = json!(["v0"]);
            fields["hook"] = hook.into();
            fields["write"] = format!("{hook}-{name}.pcapng").into();
            fields
        })
        .collect()
}

/// The tasks during which the clock is set: one for so long, and one that rotates by time.
fn clock() -> Vec<Value> {
    let task = |name: &str| {
        json!({"name": name, "interfaces": ["v0"], "protocol": "icmp", "ip": "10.77.0.0/24",
        "write": format!("{name}.pcapng")})
    };
    let (mut timed, mut rotated) = (task("clock-duration"), task("clock-rotated"));
    timed["duration"] = 20.into();
    rotated["rotate"] = json!({"seconds": 2});
    vec![timed, rotated]
}

/// Writes the files of tasks: `live-HOOK.json`, `many-HOOK.json` and `clock.json`.
pub(super) fn write(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    for hook in HOOKS {
        let many = many().into_iter().enumerate().map(|(number, task)| {
            let mut fields = task.fields;
            fields.insert("interfaces".to_owned(), json!(["w0"]));
            fields.insert("hook".to_owned(), json!(hook));
            fields.insert("write".to_owned(), json!(format!("{number}.pcap")));
            Value::from(fields)
        });
        let many: Vec<Value> = many.collect();
        for (name, tasks) in [("many", many), ("live", live(hook))] {
            write_file(directory, &format!("{name}-{hook}"), &tasks)?;
        }
    }
    write_file(directory, "clock", &clock())
}

fn write_file(directory: &Path, name: &str, tasks: &[Value]) -> Result<()> {
    let file = directory.join(format!("{name}.json"));
    fs::write(&file, json!({ "tasks": tasks }).to_string())
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_sixty_four_different_tasks() {
        let tasks: BTreeSet<_> = many()
            .into_iter()
            .map(|task| Value::from(task.fields).to_string())
            .collect();
        assert_eq!(tasks.len(), MANY);
    }

    #[test]
    fn a_pair_is_met_either_way_round() {
        assert_eq!(
            pair(("10.0.0.1", "80"), ("10.2.0.0/16", "")),
            "(src host 10.0.0.1 and src port 80 and dst net 10.2.0.0/16) \
             or (dst host 10.0.0.1 and dst port 80 and src net 10.2.0.0/16)"
        );
    }
}
