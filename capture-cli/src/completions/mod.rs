//! Completion: the scripts for shells, and the answers to what they ask. A script asks this program at each tab key,
//! with [`VARIABLE`] set, so that it also offers what is there at the moment ([`values`]).

pub(super) mod values;

use std::{env, ffi::OsString, io};

use clap::{Command, CommandFactory as _};
use clap_complete::{CompleteEnv, Shell, env::Shells};

use super::{args::Arguments, tcpdump};

/// What the scripts are for.
const NAME: &str = "capture-agent";

/// Set by the scripts, to the name of their shell. A name of our own: other programs listen to `COMPLETE`.
const VARIABLE: &str = "CAPTURE_AGENT_COMPLETE";

/// Answers a script and ends, where one asks.
pub(super) fn answer_if_asked() {
    if env::var_os("CAPTURE_AGENT_COMPLETE").is_none() {
        return;
    }
    CompleteEnv::with_factory(|| {
        let words = env::args_os().skip_while(|word| word != "--").skip(1);
        command_of(words.collect())
    })
    .var(VARIABLE)
    .bin(NAME)
    .completer(NAME)
    .complete();
}

/// The command that a line completes as. One without `run` has the arguments of `run` all the same.
fn command_of(words: Vec<OsString>) -> Command {
    let root = Arguments::command();
    let Some(run) = root.find_subcommand("run") else {
        return root;
    };
    let count = words.len();
    // It may become an option of `run`, or one of the program.
    let is_begun = matches!(words.as_slice(), [_, word] if word.to_string_lossy().starts_with('-'));
    if !is_begun && tcpdump::with_run(words).len() == count {
        return root;
    }
    let of_all = root.get_arguments().filter(|one| one.is_global_set());
    let run = run.clone().name(NAME).args(of_all.cloned());
    match is_begun {
        true => run.version(env!("CARGO_PKG_VERSION")),
        false => run,
    }
}

/// The script for a shell. Those of clap_complete (4.6) for bash and zsh break `--option=VALUE` at the equals sign, put
/// names with spaces on the line without quotes, and as an autoloaded function of zsh stay silent at the first tab key.
pub(super) fn script(shell: Shell) -> io::Result<Vec<u8>> {
    let script = match shell {
        Shell::Bash => include_str!("capture-agent.bash"),
        Shell::Zsh => include_str!("capture-agent.zsh"),
        other => return script_of_clap(&other.to_string()),
    };
    Ok(script.as_bytes().to_vec())
}

fn script_of_clap(shell: &str) -> io::Result<Vec<u8>> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell).ok_or(io::ErrorKind::Unsupported)?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    Ok(script)
}
