//! Responses to signals: log the figures of the tasks, flush their files.

use capture_task::{plan::Keyword as _, task::Counters};

use super::{inner::lock, service::Tasks};

impl Tasks {
    /// Logs a line with the figures of each task that runs, and one with those of all tasks since the start.
    /// Waits for the kernel.
    pub fn log_figures(&self) {
        let inner = &self.0;
        let figures = inner.figures();
        let (mut running, waiting) = {
            let table = lock(&inner.table);
            (table.names_on_engine(), table.waiting())
        };
        running.sort();
        for (id, name) in &running {
            // It may have come to the engine, or left it, just now.
            let counters = figures.get(id).map(|(counters, _)| *counters);
            log::info!("task {id} {name:?}: {}", text(counters.unwrap_or_default()));
        }
        let run = match running.len() {
            0 => "no task is running".to_owned(),
            1 => "1 task is running".to_owned(),
            count => format!("{count} tasks are running"),
        };
        let sum = inner.engine.get().map(|engine| engine.sum());
        log::info!(
            "{run}, {waiting} waiting; all since the start: {}",
            text(sum.unwrap_or_default())
        );
    }

    /// Has what the tasks have captured until now written to their files.
    pub fn flush(&self) {
        if let Some(engine) = self.0.engine.get() {
            engine.flush();
        }
    }
}

/// Figures in the words of the closing table, with plain numbers, as befits a log. Those that are 0 are left out.
fn text(counters: Counters) -> String {
    let Counters {
        undecided: _,
        matched,
        captured,
        bytes,
        oversize_discarded,
        over_limit,
        dropped,
    } = counters;
    let mut text = format!("matched {matched}, captured {captured} ({bytes} bytes)");
    for (count, what) in [(oversize_discarded, "too long"), (over_limit, "over limit")] {
        if count > 0 {
            text.push_str(&format!(", {what} {count}"));
        }
    }
    text.push_str(&format!(", lost {}", dropped.total()));
    let stages: Vec<_> = dropped
        .stages()
        .filter(|(_, count)| *count > 0)
        .map(|(stage, count)| format!("{} {count}", stage.keyword()))
        .collect();
    if !stages.is_empty() {
        text.push_str(&format!(" ({})", stages.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_in_a_line() {
        let mut counters = Counters {
            matched: 1036,
            captured: 1034,
            bytes: 3300,
            over_limit: 2,
            ..Counters::default()
        };
        assert_eq!(
            text(counters),
            "matched 1036, captured 1034 (3300 bytes), over limit 2, lost 0"
        );
        counters.matched += 7;
        counters.dropped.queue = 4;
        counters.dropped.copy = 3;
        assert_eq!(
            text(counters),
            "matched 1043, captured 1034 (3300 bytes), over limit 2, lost 7 (queue 4, copy 3)"
        );
    }
}
