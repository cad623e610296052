//! The fenced blocks of a page, read from its file: what is typed, and what is shown to come of it.

use std::{fs, path::Path};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use regex::Regex;

/// A fenced block of commands.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where it stands, as in `README.md:12`.
    pub(crate) location: String,
    /// The word behind the language: why it cannot be run here.
    pub(crate) mark: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// One command of a block.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) command: String,
    /// The lines that are shown to come of it; none in a block of plain commands.
    pub(crate) shown: Vec<String>,
}

impl Block {
    /// All blocks of commands of a page. Others (`toml`, `json`, `text`) hold no commands, which
    /// `cargo xtask lint documents` checks.
    pub(crate) fn of_page(root: &Path, page: &str) -> Vec<Self> {
        let text =
            fs::read_to_string(root.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        let mut blocks = Vec::new();
        let mut open: Option<(String, String, usize)> = None;
        for (event, range) in Parser::new(&text).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let line = text[..range.start].matches('\n').count() + 1;
                    open = Some((info.into_string(), String::new(), line));
                }
                Event::Text(more) => {
                    if let Some((_, body, _)) = &mut open {
                        body.push_str(&more);
                    }
                }
                Event::End(TagEnd::CodeBlock) => {
                    let Some((info, body, line)) = open.take() else {
                        continue;
                    };
                    let (language, mark) = info.split_once(' ').unwrap_or((&info, ""));
                    let steps = match language {
                        "sh" => vec![Step {
                            command: body,
                            shown: Vec::new(),
                        }],
                        "console" => session(&body),
                        _ => continue,
                    };
                    blocks.push(Self {
                        location: format!("{page}:{line}"),
                        mark: (!mark.is_empty()).then(|| mark.to_owned()),
                        steps,
                    });
                }
                _ => {}
            }
        }
        blocks
    }
}

/// The commands of a session, each behind `$ `; what follows is its output.
fn session(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) if !goes_on => steps.push(Step {
                command: format!("{command}\n"),
                shown: Vec::new(),
            }),
            (_, Some(step)) if goes_on => step.command.push_str(&format!("{line}\n")),
            (_, Some(step)) => {
                step.shown.push(line.to_owned());
                continue;
            }
            (_, None) => panic!("a session begins with a command, as in `$ ls`: {line}"),
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

/// Whether output is what a page shows: the same words in the same lines. What differs from run to run may
/// differ: numbers, units, times, IDs and digests, and how wide columns are. A line `…` stands for any lines.
pub(crate) fn is_as_shown(shown: &[String], output: &[&str]) -> bool {
    match (shown.split_first(), output.split_first()) {
        (None, None) => true,
        (Some((line, rest)), _) if line.trim() == "…" => {
            (0..=output.len()).any(|skipped| is_as_shown(rest, &output[skipped..]))
        }
        (Some((line, shown)), Some((first, output))) => {
            pattern(line).is_match(first) && is_as_shown(shown, output)
        }
        _ => false,
    }
}

fn pattern(line: &str) -> Regex {
    // What is variable, the longest first, and what may stand in its place.
    const VARIABLE: [(&str, &str); 9] = [
        ("[0-9a-f]{64}", "[0-9a-f]{64}"),
        (r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", "[0-9A-Z]{26}"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", r"\d{4}-\d\d-\d\dT[0-9:.]+Z"),
        // The start and the end of the ID, in names of files.
        (r"_\d{8}T\d{6}Z_[0-9A-Z]{6,}", r"_\d{8}T\d{6}Z_[0-9A-Z]{6,}"),
        (r"0x[0-9a-f]+", "0x[0-9a-f]+"),
        (r"\d[\d,]*(\.\d+)? [kMG]?B\b", r"\d[\d,]*(\.\d+)? [kMG]?B"),
        (
            r"\d+ (d|h|min|s)\b( \d+ (h|min|s)\b)?",
            r"\d+ (d|h|min|s)\b( \d+ (h|min|s)\b)?",
        ),
        (r"\d[\d,.]*", r"\d[\d,.]*"),
        // TCX before kernel 6.6 is the clsact qdisc.
        (r"\btcx\b", "(tcx|clsact)"),
    ];
    let words: Vec<_> = VARIABLE.iter().map(|(word, _)| *word).collect();
    let variable = Regex::new(&format!(r"\s+|{}", words.join("|"))).expect("a pattern");
    let mut pattern = "^".to_owned();
    let mut end = 0;
    let line = line.trim_end();
    for found in variable.find_iter(line) {
        pattern.push_str(&regex::escape(&line[end..found.start()]));
        let known = VARIABLE.iter().find(|(word, _)| {
            let whole = Regex::new(&format!("^(?:{word})$")).expect("a pattern");
            whole.is_match(found.as_str())
        });
        pattern.push_str(known.map_or(r"\s+", |(_, instead)| *instead));
        end = found.end();
    }
    pattern.push_str(&regex::escape(&line[end..]));
    pattern.push_str(r"\s*$");
    Regex::new(&pattern).expect("a pattern")
}

#[test]
fn a_session_is_commands_and_their_output() {
    let steps = session("$ ls \\\n    -l\na\nb\n$ true\n");
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0].command, "ls \\\n    -l\n");
    assert_eq!(steps[0].shown, ["a", "b"]);
    assert!(steps[1].shown.is_empty());
}

#[test]
fn figures_may_differ_and_words_may_not() {
    let as_shown = |shown: &[&str], output: &[&str]| {
        let shown: Vec<_> = shown.iter().map(|line| (*line).to_owned()).collect();
        is_as_shown(&shown, output)
    };
    assert!(as_shown(
        &["captured    36 (3.8 kB)"],
        &["captured     1,036 (38.1 MB)"]
    ));
    assert!(as_shown(
        &["capturing on eth0 (tc, tcx ingress+egress)"],
        &["capturing on eth0 (tc, clsact ingress+egress)"]
    ));
    assert!(as_shown(&["in 2 h 18 min"], &["in 45 min"]));
    assert!(!as_shown(&["in 2 h 18 min"], &["in the morning"]));
    assert!(as_shown(&["a", "…", "z"], &["a", "b", "c", "z"]));
    assert!(as_shown(&["…"], &[]));
    assert!(!as_shown(&["lost 0, complete"], &["lost 3 OF 4"]));
    assert!(!as_shown(&["a"], &["a", "b"]));
    assert!(!as_shown(&["a", "b"], &["a"]));
}
