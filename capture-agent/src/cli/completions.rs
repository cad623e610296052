//! Completion scripts for shells, made by clap.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Arguments;

/// What the script is for.
const NAME: &str = "capture-agent";

/// The script for a shell.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    if shell == Shell::Bash {
        script = with_one_name(&script);
    }
    script
}

/// clap_complete (4.6.12) names the states of its script for bash in two ways where the name of
/// the program has a hyphen: the command `run` leads to `capture__agent__subcmd__run`, and its words stand under
/// `capture__subcmd__agent__subcmd__run`. So bash would complete nothing but the first word.
fn with_one_name(script: &[u8]) -> Vec<u8> {
    let name = NAME.replace('-', "__");
    let other = NAME.replace('-', "__subcmd__");
    String::from_utf8_lossy(script)
        .replace(&other, &name)
        .into_bytes()
}
