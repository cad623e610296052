//! The arguments' shape: clap's own check, the help as people see it, and the completions.

use clap::{CommandFactory, ValueEnum as _};

use super::*;

#[test]
fn clap_finds_no_fault() {
    Arguments::command().debug_assert();
}

/// Compares with a file; `UPDATE_GOLDEN=1 cargo test` writes it.
fn golden(name: &str, expected: &str, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = format!("{}/src/args/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, found).expect("the golden file is written");
    } else {
        assert_eq!(
            found, expected,
            "{name} differs; UPDATE_GOLDEN=1 cargo test accepts it"
        );
    }
}

#[test]
fn help() {
    let mut command = Arguments::command().term_width(100);
    golden(
        "help.txt",
        include_str!("help.txt"),
        &command.render_help().to_string(),
    );
    for (name, expected, path) in [
        ("help-run.txt", include_str!("help-run.txt"), &["run"][..]),
        (
            "help-task-create.txt",
            include_str!("help-task-create.txt"),
            &["task", "create"],
        ),
        (
            "help-task-download.txt",
            include_str!("help-task-download.txt"),
            &["task", "download"],
        ),
    ] {
        let find = |command: clap::Command, name: &&str| {
            command.find_subcommand(name).expect("a command").clone()
        };
        let command = path.iter().fold(Arguments::command(), find);
        let found = command.term_width(100).render_help().to_string();
        golden(name, expected, &found);
    }
    for (name, expected, path) in [
        ("help-long.txt", include_str!("help-long.txt"), &[][..]),
        (
            "help-run-long.txt",
            include_str!("help-run-long.txt"),
            &["run"],
        ),
    ] {
        let find = |command: clap::Command, name: &&str| {
            command.find_subcommand(name).expect("a command").clone()
        };
        let command = path.iter().fold(Arguments::command(), find);
        let found = command.term_width(100).render_long_help().to_string();
        golden(name, expected, &found);
    }
}

/// What fits on a screen.
#[test]
fn the_short_help_of_run_is_short() {
    let mut root = Arguments::command().term_width(100);
    // With the options of all commands, as people see it.
    root.build();
    let run = root.find_subcommand_mut("run").expect("run");
    let help = run.render_help().to_string();
    assert!(help.lines().count() <= 28, "{help}");
}

#[test]
fn completions_for_every_shell() {
    for shell in Shell::value_variants() {
        let script = crate::completions::script(*shell).expect("a script");
        let script = String::from_utf8(script).expect("text");
        assert!(script.contains("capture-agent"), "{shell}");
        assert!(script.contains("CAPTURE_AGENT_COMPLETE"), "{shell}");
    }
}

#[test]
fn short_options() {
    let arguments = "capture-agent run -i lo -i eth0 -w x.pcap -s 96 -Q in -c 5 -C 10 -G 60 -W 3 \
                     -q -o json -vv";
    let parsed = Arguments::try_parse_from(arguments.split_whitespace()).expect("valid");
    assert_eq!(parsed.verbose, 2);
    let Command::Run(run) = parsed.command else {
        panic!("not run")
    };
    assert_eq!(run.task.interface, ["lo", "eth0"]);
    assert_eq!(run.write.as_deref(), Some(std::path::Path::new("x.pcap")));
    assert_eq!(run.output, OutputForm::Json);
    assert!(run.quiet);
    let task = run.task;
    let texts = [task.max_bytes, task.direction, task.max_packets];
    assert_eq!(texts.map(Option::unwrap_or_default), ["96", "in", "5"]);
    let texts = [task.rotate_bytes, task.rotate_seconds, task.rotate_files];
    assert_eq!(texts.map(Option::unwrap_or_default), ["10", "60", "3"]);
}
