//! Usage errors in words of our own: one line that says what is wrong with the command line, and a hint. Help
//! and version, which clap treats as errors too, go to stdout.

use std::{env, error::Error as _, ffi::OsString};

use capture_task::plan::{nearest, quote};
use clap::{
    Arg, Command, CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{args::Arguments, say, tcpdump};
use crate::exit::Exit;

/// Shows what clap has to say, and gives the exit code that goes with it.
pub(super) fn report(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Through clap, which knows whether colours are wanted; a closed pipe is fine.
            let _ = error.print();
            Exit::Ok
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => {
            let typed: Vec<_> = tcpdump::with_run(env::args_os().collect())
                .into_iter()
                .skip(1)
                .collect();
            say(&format!("capture-agent: {}", sentence(error, &typed)));
            say(&format!("capture-agent: {}", hint(error, &typed)));
            Exit::Usage
        }
    }
}

/// What is wrong with the arguments behind the name of the program.
fn sentence(error: &clap::Error, typed: &[OsString]) -> String {
    let text = |kind| words(error.get(kind));
    let argument = text(ContextKind::InvalidArg);
    let mut sentence = match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument {argument}"),
        ErrorKind::InvalidSubcommand => {
            format!("unknown command {}", text(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingRequiredArgument => format!("missing: {argument}"),
        ErrorKind::MissingSubcommand => {
            let command = text(ContextKind::InvalidSubcommand);
            format!("{command} needs one of the commands it has")
        }
        ErrorKind::ArgumentConflict => match given(error.get(ContextKind::PriorArg), typed) {
            other if other.is_empty() || other == argument => format!("{argument} is given twice"),
            other => format!("{argument} cannot be used with {other}"),
        },
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue) == "\"\"" => {
            format!("{argument} needs a value")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = text(ContextKind::InvalidValue);
            let why = error.source().map(|source| format!(": {source}"));
            format!(
                "invalid value {value} for {argument}{}",
                why.unwrap_or_default()
            )
        }
        ErrorKind::TooManyValues
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::NoEquals => format!("wrong number of values for {argument}"),
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8".to_owned(),
        other => other.as_str().unwrap_or("invalid arguments").to_owned(),
    };
    if error.kind() == ErrorKind::InvalidSubcommand
        && error.get(ContextKind::SuggestedSubcommand).is_none()
    {
        sentence.push_str(&near_command(error, typed));
        return sentence;
    }
    let allowed = text(ContextKind::ValidValue);
    if !allowed.is_empty() {
        sentence.push_str(&format!("; possible values: {allowed}"));
    }
    let meant = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    // What is a typing error of ours may be an option of another tool, with another meaning.
    if let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && foreign_hint(option, typed).is_some()
    {
        return sentence;
    }
    if let Some(meant) = meant.map(text).into_iter().find(|meant| !meant.is_empty()) {
        sentence.push_str(&format!("; did you mean {meant}?"));
    }
    sentence
}

/// A command with a name so near that clap, which goes by common letters, does not see it: `rn`.
fn near_command(error: &clap::Error, typed: &[OsString]) -> String {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidSubcommand) else {
        return String::new();
    };
    let root = root();
    let (command, _) = command_of(&root, typed);
    let names = command.get_subcommands().map(Command::get_name);
    nearest(unknown, names).map_or_else(String::new, |near| {
        format!("; did you mean {}?", quote(near))
    })
}

/// A part of an error: what was typed in quotes, options and placeholders as they are.
fn words(value: Option<&ContextValue>) -> String {
    match value {
        Some(ContextValue::String(text)) => word(text),
        Some(ContextValue::Strings(texts)) => listed(texts),
        _ => String::new(),
    }
}

/// Of the options that exclude another, those that were typed: clap names all members of a group.
fn given(value: Option<&ContextValue>, typed: &[OsString]) -> String {
    let Some(ContextValue::Strings(excluded)) = value else {
        return words(value);
    };
    let root = root();
    let (command, _) = command_of(&root, typed);
    let is_given = |excluded: &&String| {
        let mut arguments = command.get_arguments();
        let argument = arguments.find(|argument| argument.to_string() == **excluded);
        argument.is_some_and(|argument| typed.iter().any(|typed| sets(typed, argument)))
    };
    let given: Vec<_> = excluded.iter().filter(is_given).collect();
    if given.is_empty() {
        return listed(excluded);
    }
    listed(given)
}

/// Whether `--long`, `--long=VALUE`, `-s` or `-sVALUE` of this argument was typed.
fn sets(typed: &OsString, argument: &Arg) -> bool {
    let Some(typed) = typed.to_str() else {
        return false;
    };
    if let Some(long) = typed.strip_prefix("--") {
        return argument.get_long() == long.split('=').next();
    }
    let short = typed
        .strip_prefix('-')
        .and_then(|short| short.chars().next());
    short.is_some() && short == argument.get_short()
}

fn listed<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|text| word(text)).collect();
    texts.join(", ")
}

fn word(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if is_plain && (text.starts_with("--") || text.starts_with('<')) {
        text.to_owned()
    } else {
        quote(text)
    }
}

