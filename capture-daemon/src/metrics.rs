//! The daemon's figures in the text format of Prometheus (exposition format 0.0.4), read from the
//! kernel, the store and the disk when they are asked for. No label holds a task's name or an address.

use std::fmt::{self, Write as _};

use capture_common::Direction;
use capture_engine::{self as engine, InterfaceTotals};
use capture_task::task::Dropped;

use super::{store, tasks::Tasks};
use crate::error::Result;

/// All figures of this moment. Waits for the kernel and the store.
///
/// # Errors
/// The store cannot be read.
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
        head(
            f,
            "store_writable",
            "gauge",
            "Whether the database can be written, as of the last change: 1, or 0.",
        )?;
        let writable = u8::from(*is_writable);
        writeln!(f, "capture_agent_store_writable {writable}")?;
        head(
            f,
            "storage_bytes",
            "gauge",
            "Bytes of all captures on disk.",
        )?;
        writeln!(f, "capture_agent_storage_bytes {storage_bytes}")?;
        head(
            f,
            "ring_used_ratio",
            "gauge",
            "Part of the fullest ring between kernel and agent that is in use.",
        )?;
        writeln!(f, "capture_agent_ring_used_ratio {ring_used}")?;
        head(
            f,
            "build_info",
            "gauge",
            "Always 1; the labels say what runs.",
        )?;
        let version = Label(env!("CARGO_PKG_VERSION"));
        writeln!(f, "capture_agent_build_info{{version={version}}} 1")
    }
}

fn write_interfaces(f: &mut fmt::Formatter<'_>, interfaces: &[InterfaceTotals]) -> fmt::Result {
    head(
        f,
        "packets_total",
        "counter",
        "Packets on interfaces with tasks: seen by hooks, malformed among these, captured for some task.",
    )?;
    for total in interfaces {
        let outcomes = [
            ("seen", total.seen),
            ("malformed", total.malformed),
            ("captured", total.captured.packets),
        ];
        for (outcome, count) in outcomes {
            let labels = Labels { total, outcome };
            writeln!(f, "capture_agent_packets_total{labels} {count}")?;
        }
    }
    head(
        f,
        "bytes_total",
        "counter",
        "Bytes kept of captured packets.",
    )?;
    for total in interfaces {
        let outcome = "captured";
        let labels = Labels { total, outcome };
        let bytes = total.captured.bytes;
        writeln!(f, "capture_agent_bytes_total{labels} {bytes}")?;
    }
    Ok(())
}

fn write_dropped(f: &mut fmt::Formatter<'_>, dropped: Dropped) -> fmt::Result {
    head(
        f,
        "dropped_packets_total",
        "counter",
        "Packets that tasks lost, by the place where.",
    )?;
    let Dropped {
        ring,
        queue,
        write,
        copy,
    } = dropped;
    for (stage, count) in [
        ("ring", ring),
        ("queue", queue),
        ("write", write),
        ("copy", copy),
    ] {
        writeln!(
            f,
            "capture_agent_dropped_packets_total{{stage=\"{stage}\"}} {count}"
        )?;
    }
    Ok(())
}

fn write_tasks(f: &mut fmt::Formatter<'_>, tasks: &store::TaskTotals) -> fmt::Result {
    head(f, "tasks", "gauge", "Tasks that are known, by state.")?;
    for (state, count) in [
        ("pending", tasks.pending),
        ("running", tasks.running),
        ("stopping", tasks.stopping),
        ("completed", tasks.completed),
        ("failed", tasks.failed),
    ] {
        writeln!(f, "capture_agent_tasks{{state=\"{state}\"}} {count}")?;
    }
    Ok(())
}

fn head(f: &mut fmt::Formatter<'_>, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(f, "# HELP capture_agent_{name} {help}")?;
    writeln!(f, "# TYPE capture_agent_{name} {kind}")
}

/// The labels of a figure of an interface.
struct Labels<'a> {
    total: &'a InterfaceTotals,
    outcome: &'static str,
}

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, outcome } = self;
        let interface = Label(&total.name);
        let direction = match total.direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        write!(
            f,
            "{{interface={interface},direction=\"{direction}\",outcome=\"{outcome}\"}}"
        )
    }
}

/// A label's value, quoted: an interface may be called almost anything.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                char => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
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
