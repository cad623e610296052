//! Notes the commit that the agent is built from, for `capture-agent version`: that of the clone, or of
//! `CAPTURE_AGENT_COMMIT` where the source is no clone.

use std::{env, path::Path, process::Command};

/// Names the commit, where there is no clone to ask.
const VARIABLE: &str = "CAPTURE_AGENT_COMMIT";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    let named = env::var(VARIABLE).ok();
    let commit = named.filter(|commit| !commit.is_empty()).or_else(of_clone);
    println!(
        "cargo:rustc-env=BUILD_COMMIT={}",
        commit.unwrap_or_default()
    );
}

fn of_clone() -> Option<String> {
    // Its last line changes with each commit and checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let answer = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    answer.status.success().then(|| text.trim().to_owned())
}