/// What to do about it.
fn hint(error: &clap::Error, typed: &[OsString]) -> String {
    let (_, line) = command_of(&root(), typed);
    let help = format!("try `{line} --help`");
    let unexpected = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) if error.kind() == ErrorKind::UnknownArgument => text,
        Some(ContextValue::String(text))
            if error.kind() == ErrorKind::ArgumentConflict && text.starts_with("--protocol ") =>
        {
            return "a task has one protocol; leave it out to take all, or make a task of each"
                .to_owned();
        }
        _ => return help,
    };
    foreign_hint(unexpected, typed).unwrap_or(help)
}

/// What to type instead of an option of another tool.
fn foreign_hint(unexpected: &str, typed: &[OsString]) -> Option<String> {
    let option = unexpected.split(' ').next().unwrap_or(unexpected);
    let is_it = |word: &&OsString| word.to_str().is_some_and(|word| word.starts_with(option));
    let mut behind = typed.iter().skip_while(|word| !is_it(word));
    let itself = behind.next().and_then(|word| word.to_str());
    let next = behind.next().and_then(|word| word.to_str());
    // `--read=FILE` has its value within, `-rFILE` too.
    let (option, next) = match itself {
        Some(word) if option.starts_with("--") && word.contains('=') => (word, next),
        Some(word) if !option.starts_with("--") && word.len() > 2 && word.is_char_boundary(2) => {
            (option, Some(&word[2..]))
        }
        _ => (option, next),
    };
    tcpdump::words_to_type(option, next)
}

/// The whole command line. What an argument is shown as is known once it is built.
fn root() -> Command {
    let mut root = Arguments::command();
    root.build();
    root
}

/// The subcommand that was typed, as far as there is one, and how it is called.
fn command_of<'a>(root: &'a Command, typed: &[OsString]) -> (&'a Command, String) {
    let mut command = root;
    let mut line = root.get_name().to_owned();
    let is_option = |word: &&OsString| word.as_encoded_bytes().starts_with(b"-");
    for word in typed.iter().filter(|word| !is_option(word)) {
        let Some(inner) = word.to_str().and_then(|word| command.find_subcommand(word)) else {
            break;
        };
        command = inner;
        line.push(' ');
        line.push_str(inner.get_name());
    }
    (command, line)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn of(arguments: &str) -> [String; 2] {
        let typed: Vec<_> = arguments.split(' ').map(OsString::from).collect();
        let name = OsString::from("capture-agent");
        let error = Arguments::try_parse_from([name].iter().chain(&typed)).expect_err("not valid");
        [sentence(&error, &typed), hint(&error, &typed)]
    }

    #[test]
    fn one_line_and_a_hint() {
        for (arguments, message, end_of_hint) in [
            (
                "run --protocl udp",
                "unexpected argument --protocl; did you mean --protocol?",
                "try `capture-agent run --help`",
            ),
            (
                "run -i lo --src-ip 10.0.0.1",
                "unexpected argument --src-ip",
                "`--ip ADDRESS` takes both ways; `-Q ingress` and `-Q egress` take one",
            ),
            (
                "run -rweb.pcapng",
                "unexpected argument \"-r\"",
                "`capture-agent print web.pcapng` reads a file",
            ),
            (
                "run -i lo --start-at 22:00",
                "unexpected argument --start-at",
                "`capture-agent task create --start-at 22:00` has the daemon wait for the time",
            ),
            (
                "run -i lo -B 4096",
                "unexpected argument \"-B\"",
                "`--ring-size 4096KiB` is the size of the buffer (dumpcap's MiB: `--ring-size 4096MiB`)",
            ),
            (
                "-v run -i lo --name a --name b",
                "--name <NAME> is given twice",
                "try `capture-agent run --help`",
            ),
            (
                "-v run -i lo --protocol tcp --protocol udp",
                "--protocol <NAME> is given twice",
                "a task has one protocol; leave it out to take all, or make a task of each",
            ),
            (
                "interfaces -o xml",
                "invalid value \"xml\" for --output <FORM>; possible values: \"table\", \"json\"",
                "try `capture-agent interfaces --help`",
            ),
            (
                "task list --limit x",
                "invalid value \"x\" for --limit <COUNT>: invalid digit found in string",
                "try `capture-agent task list --help`",
            ),
            (
                "rum",
                "unknown command \"rum\"; did you mean \"run\"?",
                "try `capture-agent --help`",
            ),
            (
                "rn",
                "unknown command \"rn\"; did you mean \"run\"?",
                "try `capture-agent --help`",
            ),
            (
                "task creat",
                "unknown command \"creat\"; did you mean \"create\"?",
                "try `capture-agent task --help`",
            ),
            (
                "completions",
                "missing: <SHELL>",
                "try `capture-agent completions --help`",
            ),
            (
                "run -i",
                "--interface <IF> needs a value",
                "try `capture-agent run --help`",
            ),
            (
                "run -i lo --tasks x.json",
                "--tasks <FILE> cannot be used with --interface <IF>",
                "try `capture-agent run --help`",
            ),
            (
                "doctor \u{1b}[31m",
                "unexpected argument \"\\u{1b}[31m\"",
                "try `capture-agent doctor --help`",
            ),
        ] {
            let found = of(arguments);
            assert_eq!(found[0], message, "{arguments}");
            assert!(found[1].ends_with(end_of_hint), "{arguments}: {}", found[1]);
        }
    }
}
