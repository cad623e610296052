//! The log of this process on standard error, as text for people or as JSON for programs. Each line has one record:
//! what comes from clients and packets can neither begin a line nor send a terminal control characters.

use std::{
    env,
    io::{self, IsTerminal as _, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use capture_task::{printable, task::rfc3339};
use capture_tasks::{config::LogFormat, log_queue::LogWriter};
use env_logger::Target;
use jiff::Timestamp;
use log::{
    Level, Record,
    kv::{Error, Key, Value, VisitSource, VisitValue},
};
use serde_json::{Map, Value as Json};

use super::{journal, progress};

/// What the daemon logs unless somebody says otherwise: what it does.
const OF_DAEMON: &str =
    "warn,capture_daemon=info,capture_engine=info,capture_store=info,capture_tasks=info";

/// The crates of the agent: `-v` is about them, and says nothing of what others log.
const OWN: [&str; 10] = [
    "capture_analysis",
    "capture_cli",
    "capture_daemon",
    "capture_engine",
    "capture_file",
    "capture_inspector",
    "capture_packet",
    "capture_store",
    "capture_task",
    "capture_tasks",
];

/// Whether lines are JSON, which the configuration of the daemon says.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Lines from now on have this format.
pub(super) fn set_format(format: LogFormat) {
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// Starts the log: warnings, and of the daemon what it does; with `-v` also what the agent does, with `-vv` how, with
/// `-vvv` all of it.
/// `CAPTURE_AGENT_LOG` says it in more detail, and alone makes other crates heard.
pub(super) fn start(verbose: u8, is_daemon: bool) {
    let destination = Destination {
        is_journal: journal::is_behind(io::stderr()),
        is_terminal: io::stderr().is_terminal(),
        is_daemon,
    };
    let mut builder = env_logger::Builder::new();
    if is_daemon {
        builder.target(Target::Pipe(Box::new(LogWriter)));
    }
    builder
        .parse_filters(&filter(verbose, is_daemon))
        .format(
            move |buffer, record| match IS_JSON.load(Ordering::Relaxed) {
                true => destination.write_json(buffer, record, Timestamp::now()),
                false => destination.write_text(buffer, record, Timestamp::now()),
            },
        )
        .init();
}

fn filter(verbose: u8, is_daemon: bool) -> String {
    let own = |level: &str| {
        let crates = OWN.iter();
        crates.fold("warn".to_owned(), |filter, name| {
            format!("{filter},{name}={level}")
        })
    };
    let default = if is_daemon { OF_DAEMON } else { "warn" };
    match verbose {
        0 => env::var("CAPTURE_AGENT_LOG").unwrap_or_else(|_| default.to_owned()),
        1 => own("info"),
        2 => own("debug"),
        _ => own("trace"),
    }
}

/// What lines are written to, and by whom.
#[derive(Clone, Copy, Debug)]
struct Destination {
    is_journal: bool,
    is_terminal: bool,
    is_daemon: bool,
}

impl Destination {
    fn write_text(self, to: &mut dyn Write, record: &Record<'_>, at: Timestamp) -> io::Result<()> {
        let level = word(record.level());
        let start = match self {
            Self {
                is_journal: true, ..
            } => journal::priority(record.level()).to_owned(),
            Self {
                is_daemon: true, ..
            } => format!("{} ", rfc3339(at)),
            // A log line takes the place of the progress line, which is drawn again below it.
            Self {
                is_terminal: true, ..
            } => progress::CLEAR_LINE.to_owned(),
            _ => String::new(),
        };
        let message = printable(&record.args().to_string());
        writeln!(to, "{start}capture-agent: {level}: {message}")
    }

    fn write_json(self, to: &mut dyn Write, record: &Record<'_>, at: Timestamp) -> io::Result<()> {
        let mut fields = Fields(Map::new());
        let _ = record.key_values().visit(&mut fields);
        let Fields(mut line) = fields;
        // Last, so that no field takes their place.
        for (name, value) in [
            ("time", rfc3339(at)),
            ("level", word(record.level()).to_owned()),
            ("target", record.target().to_owned()),
            ("message", printable(&record.args().to_string())),
        ] {
            line.insert(name.to_owned(), value.into());
        }
        let priority = match self.is_journal {
            true => journal::priority(record.level()),
            false => "",
        };
        writeln!(to, "{priority}{}", Json::Object(line))
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The fields of a record, for JSON.
struct Fields(Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut field = Field(Json::Null);
        value.visit(&mut field)?;
        self.0.insert(key.as_str().to_owned(), field.0);
        Ok(())
    }
}

/// One value. What is no number, truth or text is what it displays as.
struct Field(Json);

impl VisitValue<'_> for Field {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.0 = Json::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: Destination = Destination {
        is_journal: false,
        is_terminal: false,
        is_daemon: true,
    };

    /// A line about a client that would like to write one of its own.
    fn written(is_json: bool, destination: Destination) -> String {
        let at = "2026-03-01T08:00:00.25Z".parse().expect("a time");
        let fields: &[(&str, Value<'_>)] = &[
            ("name", Value::from("a\nb")),
            ("packets", Value::from(7_u64)),
            ("limit", Value::null()),
            ("level", Value::from("forged")),
        ];
        let mut line = Vec::new();
        let record = Record::builder()
            .level(Level::Warn)
            .target("capture_tasks::tasks")
            .key_values(&fields)
            .args(format_args!(
                "it is \u{1b}[31mred\ncapture-agent: error: forged"
            ))
            .build();
        let write = match is_json {
            true => Destination::write_json,
            false => Destination::write_text,
        };
        write(destination, &mut line, &record, at).expect("it is written");
        String::from_utf8(line).expect("UTF-8")
    }

    #[test]
    fn a_line_is_one_record_whatever_is_in_it() {
        let message = r"capture-agent: warning: it is \u{1b}[31mred\ncapture-agent: error: forged";
        assert_eq!(
            written(false, DAEMON),
            format!("2026-03-01T08:00:00.250Z {message}\n")
        );
        let journal = Destination {
            is_journal: true,
            ..DAEMON
        };
        assert_eq!(written(false, journal), format!("<4>{message}\n"));
        let command = Destination {
            is_daemon: false,
            ..DAEMON
        };
        assert_eq!(written(false, command), format!("{message}\n"));
    }

    #[test]
    fn json_has_the_fields_and_its_own_come_last() {
        let line = written(true, DAEMON);
        assert_eq!(line.lines().count(), 1, "{line}");
        let json: Json = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({
                "time": "2026-03-01T08:00:00.250Z",
                "level": "warning",
                "target": "capture_tasks::tasks",
                "message": "it is \\u{1b}[31mred\\ncapture-agent: error: forged",
                "name": "a\nb",
                "packets": 7,
                "limit": null,
            })
        );
    }

    #[test]
    fn more_is_said_of_the_agent_alone() {
        for (verbose, level) in [(1, "info"), (2, "debug"), (3, "trace")] {
            let filter = filter(verbose, false);
            let mut parts = filter.split(',');
            assert_eq!(parts.next(), Some("warn"));
            assert!(
                parts.all(|part| part.starts_with("capture_") && part.ends_with(level)),
                "{filter}"
            );
        }
    }
}
