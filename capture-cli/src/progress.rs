//! The progress line of a foreground capture, rewritten in place on a terminal: elapsed of limit,
//! packets, bytes, rate, drops.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use capture_task::{bytes_text, count_text, task::Counters};

use super::report::duration_text;

/// Carriage return and "erase to the end of the line".
pub(super) const CLEAR_LINE: &str = "\r\x1b[K";

/// Columns of the `^C` that a terminal shows behind the line.
const INTERRUPT: usize = 2;

/// Least time over which a rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// A progress line.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    color: bool,
    started: Instant,
    limit: Option<Duration>,
    window: (Instant, u64),
    rate: u64,
}

impl Progress {
    /// A line for a capture that has just started; draws nothing where stderr is no terminal.
    pub(super) fn new(quiet: bool, started: Instant, limit: Option<Duration>) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            is_shown: !quiet && !is_dumb && io::stderr().is_terminal(),
            color: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            started,
            limit,
            window: (started, 0),
            rate: 0,
        }
    }

    /// How often it should be drawn.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(if self.is_shown { 200 } else { 1000 })
    }

    /// Draws it over its previous state; `running` is how many of several tasks still run.
    pub(super) fn draw(&mut self, counters: &Counters, running: Option<usize>) {
        if !self.is_shown {
            return;
        }
        let columns = terminal_size::terminal_size_of(io::stderr())
            .map_or(80, |(terminal_size::Width(columns), _)| {
                usize::from(columns)
            });
        let line = self.line(Instant::now(), counters, running, columns);
        // In one piece, as a terminal may show what it has at any time.
        let line = format!("{CLEAR_LINE}{line}");
        let mut stderr = io::stderr().lock();
        let _ = stderr
            .write_all(line.as_bytes())
            .and_then(|()| stderr.flush());
    }

    /// Whether there is a terminal to draw on.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// The same as text, for what is no terminal.
    pub(super) fn plain(&mut self, counters: &Counters) -> String {
        self.color = false;
        self.line(Instant::now(), counters, None, usize::MAX)
    }

    /// Takes it away.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "{CLEAR_LINE}").and_then(|()| stderr.flush());
        }
    }

    /// The line, always narrower than the terminal: a line that wraps cannot be rewritten.
    fn line(
        &mut self,
        now: Instant,
        counters: &Counters,
        running: Option<usize>,
        columns: usize,
    ) -> String {
        let (since, captured) = self.window;
        let passed = now.saturating_duration_since(since);
        if passed >= RATE_WINDOW {
            let packets = counters.captured.saturating_sub(captured);
            self.rate = (packets as f64 / passed.as_secs_f64()).round() as u64;
            self.window = (now, counters.captured);
        }
        let elapsed = Duration::from_secs(now.saturating_duration_since(self.started).as_secs());
        let limit = self
            .limit
            .map(|limit| format!(" of {}", duration_text(limit)));
        let lost = counters.dropped.total();
        let mut line = format!(
            "{}{}  {} packets  {}  {}/s  {} lost{}",
            duration_text(elapsed),
            limit.unwrap_or_default(),
            count_text(counters.captured),
            bytes_text(counters.bytes),
            count_text(self.rate),
            count_text(lost),
            running
                .map(|running| format!("  {running} running"))
                .unwrap_or_default(),
        );
        // All of it is ASCII.
        line.truncate(columns.saturating_sub(1 + INTERRUPT));
        if lost > 0 && self.color {
            format!("\x1b[31m{line}\x1b[0m")
        } else {
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use capture_task::task::Dropped;

    use super::*;

    fn progress(started: Instant) -> Progress {
        Progress {
            is_shown: true,
            color: true,
            started,
            limit: Some(Duration::from_secs(90)),
            window: (started, 0),
            rate: 0,
        }
    }

    #[test]
    fn line_with_rate() {
        let started = Instant::now();
        let counters = Counters {
            captured: 12_000,
            bytes: 3_400_000,
            ..Counters::default()
        };
        let mut progress = progress(started);
        let line = progress.line(started + Duration::from_millis(2_000), &counters, None, 80);
        assert_eq!(line, "2s of 1m30s  12,000 packets  3.4 MB  6,000/s  0 lost");
        let line = progress.line(started + Duration::from_millis(2_200), &counters, None, 80);
        assert_eq!(line, "2s of 1m30s  12,000 packets  3.4 MB  6,000/s  0 lost");
    }

    #[test]
    fn line_of_several_tasks() {
        let started = Instant::now();
        let line = progress(started).line(started, &Counters::default(), Some(3), 80);
        assert_eq!(line, "0s of 1m30s  0 packets  0 B  0/s  0 lost  3 running");
    }

    #[test]
    fn line_is_narrower_than_the_terminal() {
        let started = Instant::now();
        for columns in 0..100 {
            let line = progress(started).line(started, &Counters::default(), Some(64), columns);
            assert!(line.len() < columns.max(1));
        }
    }

    #[test]
    fn losses_are_red() {
        let started = Instant::now();
        let dropped = Dropped {
            ring: 7,
            ..Dropped::default()
        };
        let counters = Counters {
            dropped,
            ..Counters::default()
        };
        let mut progress = progress(started);
        let line = progress.line(started, &counters, None, 80);
        assert!(
            line.starts_with("\x1b[31m") && line.ends_with("7 lost\x1b[0m"),
            "{line:?}"
        );
        progress.color = false;
        assert!(!progress.line(started, &counters, None, 80).contains('\x1b'));
    }
}
