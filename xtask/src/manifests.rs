//! What the manifests of the workspace promise: one oldest Rust for all crates, with which they
//! compile, and crates that a registry would take. `lint` runs both checks.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use capture_build::toolchain::{OLDEST_RUST, parse_minor};
use serde_json::Value;

use crate::{build, command, workspace};

/// Keys that a published crate has.
const SHOWN: [&str; 6] = [
    "description",
    "license",
    "repository",
    "readme",
    "keywords",
    "categories",
];

/// Every crate has the workspace's `rust-version`, and those that are published can be packaged.
pub(crate) fn check() -> Result<()> {
    let packages = workspace::packages()?;
    let (major, minor) = OLDEST_RUST;
    let faults = faults(&packages, &format!("{major}.{minor}"));
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    // A path without a version, or a file that is not there, shows only now.
    let mut cargo = command::cargo();
    cargo.args(["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for name in packages.iter().filter(|package| is_published(package)) {
        cargo.args(["--package", name["name"].as_str().unwrap_or_default()]);
    }
    command::run(&mut cargo)
}

/// All crates compile with the oldest Rust, where its toolchain is there and clippy has not shown it.
pub(crate) fn oldest_rust() -> Result<()> {
    let (major, minor) = OLDEST_RUST;
    let oldest = format!("{major}.{minor}");
    let active = command::output(command::cargo().args(["version", "--verbose"]))?;
    let active = active
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    if active.and_then(parse_minor) == Some(OLDEST_RUST) {
        command::say(format_args!("clippy is that of Rust {oldest}"));
        return Ok(());
    }
    let rustup = || {
        let mut rustup = command::clean("rustup");
        rustup
            .env("RUSTUP_AUTO_INSTALL", "0")
            .args(["run", &oldest]);
        rustup
    };
    if !command::succeeds(rustup().args(["cargo", "--version"])) {
        command::say(format_args!(
            "skipped: `rustup toolchain install {oldest}` makes it possible"
        ));
        return Ok(());
    }
    let mut check: Command = rustup();
    check
        .current_dir(workspace::root())
        .args(["cargo", "check", "--workspace", "--all-targets"])
        .env(build::OBJECT_VARIABLE, build::object()?);
    command::run(&mut check).with_context(|| format!("Rust {oldest} does not compile all crates"))
}

fn faults(packages: &[Value], oldest: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        if package["rust_version"] != oldest {
            faults.push(format!(
                "{name}: `rust-version` is {}, and the workspace's is {oldest}",
                package["rust_version"]
            ));
        }
        if is_published(package) {
            let lacking = SHOWN.iter().filter(|key| is_empty(&package[**key]));
            faults.extend(lacking.map(|key| format!("{name}: no `{key}`")));
        }
    }
    faults
}

/// `publish = false` is an empty list of registries.
fn is_published(package: &Value) -> bool {
    !matches!(&package["publish"], Value::Array(registries) if registries.is_empty())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_published_crate_lacks_nothing_that_is_shown() {
        let package = json!({
            "name": "a", "rust_version": "1.95", "publish": null, "description": "What it does",
            "license": "MIT", "repository": "https://example.com", "readme": "README.md",
            "keywords": [], "categories": ["encoding"],
        });
        assert_eq!(faults(&[package], "1.95"), ["a: no `keywords`"]);
    }

    #[test]
    fn every_crate_has_the_oldest_rust() {
        let inner = |rust: Value| json!({"name": "a", "rust_version": rust, "publish": []});
        assert!(faults(&[inner(json!("1.95"))], "1.95").is_empty());
        assert_eq!(
            faults(&[inner(json!("1.96"))], "1.95"),
            ["a: `rust-version` is \"1.96\", and the workspace's is 1.95"]
        );
        assert_eq!(faults(&[inner(Value::Null)], "1.95").len(), 1);
    }
}
