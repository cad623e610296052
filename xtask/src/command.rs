//! Child processes with useful errors: what was run, how it ended. Everything xtask starts goes
//! through here. What the build script of `capture-engine` needs too is in `capture_build`.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
pub(crate) use capture_build::command::{cannot_start, clean, find, line};

/// The cargo that started xtask, with its toolchain; `cargo` where xtask was started by hand.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root::root());
    command
}

/// Runs `command` with our terminal, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!(
            "`{}` failed ({status}); its own output is above",
            line(command)
        );
    }
    Ok(())
}

/// Whether `command` can be started and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The standard output of `command`, without the last line end; an error carries its diagnostics.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    Ok(capture_build::command::output(command)?)
}

/// Prints an error with its causes, in as few lines as it has.
pub(crate) fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Says on stderr what is being done; results go to stdout.
pub(crate) fn say(message: impl std::fmt::Display) {
    eprintln!("xtask: {message}");
}
