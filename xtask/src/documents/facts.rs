//! What the source has that the documents must have: options, keys, metrics, words, fields, calls, variables.
//! Comes from [`source`](super::source) and [`command_line`](super::command_line);
//! [`reference`](super::reference) and [`named`](super::named) hold the pages to it.

use std::fs;

use anyhow::{Context as _, Result};

use super::{
    command_line::{CommandLine, every_option},
    source::{Names, Source},
};
use crate::workspace;

/// Crates of the product whose environment variables are its user's.
const CRATES: [&str; 10] = [
    "capture-task",
    "capture-file",
    "capture-engine",
    "capture-inspector",
    "capture-store",
    "capture-tasks",
    "capture-daemon",
    "capture-report",
    "capture-client",
    "capture-cli",
];

/// A table: the page, the section (the whole page where there is none), what a row is about, what the source has.
pub(super) struct Table {
    pub(super) page: &'static str,
    pub(super) section: Option<&'static str>,
    pub(super) what: &'static str,
    pub(super) source: Names,
}

/// What the source has.
pub(super) struct Facts {
    pub(super) agent: CommandLine,
    /// Options of the commands for developers.
    pub(super) developers: Names,
    pub(super) configuration: Names,
    pub(super) metrics: Names,
    pub(super) variables: Names,
    pub(super) tables: Vec<Table>,
}

impl Facts {
    /// Reads the source.
    pub(super) fn read() -> Result<Self> {
        let sources: Vec<_> = CRATES
            .iter()
            .map(|name| Source::of(name))
            .collect::<Result<_>>()?;
        let of = |name: &str| {
            let mut named = CRATES.iter().zip(&sources);
            let found = named.find(|(it, _)| **it == name);
            let found = found.with_context(|| format!("{name} is not in the list of crates"));
            found.map(|(_, source)| source)
        };
        let (task, agent) = (of("capture-task")?, of("capture-cli")?);
        let agent_line = CommandLine::of(agent).context("reading the command line of the agent")?;
        let mut variables = agent_line.variables.clone();
        for source in &sources {
            variables.extend(source.variables()?);
        }
        let mut developers = Names::new();
        for name in ["xtask", "bench"] {
            let options = every_option(&Source::of(name)?);
            developers.extend(options.with_context(|| format!("reading the options of {name}"))?);
        }
        let mut facts = Self {
            agent: agent_line,
            developers,
            configuration: of("capture-tasks")?.configuration()?,
            metrics: of("capture-daemon")?.metrics()?,
            variables,
            tables: Vec::new(),
        };
        facts.tables = facts.tables(task, agent)?;
        Ok(facts)
    }

    fn tables(&self, task: &Source, agent: &Source) -> Result<Vec<Table>> {
        const TASK: &str = "docs/reference/task.md";
        let below = |name: &str, source: Names| {
            let names = source.into_iter();
            names
                .map(|field| format!("{name}.{field}"))
                .collect::<Names>()
        };
        let mut fields = task.fields("TaskSpec")?;
        fields.extend(below("rotate", task.fields("RotateSpec")?));
        let mut counters = task.fields("Counters")?;
        counters.remove("dropped");
        counters.extend(below("dropped", task.fields("Dropped")?));
        let table = |page, section, what, source| Table {
            page,
            section,
            what,
            source,
        };
        Ok(vec![
            table(TASK, Some("States"), "state", task.variants("State")?),
            table(
                TASK,
                Some("Stop reasons"),
                "stop reason",
                task.variants("StopReason")?,
            ),
            table(TASK, Some("Fields"), "field", fields),
            table(TASK, Some("Record"), "field", task.fields("TaskRecord")?),
            table(
                TASK,
                Some("Files of a record"),
                "field",
                task.fields("FileRecord")?,
            ),
            table(
                "docs/reference/accounting.md",
                Some("Counters"),
                "counter",
                counters,
            ),
            table(
                "docs/reference/exit-codes.md",
                None,
                "exit code",
                agent.discriminants("Exit")?,
            ),
            table(
                "docs/reference/metrics.md",
                Some("Metrics"),
                "metric",
                self.metrics.clone(),
            ),
            table(
                "docs/reference/environment.md",
                None,
                "variable",
                self.variables.clone(),
            ),
            table("docs/reference/api.md", Some("Calls"), "call", calls()?),
            table(
                "docs/reference/faults.md",
                None,
                "reason",
                task.variants("FaultKind")?,
            ),
        ])
    }

    /// A small product.
    #[cfg(test)]
    pub(super) fn of_a_small_product() -> Self {
        const COMMANDS: &str = r#"
        #[derive(Parser)]
        struct Root { #[command(subcommand)] command: Command }
        #[derive(Subcommand)]
        enum Command { Run(Run) }
        #[derive(Args)]
        struct Run { #[arg(short, long)] write: String, #[arg(long)] tasks: bool }
    "#;

        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            agent: CommandLine::of(&Source::parse(COMMANDS)).expect("it is understood"),
            developers: names(&["--kernels"]),
            configuration: names(&["http.listen"]),
            metrics: names(&["capture_agent_x_total"]),
            variables: names(&["CAPTURE_AGENT_SOCKET"]),
            tables: vec![Table {
                page: "docs/reference/task.md",
                section: Some("States"),
                what: "state",
                source: names(&["pending", "running"]),
            }],
        }
    }
}

/// The calls of the API, by its OpenAPI document, which a test holds to the source.
fn calls() -> Result<Names> {
    const PREFIX: &str = "/api/v1";
    let path = workspace::root().join("capture-daemon/src/api/openapi.json");
    let text = fs::read_to_string(&path).with_context(|| workspace::shown(&path))?;
    let document: serde_json::Value =
        serde_json::from_str(&text).with_context(|| workspace::shown(&path))?;
    let paths = document["paths"]
        .as_object()
        .context("the document has no paths")?;
    let calls = paths.iter().flat_map(|(path, methods)| {
        let methods = methods
            .as_object()
            .into_iter()
            .flat_map(|methods| methods.keys());
        let path = path.strip_prefix(PREFIX).unwrap_or(path);
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    Ok(calls.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_understood() {
        let facts = Facts::read().expect("it is read");
        assert!(
            facts.agent.commands["task create"]
                .options
                .contains("--idempotency-key")
        );
        assert!(
            !facts.agent.commands["task create"]
                .options
                .contains("--netns")
        );
        assert!(facts.developers.contains("--kernels"));
        assert!(facts.configuration.contains("limits.retention"));
        assert!(facts.metrics.contains("capture_agent_tasks"));
        assert!(facts.variables.contains("CAPTURE_AGENT_LOG"));
        assert!(facts.tables.iter().all(|table| table.source.len() > 3));
    }
}
