//! The layer rules of the product, as checks: which crate may depend on which, what the lower ones do
//! without, that no files of a crate import each other in a circle, and how large a crate may be. `ARCHITECTURE.md`
//! says why.

mod circles;
mod size;
mod source;

use anyhow::{Context as _, Result, bail};

use self::source::Crate;
pub(crate) use self::source::is_test;
use crate::{command, workspace};

/// The crates of the product that run in user space, lowest first. Each may depend on those above it in
/// this list, and on no other.
const LAYERS: [&str; 17] = [
    "capture-common",
    "capture-task",
    "capture-file",
    "capture-engine",
    "capture-packet",
    "capture-detect",
    "capture-protocols",
    "capture-analysis",
    "capture-inspector",
    "capture-store",
    "capture-tasks",
    "capture-report",
    "capture-client",
    "capture-cli",
    "capture-console",
    "capture-daemon",
    "capture-agent",
];

/// Crates by which packets come in and findings go out, and which what looks at packets does without.
const DOING_IO: &[&str] = &[
    "aya",
    "axum",
    "capture-engine",
    "capture-file",
    "clap",
    "hyper",
    "nix",
    "rusqlite",
    "tokio",
];

/// Crates that a layer must not bring in, not even through others.
const WITHOUT: [(&str, &[&str]); 15] = [
    (
        "capture-task",
        &["aya", "axum", "clap", "hyper", "nix", "rusqlite", "tokio"],
    ),
    (
        "capture-file",
        &["aya", "axum", "clap", "hyper", "rusqlite"],
    ),
    ("capture-engine", &["axum", "clap", "hyper", "rusqlite"]),
    ("capture-packet", DOING_IO),
    ("capture-detect", DOING_IO),
    ("capture-protocols", DOING_IO),
    ("capture-analysis", DOING_IO),
    (
        "capture-inspector",
        &["aya", "axum", "capture-engine", "clap", "hyper", "rusqlite"],
    ),
    (
        "capture-store",
        &["aya", "axum", "capture-engine", "clap", "hyper", "tokio"],
    ),
    ("capture-tasks", &["aya-ebpf", "axum", "clap", "hyper"]),
    ("capture-report", &["axum", "clap", "hyper"]),
    (
        "capture-client",
        &["aya", "axum", "capture-engine", "clap", "rusqlite"],
    ),
    ("capture-cli", &["aya-ebpf", "axum"]),
    ("capture-console", DOING_IO),
    ("capture-daemon", &["aya-ebpf", "clap"]),
];

/// Fails with every rule that is broken, and where.
pub(crate) fn check() -> Result<()> {
    let mut broken = Vec::new();
    for (index, name) in LAYERS.iter().enumerate() {
        broken.extend(dependencies(name, &LAYERS[..index])?);
    }
    for name in LAYERS
        .iter()
        .chain(&["capture-build", "capture-ebpf", "xtask"])
    {
        let directory = workspace::root().join(name);
        let parsed = Crate::parse(&directory.join("src"))
            .with_context(|| format!("reading the source of {name}"))?;
        broken.extend(parsed.circles());
        broken.extend(parsed.size(name)?);
        if !["capture-agent", "capture-build", "capture-cli", "xtask"].contains(name) {
            broken.extend(parsed.exits());
        }
    }
    match broken.as_slice() {
        [] => Ok(()),
        broken => bail!("{}", broken.join("\n")),
    }
}

/// What a crate depends on and should not.
fn dependencies(name: &str, lower: &[&str]) -> Result<Vec<String>> {
    let tree = command::output(command::cargo().args([
        "tree",
        "--package",
        name,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let without = WITHOUT.iter().find(|(layer, _)| *layer == name);
    let without = without.map_or(&[][..], |(_, names)| names);
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|other| *other != name)
        .filter(|other| {
            without.contains(other) || (LAYERS.contains(other) && !lower.contains(other))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    let found = found.into_iter();
    Ok(found
        .map(|other| format!("{name} must not depend on {other}; `cargo tree -p {name}` says how"))
        .collect())
}
