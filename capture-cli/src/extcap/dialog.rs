//! The dialog that Wireshark shows before a capture: the fields of a task. Of a running task there is nothing to choose.

use capture_task::plan::{Directions, Hook, Keyword, Protocol};

use super::source::{Source, What};

/// How long a capture lasts unless it is ended: it also bounds a task whose Wireshark was killed.
pub(super) const DURATION: &str = "1h";

/// A field: its option, name, tooltip, group, and what may be entered.
struct Field {
    option: &'static str,
    display: &'static str,
    tooltip: &'static str,
    group: &'static str,
    kind: Kind,
}

enum Kind {
    /// Text; what it is unless something is typed, and an example.
    Text(&'static str, &'static str),
    /// One of these words, the first unless another is chosen.
    Words(Vec<&'static str>),
    Flag,
}

/// The answer to `--extcap-config`, or only the values of one field.
pub(super) fn fields(source: &Source, only: Option<&str>) -> String {
    let What::Interface(_) = source.what else {
        return String::new();
    };
    let mut text = String::new();
    for (number, field) in all().iter().enumerate() {
        let is_wanted = only.is_none_or(|only| {
            only.trim_start_matches('-') == field.option.trim_start_matches('-')
        });
        if !is_wanted {
            continue;
        }
        if only.is_none() {
            text.push_str(&line(number, field));
        }
        if let Kind::Words(words) = &field.kind {
            for (index, word) in words.iter().enumerate() {
                let default = index == 0;
                text.push_str(&format!(
                    "value {{arg={number}}}{{value={word}}}{{display={word}}}{{default={default}}}\n"
                ));
            }
        }
    }
    text
}

fn line(number: usize, field: &Field) -> String {
    let Field {
        option,
        display,
        tooltip,
        group,
        kind,
    } = field;
    let kind = match kind {
        Kind::Text("", example) => format!("{{type=string}}{{placeholder={example}}}"),
        Kind::Text(default, _) => format!("{{type=string}}{{default={default}}}"),
        Kind::Words(_) => "{type=selector}".to_owned(),
        Kind::Flag => "{type=boolflag}{default=false}".to_owned(),
    };
    format!(
        "arg {{number={number}}}{{call={option}}}{{display={display}}}{{tooltip={tooltip}}}{kind}{{group={group}}}\n"
    )
}

fn all() -> [Field; 12] {
    let field = |option, display, tooltip, group, kind| Field {
        option,
        display,
        tooltip,
        group,
        kind,
    };
    let filter = |option, display, tooltip, kind| field(option, display, tooltip, "Filter", kind);
    let limit = |option, display, tooltip, kind| field(option, display, tooltip, "Limits", kind);
    [
        filter(
            "--protocol",
            "Protocol",
            "icmp is ICMP and ICMPv6",
            Kind::Words(usual_first::<Protocol>("all")),
        ),
        filter(
            "--ip",
            "Addresses",
            "Addresses or prefixes of one side of the conversation, sender or receiver",
            Kind::Text("", "10.0.0.5,10.1.0.0/16"),
        ),
        filter(
            "--port",
            "Ports",
            "Ports of that side, of any side without an address",
            Kind::Text("", "443,8000-8100"),
        ),
        filter(
            "--peer-ip",
            "Peer's addresses",
            "Addresses or prefixes of the other side; needs an address",
            Kind::Text("", "10.0.0.9"),
        ),
        filter(
            "--peer-port",
            "Peer's ports",
            "Ports of the other side; needs its address",
            Kind::Text("", "53"),
        ),
        filter(
            "--icmp-errors",
            "ICMP errors about these packets",
            "Also take ICMP and ICMPv6 errors about packets that match",
            Kind::Flag,
        ),
        limit(
            "--max-bytes",
            "Bytes of a frame",
            "Most bytes kept of a frame; 0 keeps whole frames",
            Kind::Text("0", ""),
        ),
        limit(
            "--duration",
            "Duration",
            "The task ends by itself after this time, as in 90s, 10m, 1h30m",
            Kind::Text(DURATION, ""),
        ),
        limit(
            "--max-file-bytes",
            "Size",
            "The task ends before its file exceeds this size",
            Kind::Text("1GiB", ""),
        ),
        field(
            "--direction",
            "Direction",
            "Which way the frames go, as the host sees it",
            "Capture",
            Kind::Words(usual_first::<Directions>("both")),
        ),
        field(
            "--hook",
            "Hook",
            "Where in the kernel frames are taken; auto never disturbs a link",
            "Capture",
            Kind::Words(usual_first::<Hook>("auto")),
        ),
        field(
            "--name",
            "Name",
            "Name of the task, noted in the file",
            "Capture",
            Kind::Text("", "wireshark"),
        ),
    ]
}

/// The words of a field, the usual one first.
fn usual_first<T: Keyword>(usual: &'static str) -> Vec<&'static str> {
    let others = T::words().filter(|word| *word != usual);
    [usual].into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Arguments;

    #[test]
    fn every_field_is_an_option_that_is_taken() {
        let source = Source::parse("capture-agent:eth0").expect("a source");
        let text = fields(&source, None);
        let called: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.split("{call=--").nth(1)?.split('}').next())
            .collect();
        let root = Arguments::command();
        let extcap = root.find_subcommand("extcap").expect("the command");
        let known: BTreeSet<_> = extcap
            .get_arguments()
            .filter(|argument| argument.get_help_heading() == Some("Fields of the dialog"))
            .filter_map(clap::Arg::get_long)
            .collect();
        assert_eq!(called, known);
        assert_eq!(
            text.lines()
                .filter(|line| line.contains("{default=true}"))
                .count(),
            3
        );
        let reloaded = fields(&source, Some("hook"));
        assert!(
            reloaded.starts_with("value {arg=10}{value=auto}"),
            "{reloaded}"
        );
        let task = Source::parse("capture-agent:task:01").expect("a source");
        assert_eq!(fields(&task, None), "");
    }
}
