//! Metrics in the Prometheus text format (0.0.4), read from the kernel, the store and the disk on each scrape. No
//! label holds a task's name or an address, and values of a label are disjoint, so that they can be summed.

mod process;
mod text;

use std::{
    fmt::{self, Formatter},
    sync::Arc,
    time::Duration,
};

use capture_common::Direction;
use capture_engine::{self as engine, InterfaceTotals};
use capture_file::DiskSpace;
use capture_store::{QuotaRules, QuotaUse, TaskTotals};
use capture_task::{plan::Keyword as _, task::Dropped};
use capture_tasks::log_queue;

use self::{
    process::Process,
    text::{family, label, labels},
};
use super::{
    api::{About, StatusCounts, Writable},
    tasks::{AnalysisFigures, TaskCounts, Tasks},
};
use crate::error::Result;

/// The parts of the daemon that are asked.
pub(super) struct Daemon {
    pub(super) tasks: Tasks,
    pub(super) quota: QuotaRules,
    pub(super) about: About,
    pub(super) answers: Arc<StatusCounts>,
    pub(super) writable: Writable,
    /// Seconds since 1970.
    pub(super) certificate_expiry: Option<u64>,
}

/// All figures of this moment. Waits for the kernel and the store.
pub(super) fn scrape(daemon: &Daemon) -> Result<String> {
    let Daemon {
        tasks,
        quota,
        about,
        answers,
        writable,
        certificate_expiry,
    } = daemon;
    let figures = Scrape {
        engine: tasks.engine_stats(),
        tasks: tasks.totals()?,
        counts: tasks.counts(),
        longest_wait: tasks.longest_wait(),
        storage: Storage {
            used: tasks.stored_bytes(),
            budget: tasks.disk_budget(),
            disk: tasks.disk(),
            writable: *writable,
        },
        quota: tasks.store().quota_use(quota)?,
        analyses: tasks.analysis_figures(),
        answers: answers.counts().into_iter().collect(),
        certificate_expiry: *certificate_expiry,
        about: *about,
        log_dropped: log_queue::dropped(),
        process: Process::now(about.started_at),
    };
    Ok(figures.to_string())
}

/// What is shown.
struct Scrape {
    /// Nothing before the first task.
    engine: Option<engine::EngineStats>,
    tasks: TaskTotals,
    counts: TaskCounts,
    longest_wait: Duration,
    storage: Storage,
    quota: QuotaUse,
    analyses: AnalysisFigures,
    /// By status.
    answers: Vec<(u16, u64)>,
    certificate_expiry: Option<u64>,
    about: About,
    log_dropped: u64,
    process: Process,
}

/// Where captures and records go.
struct Storage {
    used: u64,
    budget: u64,
    disk: Option<DiskSpace>,
    writable: Writable,
}

impl fmt::Display for Scrape {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let none = engine::EngineStats {
            dropped: Dropped::default(),
            interfaces: Vec::new(),
            ring_used: 0.0,
        };
        write_engine(f, self.engine.as_ref().unwrap_or(&none))?;
        self.write_tasks(f)?;
        self.write_storage(f)?;
        write_quota(f, &self.quota)?;
        write_analyses(f, self.analyses)?;
        self.write_api(f)?;
        let About {
            version, commit, ..
        } = self.about;
        let build = labels(&[("version", version), ("commit", commit)]);
        family(
            "capture_agent_build_info",
            "Always 1; the labels say what runs.",
        )
        .gauge(f, [(build, 1)])?;
        family(
            "capture_agent_log_dropped_lines_total",
            "Lines of the log that standard error did not take.",
        )
        .counter_of(f, self.log_dropped)?;
        self.process.write(f)
    }
}

fn write_engine(f: &mut Formatter<'_>, stats: &engine::EngineStats) -> fmt::Result {
    let engine::EngineStats {
        dropped,
        interfaces,
        ring_used,
    } = stats;
    let by_interface = |figure: fn(&InterfaceTotals) -> u64, outcome: Option<&'static str>| {
        let interfaces = interfaces.iter();
        interfaces.map(move |total| (interface_labels(total, outcome), figure(total)))
    };
    family(
        "capture_agent_seen_packets_total",
        "Frames that passed hooks, on interfaces with tasks.",
    )
    .counter(f, by_interface(|total| total.seen, None))?;
    family(
        "capture_agent_malformed_packets_total",
        "Frames among the seen that were too short, or had too many headers, to decide a criterion on.",
    )
    .counter(f, by_interface(|total| total.malformed, None))?;
    let captured = Some("captured");
    family(
        "capture_agent_packets_total",
        "Packets that reached the agent for some task, each once.",
    )
    .counter(f, by_interface(|total| total.captured.packets, captured))?;
    family(
        "capture_agent_bytes_total",
        "Bytes kept of captured packets.",
    )
    .counter(f, by_interface(|total| total.captured.bytes, captured))?;
    let stages = dropped.stages();
    family(
        "capture_agent_dropped_packets_total",
        "Packets that tasks lost, by the place where.",
    )
    .counter(
        f,
        stages.map(|(stage, count)| (label("stage", stage.keyword()), count)),
    )?;
    family(
        "capture_agent_ring_used_ratio",
        "Part of the fullest ring between kernel and agent that is in use.",
    )
    .gauge_of(f, ring_used)
}

