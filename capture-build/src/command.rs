//! Child processes: a clean environment for the cargo of another toolchain, the output of short
//! commands, and what variables and `PATH` name.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Variables by which the cargo around us, or the caller of that cargo, would steer the inner build
/// to the wrong compiler, flags or directory.
const OUTER_BUILD: &[&str] = &[
    "CARGO",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// A command that failed: what was run and what it said.
#[derive(Debug)]
pub struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// A command that does not inherit the toolchain choice of the cargo around us.
pub fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for variable in OUTER_BUILD {
        command.env_remove(variable);
    }
    command
}

/// The standard output of `command`, without the last line end.
///
/// # Errors
/// Where it cannot be started or fails, with its diagnostics.
pub fn output(command: &mut Command) -> Result<String, Failed> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failed(format!("{}: {error}", cannot_start(command))))?;
    if !output.status.success() {
        let diagnostics = String::from_utf8_lossy(&output.stderr);
        return Err(Failed(format!(
            "`{}` failed ({}): {}",
            line(command),
            output.status,
            diagnostics.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// The path of `program` in `PATH` or in the directories of system tools, which the `PATH` of an
/// ordinary user leaves out.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Program and arguments as one would type them. The environment stays out: it may hold secrets.
pub fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The sentence for a command that cannot be started.
pub fn cannot_start(command: &Command) -> String {
    format!(
        "cannot start `{}`; is it installed and in PATH?",
        line(command)
    )
}

/// The absolute path in the environment variable `name`.
pub(crate) fn absolute(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// Where cargo keeps what it fetched.
pub fn cargo_home() -> Option<PathBuf> {
    absolute("CARGO_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cargo")))
}
