//! Usage errors: clap's several paragraphs as one line and a hint. Help and version, which clap
//! treats as errors too, go to stdout.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::say;
use crate::cli::exit::Exit;

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
            for line in brief(error) {
                say(&format!("capture-agent: {line}"));
            }
            Exit::Usage
        }
    }
}

/// What is wrong, and what to do about it.
fn brief(error: &clap::Error) -> [String; 2] {
    let text = error.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or(&text);
    let text = text
        .split("\n\nFor more information")
        .next()
        .unwrap_or(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.collect::<Vec<_>>().join("; ");
    let message = message
        .strip_prefix("error: ")
        .unwrap_or(&message)
        .replace(":;", ":");
    [message, hint(error)]
}

fn hint(error: &clap::Error) -> String {
    let help = "try `capture-agent --help`";
    let unexpected = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) if error.kind() == ErrorKind::UnknownArgument => text,
        _ => return help.to_owned(),
    };
    if unexpected.starts_with('-') {
        return help.to_owned();
    }
    format!("a filter is given by options such as --ip, --port and --protocol; {help}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Arguments;

    fn of(arguments: &str) -> [String; 2] {
        let arguments = ["capture-agent"].into_iter().chain(arguments.split(' '));
        brief(&Arguments::try_parse_from(arguments).expect_err("not valid"))
    }

    #[test]
    fn one_line_and_a_hint() {
        for (arguments, message, hint) in [
            (
                "run --protocl udp",
                "unexpected argument '--protocl' found; tip: a similar argument exists: '--protocol'",
                "--help",
            ),
            (
                "run -i lo port 53",
                "unexpected argument 'port' found",
                "options such as --ip",
            ),
            (
                "run -i lo --ip 1.1.1.1 --ip 1.1.1.2",
                "the argument '--ip <ADDRESS>' cannot be used multiple times",
                "--help",
            ),
            (
                "interfaces -o xml",
                "invalid value 'xml' for '--output <FORM>'; [possible values: table, json]",
                "--help",
            ),
            (
                "rum",
                "unrecognized subcommand 'rum'; tip: a similar subcommand exists: 'run'",
                "--help",
            ),
            (
                "completions",
                "the following required arguments were not provided: <SHELL>",
                "--help",
            ),
            (
                "run -i",
                "a value is required for '--interface <IF>' but none was supplied",
                "--help",
            ),
        ] {
            let found = of(arguments);
            assert_eq!(found[0], message, "{arguments}");
            assert!(found[1].contains(hint), "{arguments}: {}", found[1]);
        }
    }
}