fn interface_labels(total: &InterfaceTotals, outcome: Option<&str>) -> String {
    let direction = match total.direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    };
    let mut names = vec![("interface", total.name.as_str()), ("direction", direction)];
    names.extend(outcome.map(|outcome| ("outcome", outcome)));
    labels(&names)
}

impl Scrape {
    fn write_tasks(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tasks = self.tasks;
        let states = [
            ("pending", tasks.pending),
            ("running", tasks.running),
            ("stopping", tasks.stopping),
            ("completed", tasks.completed),
            ("failed", tasks.failed),
        ];
        family("capture_agent_tasks", "Tasks that are known, by state.").gauge(
            f,
            states.map(|(state, count)| (label("state", state), count)),
        )?;
        let TaskCounts {
            created,
            downloads,
            ended,
        } = &self.counts;
        family("capture_agent_tasks_created_total", "Tasks created.").counter_of(f, created)?;
        family(
            "capture_agent_tasks_ended_total",
            "Tasks that ended, by the reason.",
        )
        .counter(
            f,
            ended
                .iter()
                .map(|(reason, count)| (label("reason", reason.keyword()), *count)),
        )?;
        family(
            "capture_agent_oldest_pending_seconds",
            "How long the pending task waits that has waited longest since its time came.",
        )
        .gauge_of(f, self.longest_wait.as_secs_f64())?;
        family(
            "capture_agent_downloads_total",
            "Answers with a file of a task, or a part of one.",
        )
        .counter_of(f, downloads)
    }

    fn write_storage(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Storage {
            used,
            budget,
            disk,
            writable,
        } = &self.storage;
        family(
            "capture_agent_storage_bytes",
            "Bytes of all captures on disk.",
        )
        .gauge_of(f, used)?;
        family(
            "capture_agent_storage_reserved_bytes",
            "Most bytes that tasks may write which have not ended.",
        )
        .gauge_of(f, self.tasks.reserved_bytes)?;
        family(
            "capture_agent_storage_budget_bytes",
            "Most bytes of all captures, limits.disk_budget.",
        )
        .gauge_of(f, budget)?;
        if let Some(DiskSpace { total, free, .. }) = disk {
            family(
                "capture_agent_filesystem_free_bytes",
                "Bytes free for the daemon on the file system of the captures.",
            )
            .gauge_of(f, free)?;
            family("capture_agent_filesystem_size_bytes", "Its size.").gauge_of(f, total)?;
        }
        family(
            "capture_agent_store_writable",
            "Whether the database can be written, as of a try: 1, or 0.",
        )
        .gauge_of(f, u8::from(writable.database))?;
        family(
            "capture_agent_captures_writable",
            "Whether the directory of captures can be written, as of a try: 1, or 0.",
        )
        .gauge_of(f, u8::from(writable.captures))
    }

    fn write_api(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let answers = self.answers.iter();
        family(
            "capture_agent_http_requests_total",
            "Answers of the API, by status.",
        )
        .counter(
            f,
            answers.map(|(code, count)| (label("code", &code.to_string()), *count)),
        )?;
        if let Some(expiry) = self.certificate_expiry {
            family(
                "capture_agent_tls_certificate_expiry_timestamp_seconds",
                "When the first certificate of the chain expires, seconds since 1970.",
            )
            .gauge_of(f, expiry)?;
        }
        Ok(())
    }
}

fn write_quota(f: &mut Formatter<'_>, quota: &QuotaUse) -> fmt::Result {
    let QuotaUse {
        limit,
        used,
        resets_at,
    } = quota;
    family(
        "capture_agent_quota_used_tasks",
        "Tasks created today, by accounts that created any.",
    )
    .gauge(
        f,
        used.iter()
            .map(|(account, count)| (label("account", account), *count)),
    )?;
    let limit = limit.map_or_else(|| "+Inf".to_owned(), |limit| limit.to_string());
    family(
        "capture_agent_quota_limit_tasks",
        "Tasks a day and account; +Inf is no limit.",
    )
    .gauge_of(f, limit)?;
    family(
        "capture_agent_quota_reset_timestamp_seconds",
        "When the next day of the quota begins, seconds since 1970.",
    )
    .gauge_of(f, resets_at.as_second())
}

