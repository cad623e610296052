//! The documents keep their word: each block of commands in the README and in `docs` is run as it stands, and what
//! is shown to come of it must come. Pages are run from top to bottom, in one directory each.

mod blocks;
mod machine;

use std::{fs, path::Path};

use self::{
    blocks::{Block, Step, is_as_shown},
    machine::Machine,
};

/// Between the outputs of commands.
const NEXT: &str = "--- next command ---";

/// The marks of blocks that `cargo xtask` runs where it checks the package, and on a system that has booted.
const ELSEWHERE: [&str; 2] = ["package", "booted"];

/// The README's two commands of developers, which CI runs itself; what stands here for each is checked instead.
const DEVELOPERS: &str = "cargo xtask ";

#[test]
fn readme() {
    page("README.md");
}

#[test]
fn start() {
    pages("docs/start");
}

#[test]
fn how_to() {
    pages("docs/how-to");
}

#[test]
fn service() {
    pages("docs/service");
}

#[test]
fn reference() {
    pages("docs/reference");
}

fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace is above")
}

fn pages(directory: &str) {
    let listing = fs::read_dir(root().join(directory)).expect("the pages");
    let mut names: Vec<_> = listing
        .map(|entry| entry.expect("a page").file_name())
        .map(|name| format!("{directory}/{}", name.to_string_lossy()))
        .collect();
    names.sort();
    for name in names {
        page(&name);
    }
}

/// Runs a page. A marked block, as in "```sh laptop", is for another machine or for one that has booted: the
/// mark says which. `cargo xtask` runs those of a package and of a booted system, `service_blocks` those of
/// `docs/service/install.md`. Pages of a first hour have no others.
fn page(name: &str) {
    let mut blocks = Block::of_page(root(), name);
    if name == "README.md" || name.starts_with("docs/start/") {
        for block in &blocks {
            let mark = block.mark.as_deref();
            assert!(
                mark.is_none_or(|mark| ELSEWHERE.contains(&mark)),
                "{} must be run",
                block.location
            );
        }
    }
    blocks.retain(|block| block.mark.is_none());
    if blocks.is_empty() {
        return;
    }
    Machine::with(|machine| {
        for block in &blocks {
            run(machine, block);
        }
    });
}

fn run(machine: &Machine, block: &Block) {
    let Block {
        location, steps, ..
    } = block;
    let commands: Vec<_> = steps.iter().map(|step| command(&step.command)).collect();
    let script = commands.join(&format!("echo '{NEXT}'\n"));
    eprintln!("{location}");
    let outcome = machine.run(&script);
    if std::env::var_os("CAPTURE_TEST_SHOW").is_some() {
        eprintln!("{script}{}", outcome.text);
    }
    assert_eq!(
        outcome.code,
        Some(0),
        "{location} fails:\n{script}{}",
        outcome.text
    );
    let next = format!("{NEXT}\n");
    let outputs: Vec<_> = outcome.text.split(&next).collect();
    assert_eq!(outputs.len(), steps.len(), "{location}:\n{}", outcome.text);
    for (Step { command, shown }, output) in steps.iter().zip(outputs) {
        let lines: Vec<_> = output.lines().collect();
        assert!(
            shown.is_empty() || is_as_shown(shown, &lines),
            "{location}: {command}shows\n{output}\nand the page\n{}\n",
            shown.join("\n"),
        );
    }
}

/// A command as it is run here: as it stands, but for those of developers.
fn command(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.strip_prefix(DEVELOPERS) {
            None => format!("{line}\n"),
            Some(developers) => match developers.split_once(" -- ") {
                // It builds a release agent, which it leaves there, and becomes this.
                Some(("run", options)) => format!("target/dist/capture-agent run {options}\n"),
                // It runs this test among others. CI must type the same.
                None if developers == "test" => {
                    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
                    let is_typed = ci.lines().any(|typed| typed.starts_with(line));
                    assert!(is_typed, ".ci/run does not call `{line}`");
                    "true\n".to_owned()
                }
                _ => panic!("`{line}` is neither of the README's two commands"),
            },
        });
    lines.collect()
}
