//! The arguments of `context`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::task::FormArgs;
use crate::completions::values;

const CREATE_EXAMPLES: &str = "\
Examples:
  A daemon over HTTPS, with a token that `capture-agent token create` has printed there:
    capture-agent context create prod --url https://capture.example:8443 --token-file ~/.cap/prod --use
  One over ssh, as the user that one is there:
    capture-agent context create lab --url ssh://lab.example
    capture-agent task list --context lab";

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Give a daemon a name. Its URL and the names of its files are kept; no secret is.
    #[command(after_help = CREATE_EXAMPLES)]
    Create(ContextCreateArgs),
    /// List contexts; the one in use has a star.
    List(FormArgs),
    /// Use a context from now on; "local" is the daemon of this host.
    Use(ContextUseArgs),
    /// Show a context.
    Show(ContextShowArgs),
    /// Remove contexts. The daemons stay as they are.
    Remove(ContextRemoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ContextCreateArgs {
    /// What it is called: 1 to 64 letters, digits, ".", "_" or "-".
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Where it is.
    #[arg(
        long,
        value_name = "URL",
        help = "Where it is: https://HOST:PORT, ssh://[USER@]HOST[:PORT][/SOCKET], or unix:///SOCKET"
    )]
    pub(crate) url: String,
    /// File with a token for https://, readable by nobody else.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates to trust for https:// in place of the system's, PEM.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// Use it from now on.
    #[arg(long = "use")]
    pub(crate) use_it: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ContextUseArgs {
    /// The context.
    #[arg(value_name = "NAME", add = values::contexts())]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct ContextShowArgs {
    /// The context [default: the one in use].
    #[arg(value_name = "NAME", add = values::contexts())]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ContextRemoveArgs {
    /// The contexts.
    #[arg(value_name = "NAME", required = true, add = values::contexts())]
    pub(crate) names: Vec<String>,
}
