//! For hands that know tcpdump and dumpcap: a line without a command means `run`, simple filter expressions become the
//! options that mean the same ([`expression`]), and options of theirs that have no place here are answered with
//! what to type ([`options`]).

mod expression;
mod options;

use std::ffi::OsString;

use capture_task::plan::expression_syntax::begins_expression;
use clap::{CommandFactory as _, Parser as _};

pub(super) use self::{expression::into_options, options::words_to_type};
use crate::args::Arguments;

/// The arguments of this process. Where it is given options of `run` or an expression and no command, it is `run`.
pub(super) fn parse(typed: Vec<OsString>) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(with_run(typed))
}

/// The words of a command line with `run` where it is left out: `capture-agent -i eth0` is `capture-agent run -i eth0`.
pub(super) fn with_run(mut typed: Vec<OsString>) -> Vec<OsString> {
    let is_of_all = |word: &OsString| {
        word.to_str().is_some_and(|word| {
            word == "--verbose"
                || word.len() > 1
                    && word.bytes().eq(b"-"
                        .iter()
                        .copied()
                        .chain(word.bytes().skip(1).map(|_| b'v')))
        })
    };
    let first = typed.iter().skip(1).position(|word| !is_of_all(word));
    let Some(first) = first.map(|position| position + 1) else {
        return typed;
    };
    if typed[first].to_str().is_some_and(means_run) {
        typed.insert(first, "run".into());
    }
    typed
}

/// Whether a first word is one of `run`, or of the tools that it stands for.
fn means_run(word: &str) -> bool {
    let root = Arguments::command();
    if matches!(word, "-h" | "--help" | "-V" | "--version") || root.find_subcommand(word).is_some()
    {
        return false;
    }
    if !word.starts_with('-') {
        return begins_expression(word);
    }
    if options::is_known(word) {
        return true;
    }
    let Some(run) = root.find_subcommand("run") else {
        return false;
    };
    let mut arguments = run.get_arguments();
    match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split('=').next().unwrap_or(long);
            arguments.any(|argument| {
                argument.get_long() == Some(name)
                    || argument
                        .get_all_aliases()
                        .is_some_and(|aliases| aliases.contains(&name))
            })
        }
        None => {
            let short = word.chars().nth(1);
            arguments
                .any(|argument| argument.get_short().is_some() && argument.get_short() == short)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_command_means_run() {
        for (line, is_run) in [
            ("-i eth0 -nn port 443", true),
            ("-v -i eth0", true),
            ("-vv --interface=eth0", true),
            ("-ieth0", true),
            ("port 443", true),
            ("tcp and port 443", true),
            ("-D", true),
            ("-r file.pcap", true),
            ("--list-interfaces", true),
            ("", false),
            ("-h", false),
            ("--version", false),
            ("-v", false),
            ("run -i eth0", false),
            ("-v task list", false),
            ("rum -i eth0", false),
            ("--socket x task list", false),
            ("-", false),
            ("--", false),
        ] {
            let words = ["capture-agent"].into_iter().chain(line.split_whitespace());
            let words: Vec<OsString> = words.map(OsString::from).collect();
            let found = with_run(words.clone());
            assert_eq!(found.len() > words.len(), is_run, "{line}");
            assert_eq!(
                found.contains(&"run".into()),
                is_run || line.starts_with("run"),
                "{line}"
            );
        }
    }
}
