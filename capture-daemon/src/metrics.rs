//! Metrics in the Prometheus text format (0.0.4), read from the kernel, the store and the disk on each scrape. No
//! label holds a task's name or an address.

use std::fmt;

use capture_common::Direction;
use capture_engine::{self as engine, InterfaceTotals};
use capture_task::task::Dropped;

use super::{store, tasks::Tasks};
use crate::error::Result;

/// All figures of this moment. Waits for the kernel and the store.
pub(super) fn scrape(tasks: &Tasks) -> Result<String> {
    let figures = Scrape {
        tasks: tasks.totals()?,
        is_writable: tasks.store().is_writable(),
        storage_bytes: tasks.stored_bytes(),
        engine: tasks.engine_stats(),
    };
    Ok(figures.to_string())
}

/// What is shown.
struct Scrape {
    tasks: store::TaskTotals,
    is_writable: bool,
    storage_bytes: u64,
    /// Nothing before the first task.
    engine: Option<engine::EngineStats>,
}

impl fmt::Display for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tasks,
            is_writable,
            storage_bytes,
            engine,
        } = self;
        let none = engine::EngineStats {
            dropped: Dropped::default(),
            interfaces: Vec::new(),
            ring_used: 0.0,
        };
        let engine::EngineStats {
            dropped,
            interfaces,
            ring_used,
        } = engine.as_ref().unwrap_or(&none);
        write_interfaces(f, interfaces)?;
        write_dropped(f, *dropped)?;
        write_tasks(f, tasks)?;
        let help = "Whether the database can be written, as of the last change: 1, or 0.";
        write_gauge(
            f,
            "capture_agent_store_writable",
            help,
            u8::from(*is_writable),
        )?;
        let help = "Bytes of all captures on disk.";
        write_gauge(f, "capture_agent_storage_bytes", help, storage_bytes)?;
        let help = "Part of the fullest ring between kernel and agent that is in use.";
        write_gauge(f, "capture_agent_ring_used_ratio", help, ring_used)?;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let help = "Always 1; the labels say what runs.";
        write_family(
            f,
            "capture_agent_build_info",
            "gauge",
            help,
            [(labels(&version), 1)],
        )
    }
}

fn write_interfaces(f: &mut fmt::Formatter<'_>, interfaces: &[InterfaceTotals]) -> fmt::Result {
    let labels = |total: &InterfaceTotals, outcome| {
        let direction = match total.direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        labels(&[
            ("interface", &total.name),
            ("direction", direction),
            ("outcome", outcome),
        ])
    };
    let packets = interfaces.iter().flat_map(|total| {
        let outcomes = [
            ("seen", total.seen),
            ("malformed", total.malformed),
            ("captured", total.captured.packets),
        ];
        outcomes.map(|(outcome, count)| (labels(total, outcome), count))
    });
    let help = "Packets on interfaces with tasks: seen by hooks, malformed among these, captured for some task.";
    write_family(f, "capture_agent_packets_total", "counter", help, packets)?;
    let bytes = interfaces.iter();
    let bytes = bytes.map(|total| (labels(total, "captured"), total.captured.bytes));
    let help = "Bytes kept of captured packets.";
    write_family(f, "capture_agent_bytes_total", "counter", help, bytes)
}

fn write_dropped(f: &mut fmt::Formatter<'_>, dropped: Dropped) -> fmt::Result {
    let Dropped {
        ring,
        queue,
        write,
        copy,
    } = dropped;
    let stages = [
        ("ring", ring),
        ("queue", queue),
        ("write", write),
        ("copy", copy),
    ];
    let stages = stages.map(|(stage, count)| (labels(&[("stage", stage)]), count));
    let help = "Packets that tasks lost, by the place where.";
    write_family(
        f,
        "capture_agent_dropped_packets_total",
        "counter",
        help,
        stages,
    )
}

fn write_tasks(f: &mut fmt::Formatter<'_>, tasks: &store::TaskTotals) -> fmt::Result {
    let states = [
        ("pending", tasks.pending),
        ("running", tasks.running),
        ("stopping", tasks.stopping),
        ("completed", tasks.completed),
        ("failed", tasks.failed),
    ];
    let states = states.map(|(state, count)| (labels(&[("state", state)]), count));
    let help = "Tasks that are known, by state.";
    write_family(f, "capture_agent_tasks", "gauge", help, states)
}

fn write_gauge(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    write_family(f, name, "gauge", help, [(String::new(), value)])
}

/// A family of metrics: its head, and a line for each set of labels.
fn write_family<V: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    kind: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, V)>,
) -> fmt::Result {
    writeln!(f, "# HELP {name} {help}")?;
    writeln!(f, "# TYPE {name} {kind}")?;
    for (labels, value) in samples {
        writeln!(f, "{name}{labels} {value}")?;
    }
    Ok(())
}

/// Labels in braces, their values escaped: an interface may be called almost anything.
fn labels(labels: &[(&str, &str)]) -> String {
    let labels = labels.iter().map(|(name, value)| {
        let value = value.replace('\\', "\\\\");
        let value = value.replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    format!("{{{}}}", labels.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use capture_engine::Volume;

    use super::*;

    #[test]
    fn every_figure_of_the_contract() {
        let interface = InterfaceTotals {
            name: "a\"\\b".to_owned(),
            direction: Direction::Ingress,
            seen: 10,
            malformed: 1,
            captured: Volume {
                packets: 5,
                bytes: 500,
            },
        };
        let figures = Scrape {
            tasks: store::TaskTotals {
                running: 2,
                ..store::TaskTotals::default()
            },
            is_writable: true,
            storage_bytes: 4096,
            engine: Some(engine::EngineStats {
                dropped: Dropped {
                    ring: 7,
                    ..Dropped::default()
                },
                interfaces: vec![interface],
                ring_used: 0.25,
            }),
        };
        let text = figures.to_string();
        for line in [
            r#"capture_agent_packets_total{interface="a\"\\b",direction="ingress",outcome="seen"} 10"#,
            r#"capture_agent_packets_total{interface="a\"\\b",direction="ingress",outcome="captured"} 5"#,
            r#"capture_agent_bytes_total{interface="a\"\\b",direction="ingress",outcome="captured"} 500"#,
            r#"capture_agent_dropped_packets_total{stage="ring"} 7"#,
            r#"capture_agent_dropped_packets_total{stage="copy"} 0"#,
            "capture_agent_store_writable 1",
            r#"capture_agent_tasks{state="running"} 2"#,
            "capture_agent_storage_bytes 4096",
            "capture_agent_ring_used_ratio 0.25",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
        assert!(text.contains("capture_agent_build_info{version=\""));
        let is_whole = |line: &str| line.starts_with('#') || line.starts_with("capture_agent_");
        assert!(text.ends_with('\n') && text.lines().all(is_whole));
    }
}
