//! Installs the agent as someone does who has cargo and no xtask, with the kernel programs and
//! without them, and asks what was installed whether it can capture. `test --install` counts both
//! checks with the tests.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context as _, Result, ensure};

use crate::{build, command, results::Tally, run, setup, workspace};

/// The variable that leaves the kernel programs out of a build.
const SKIP_VARIABLE: &str = "AYA_BUILD_SKIP";

/// What the build script warns of, and what the agent says at its start, where there are none.
const WARNING: &str = "this build has no kernel programs";
const REFUSAL: &str = "this binary was built without its kernel programs";

/// `doctor` says so of a program that the kernel takes.
const LOADS: &str = "capture_tc_ingress: loads";

/// The exit code for what the kernel or the binary lacks.
const CANNOT_CAPTURE: i32 = 6;

/// Makes both checks, prints a line for each, and adds them to `tally`.
///
/// # Errors
/// The tools for the kernel programs are neither there nor can be installed.
pub(crate) fn check(tally: &mut Tally) -> Result<()> {
    setup::ensure()?;
    // The complete agent comes last, so that the target directory is left with it.
    for (name, check) in [
        ("without the kernel programs", stub as fn() -> Result<()>),
        ("with the kernel programs", complete),
    ] {
        match check() {
            Ok(()) => {
                println!("cargo install, {name}: pass");
                tally.passed += 1;
            }
            Err(error) => {
                println!("cargo install, {name}: FAIL: {error:#}");
                tally.failed += 1;
            }
        }
    }
    Ok(())
}

/// With [`SKIP_VARIABLE`] one warning says what the build lacks, and the agent refuses to capture.
fn stub() -> Result<()> {
    let (agent, messages) = install(true)?;
    let warnings = messages.matches(WARNING).count();
    ensure!(warnings == 1, "{warnings} warnings instead of one");
    let output = doctor(&agent)?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.code() == Some(CANNOT_CAPTURE) && said.contains(REFUSAL),
        "doctor ended with {}: {said}",
        output.status
    );
    Ok(())
}

/// Without any variable the agent has programs that this kernel takes.
fn complete() -> Result<()> {
    let (agent, messages) = install(false)?;
    ensure!(!messages.contains(WARNING), "a warning of a missing tool");
    let output = doctor(&agent)?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains(LOADS), "doctor says: {said}");
    Ok(())
}

/// `cargo install` of a debug agent; its path, and what cargo said.
fn install(skip: bool) -> Result<(PathBuf, String)> {
    let root = workspace::target_dir()?.join("install");
    let mut cargo = command::cargo();
    cargo
        .args(["install", "--path", "capture-agent", "--root"])
        .arg(&root)
        // Whatever is needed was fetched for the tests.
        .args(["--debug", "--force", "--locked", "--offline"])
        .env_remove(build::OBJECT_VARIABLE)
        .env_remove(SKIP_VARIABLE);
    if skip {
        cargo.env(SKIP_VARIABLE, "1");
    }
    let output = cargo
        .output()
        .with_context(|| command::cannot_start(&cargo))?;
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success(),
        "`{}` failed: {messages}",
        command::line(&cargo)
    );
    Ok((root.join("bin/capture-agent"), messages))
}

/// `capture-agent doctor`, as root.
fn doctor(agent: &Path) -> Result<Output> {
    let mut doctor = run::as_root(agent);
    doctor.args(["doctor", "-v"]);
    doctor
        .output()
        .with_context(|| command::cannot_start(&doctor))
}