fn write_analyses(f: &mut Formatter<'_>, analyses: AnalysisFigures) -> fmt::Result {
    let AnalysisFigures {
        waiting,
        running,
        done,
        failed,
        skipped,
    } = analyses;
    let states = [("waiting", waiting), ("running", running)];
    family(
        "capture_agent_analyses",
        "Analyses of tasks' files, by state.",
    )
    .gauge(
        f,
        states.map(|(state, count)| (label("state", state), count)),
    )?;
    let outcomes = [("done", done), ("failed", failed), ("skipped", skipped)];
    family(
        "capture_agent_analyses_total",
        "Analyses that came to an end, or were left out as too many waited.",
    )
    .counter(
        f,
        outcomes.map(|(outcome, count)| (label("outcome", outcome), count)),
    )
}

#[cfg(test)]
mod tests {
    use capture_engine::Volume;
    use capture_task::task::StopReason;

    use super::*;

    fn engine() -> engine::EngineStats {
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
        engine::EngineStats {
            dropped: Dropped {
                ring: 7,
                ..Dropped::default()
            },
            interfaces: vec![interface],
            ring_used: 0.25,
        }
    }

    fn figures() -> Scrape {
        let about = About::now("0123abc");
        Scrape {
            engine: Some(engine()),
            tasks: TaskTotals {
                running: 2,
                reserved_bytes: 700,
                ..TaskTotals::default()
            },
            counts: TaskCounts {
                created: 9,
                downloads: 3,
                ended: vec![(StopReason::DiskFull, 4)],
            },
            longest_wait: Duration::from_millis(1500),
            storage: Storage {
                used: 4096,
                budget: 8192,
                disk: None,
                writable: Writable {
                    database: true,
                    captures: false,
                },
            },
            quota: QuotaUse {
                limit: None,
                used: vec![("ci".to_owned(), 6)],
                resets_at: "2026-03-02T00:00:00Z".parse().expect("a time"),
            },
            analyses: AnalysisFigures {
                running: 1,
                failed: 3,
                ..AnalysisFigures::default()
            },
            answers: vec![(200, 12)],
            certificate_expiry: Some(1_800_000_000),
            process: Process::now(about.started_at),
            about,
            log_dropped: 8,
        }
    }

    #[test]
    fn every_figure_of_the_contract() {
        let text = figures().to_string();
        for line in [
            r#"capture_agent_seen_packets_total{interface="a\"\\b",direction="ingress"} 10"#,
            r#"capture_agent_malformed_packets_total{interface="a\"\\b",direction="ingress"} 1"#,
            r#"capture_agent_packets_total{interface="a\"\\b",direction="ingress",outcome="captured"} 5"#,
            r#"capture_agent_bytes_total{interface="a\"\\b",direction="ingress",outcome="captured"} 500"#,
            r#"capture_agent_dropped_packets_total{stage="ring"} 7"#,
            r#"capture_agent_dropped_packets_total{stage="copy"} 0"#,
            "capture_agent_ring_used_ratio 0.25",
            r#"capture_agent_tasks{state="running"} 2"#,
            "capture_agent_tasks_created_total 9",
            r#"capture_agent_tasks_ended_total{reason="disk_full"} 4"#,
            "capture_agent_oldest_pending_seconds 1.5",
            "capture_agent_downloads_total 3",
            "capture_agent_storage_bytes 4096",
            "capture_agent_storage_reserved_bytes 700",
            "capture_agent_storage_budget_bytes 8192",
            "capture_agent_log_dropped_lines_total 8",
            "capture_agent_store_writable 1",
            "capture_agent_captures_writable 0",
            r#"capture_agent_quota_used_tasks{account="ci"} 6"#,
            "capture_agent_quota_limit_tasks +Inf",
            "capture_agent_quota_reset_timestamp_seconds 1772409600",
            r#"capture_agent_analyses{state="running"} 1"#,
            r#"capture_agent_analyses_total{outcome="failed"} 3"#,
            r#"capture_agent_http_requests_total{code="200"} 12"#,
            "capture_agent_tls_certificate_expiry_timestamp_seconds 1800000000",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
        let build = concat!(
            "capture_agent_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\",commit=\"0123abc\"} 1\n"
        );
        assert!(text.contains(build), "{text}");
        let is_whole = |line: &str| {
            line.starts_with('#')
                || line.starts_with("capture_agent_")
                || line.starts_with("process_")
        };
        assert!(text.ends_with('\n') && text.lines().all(is_whole));
    }
}
