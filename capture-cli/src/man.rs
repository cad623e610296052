//! Man pages, made from the same commands as the help: one for the program and one for each command. Sections that
//! clap does not know, such as EXAMPLES, FILES and EXIT STATUS, come from the text behind the long help.

use std::{fs, io, path::Path};

use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::args::Arguments;
use crate::error::{Error, Result};

/// System administration.
const SECTION: &str = "8";

/// The page of the configuration, which is made elsewhere.
const CONFIGURATION: &str = "capture-agent.toml(5)";

/// Writes all pages into a directory, which is made if need be.
pub(super) fn write(directory: &Path) -> Result<()> {
    let failed = |path: &Path, error: io::Error| {
        Error::runtime(format!(
            "cannot write {}: {}",
            path.display(),
            capture_task::Cause(&error)
        ))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (name, page) in pages() {
        let path = directory.join(name);
        fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// All pages by the names of their files.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut root = Arguments::command().disable_help_subcommand(true);
    root.build();
    let version = root.get_version().unwrap_or_default().to_owned();
    let mut pages = Vec::new();
    add(&root, &version, None, &mut pages);
    pages
}

/// The page of a command and those of the commands below it.
fn add(command: &Command, version: &str, above: Option<&str>, pages: &mut Vec<(String, Vec<u8>)>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let page = page(command, name, version, above);
    pages.push((format!("{name}.{SECTION}"), page.into_bytes()));
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        add(below, version, Some(name), pages);
    }
}

fn page(command: &Command, name: &str, version: &str, above: Option<&str>) -> String {
    let man = Man::new(command.clone()).section(SECTION);
    // clap_mangen leaves out the empty date, and so moves what follows it. There is none: pages made twice are equal.
    let title = format!(
        ".TH \"{}\" {SECTION} \"\" \"capture-agent {version}\" \"capture-agent\"\n",
        name.to_uppercase()
    );
    let mut text = Vec::new();
    let rendered = (|| {
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        let has_commands = command.get_subcommands().any(|one| !one.is_hide_set());
        match has_commands {
            true => man.render_subcommands_section(&mut text),
            false => Ok(()),
        }
    })();
    debug_assert!(rendered.is_ok(), "memory takes everything");
    let behind = command.get_after_long_help().or(command.get_after_help());
    let behind = behind.map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    sections(&behind, &mut roff);
    roff.control("SH", ["SEE ALSO"]);
    let above = above.map(|above| format!("{above}({SECTION}), "));
    roff.text([roman(above.unwrap_or_default() + CONFIGURATION)]);
    title + &String::from_utf8_lossy(&text) + &roff.render()
}

/// What the line before was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Sentence,
    Item,
    Command,
}

/// A text behind the help as sections. A line without indentation that ends in a colon is a heading. Below it, lines
/// of two columns are a list, lines that are indented further are commands to type or go on with an item of the list,
/// and others are sentences.
fn sections(text: &str, roff: &mut Roff) {
    let mut before = Before::Nothing;
    for line in text.lines() {
        let content = line.trim();
        let indent = line.len() - line.trim_start().len();
        if before == Before::Command && indent < 4 {
            roff.control("EE", []).control("RE", []);
            before = Before::Nothing;
        }
        before = match (indent, content.strip_suffix(':'), content.split_once("  ")) {
            _ if content.is_empty() => Before::Nothing,
            (0, Some(heading), _) => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
                Before::Nothing
            }
            (4.., ..) if before == Before::Item => {
                roff.text([roman(content)]);
                Before::Item
            }
            (4.., ..) => {
                if before != Before::Command {
                    roff.control("RS", ["4"]).control("EX", []);
                }
                roff.text([roman(content)]);
                Before::Command
            }
            (_, _, Some((term, meaning))) => {
                roff.control("TP", []);
                roff.text([bold(term)]);
                roff.text([roman(meaning.trim())]);
                Before::Item
            }
            _ => {
                if before != Before::Sentence {
                    roff.control("PP", []);
                }
                roff.text([roman(content)]);
                Before::Sentence
            }
        };
    }
    if before == Before::Command {
        roff.control("EE", []).control("RE", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(name: &str) -> String {
        let pages = pages();
        let found = pages.iter().find(|(file, _)| file == name);
        let (_, page) = found.unwrap_or_else(|| panic!("no page {name}"));
        String::from_utf8(page.clone()).expect("text")
    }

    #[test]
    fn every_command_has_a_page() {
        let names: Vec<_> = pages().into_iter().map(|(name, _)| name).collect();
        for name in ["", "-run", "-task", "-task-create", "-daemon", "-analyze"] {
            let name = format!("capture-agent{name}.8");
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        assert!(names.iter().all(|name| !name.contains("help")), "{names:?}");
    }

    #[test]
    fn sections_come_once() {
        for (name, page) in pages() {
            let page = String::from_utf8(page).expect("text");
            let mut headings: Vec<_> = page
                .lines()
                .filter(|line| line.starts_with(".SH "))
                .collect();
            let count = headings.len();
            headings.sort_unstable();
            headings.dedup();
            assert_eq!(headings.len(), count, "{name}: {page}");
        }
        let page = page_of("capture-agent.8");
        for heading in ["EXAMPLES", "ENVIRONMENT", "FILES", "\"EXIT STATUS\""] {
            let line = format!(".SH {heading}\n");
            assert!(page.contains(&line), "{heading}: {page}");
        }
    }

    #[test]
    fn a_text_becomes_sections() {
        let mut roff = Roff::new();
        let text = "Examples:\n  Of a port:\n    run --port 1\n\nFiles:\n  a.toml  what it\n          holds\n\
                    Exit status:\n  0 done,\n  1 failed\n";
        sections(text, &mut roff);
        let rendered = roff.render();
        let expected = ".SH EXAMPLES\n.PP\nOf a port:\n.RS 4\n.EX\nrun \\-\\-port 1\n.EE\n.RE\n\
                        .SH FILES\n.TP\n\\fBa.toml\\fR\nwhat it\nholds\n\
                        .SH \"EXIT STATUS\"\n.PP\n0 done,\n1 failed\n";
        assert!(rendered.ends_with(expected), "{rendered}");
    }
}
