//! Completion as a person uses it: scripts are read by real shells, which are asked what may come next, and keys are
//! typed at a terminal.

use std::{fs, path::Path, process::Stdio};

use capture_tests::{
    or_skip,
    shells::{Shells, Terminal, installed},
};

fn shells() -> Shells {
    Shells::new(Path::new(env!("CARGO_BIN_EXE_capture-agent")))
}

/// Has bash complete the last of these words of a line, as when somebody presses the tab key twice: by the function
/// that the script has registered. Words are taken apart as readline does at "=" and ":".
fn completed(words: &[&str]) -> Vec<String> {
    let shells = shells();
    let ask = r#"
        set -u
        . "$SCRIPTS/bash"
        registered=$(complete -p capture-agent)
        [[ $registered =~ -F\ ([^ ]+) ]] || exit 1
        COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
        COMP_WORDS=()
        for word in "$@"; do
            while [[ $word == ?*=* ]]; do
                COMP_WORDS+=("${word%%=*}" =); word=${word#*=}
                [[ $word ]] || continue 2
            done
            COMP_WORDS+=("$word")
        done
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        last=${COMP_WORDS[COMP_CWORD]}
        [[ $last == = ]] && last=
        "${BASH_REMATCH[1]}" capture-agent "$last" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
    "#;
    let output = shells
        .command("bash")
        .args(["--norc", "--noprofile", "-c", ask, "bash"])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.is_empty(),
        "{words:?}: {stderr}"
    );
    let replies = String::from_utf8(output.stdout).expect("text");
    let replies = replies.lines().filter(|reply| !reply.is_empty());
    replies.map(str::to_owned).collect()
}

#[track_caller]
fn completes(words: &[&str], expected: &[&str]) {
    assert_eq!(completed(words), expected, "{words:?}");
}

/// Among others.
#[track_caller]
fn offers(words: &[&str], expected: &[&str]) {
    let found = completed(words);
    for word in expected {
        assert!(
            found.iter().any(|one| one == word),
            "{words:?}: no {word} in {found:?}"
        );
    }
}

#[test]
fn bash_completes_commands() {
    offers(
        &["capture-agent", ""],
        &["run", "daemon", "task", "doctor", "completions"],
    );
    completes(&["capture-agent", "ru"], &["run"]);
    completes(&["capture-agent", "task", "sho"], &["show"]);
    offers(
        &["capture-agent", "task", ""],
        &["create", "list", "show", "watch", "stop", "delete"],
    );
}

#[test]
fn bash_completes_options_and_their_values() {
    offers(
        &["capture-agent", "run", "-"],
        &["-i", "-w", "--protocol", "--netns"],
    );
    offers(
        &["capture-agent", "run", "--"],
        &["--interface", "--write", "--help"],
    );
    completes(&["capture-agent", "run", "--pro"], &["--protocol"]);
    for line in [
        &["capture-agent", "run", "--protocol", ""][..],
        &["capture-agent", "run", "--protocol="],
    ] {
        completes(line, &["all", "tcp", "udp", "icmp"]);
    }
    completes(&["capture-agent", "run", "--protocol=t"], &["tcp"]);
    completes(
        &["capture-agent", "run", "-i", "lo", "--hook", "xdp-"],
        &["xdp-generic"],
    );
    completes(
        &["capture-agent", "task", "create", "--idem"],
        &["--idempotency-key"],
    );
    offers(
        &["capture-agent", "task", "list", "--state", ""],
        &["running", "failed"],
    );
    completes(
        &["capture-agent", "token", "create", "--role", "op"],
        &["operator"],
    );
    completes(&["capture-agent", "completions", "f"], &["fish"]);
}

#[test]
fn bash_completes_what_is_there() {
    offers(&["capture-agent", "run", "-i", ""], &["lo", "any"]);
    completes(&["capture-agent", "run", "-i", "an"], &["any"]);
    completes(&["capture-agent", "run", "--interface=an"], &["any"]);
    let behind = completed(&["capture-agent", "run", "-i", "lo,"]);
    assert!(behind.contains(&"lo,any".to_owned()), "{behind:?}");
    assert!(!behind.contains(&"lo,lo".to_owned()), "{behind:?}");
    // Without a command it is `run`.
    offers(&["capture-agent", "-i", ""], &["lo", "any"]);
    completes(&["capture-agent", "-v", "-i", "an"], &["any"]);
    offers(&["capture-agent", "-i", "lo", "--por"], &["--port"]);
    completes(&["capture-agent", "--proto"], &["--protocol"]);
    completes(&["capture-agent", "--vers"], &["--version"]);
    completes(&["capture-agent", "--protocol", "t"], &["tcp"]);
    for line in [
        &["capture-agent", "--port", "htt"][..],
        &["capture-agent", "run", "--port", "htt"],
    ] {
        completes(line, &["http", "https", "http-alt"]);
    }
    // No daemon is there to be asked, which is not said at a tab key.
    completes(&["capture-agent", "task", "show", "x"], &[]);
    completes(
        &["capture-agent", "run", "--netns", "no-such-namespac"],
        &[],
    );
}

#[test]
fn bash_completes_files_where_a_file_is_wanted() {
    completes(&["capture-agent", "run", "-w", "a"], &["a.pcapng"]);
    completes(&["capture-agent", "run", "--write=a"], &["a.pcapng"]);
    completes(
        &["capture-agent", "run", "-w", "w"],
        &["with\\ space.pcapng"],
    );
    completes(&["capture-agent", "print", "d"], &["directory/"]);
    completes(
        &["capture-agent", "daemon", "--config", "directory/"],
        &["directory/inner.pcapng"],
    );
}

/// fish answers what it would offer for a line, each with a word about it.
#[test]
fn fish_completes() {
    let shells = shells();
    let offered = |line: &str| -> Result<String, String> {
        let ask = format!("source $SCRIPTS/fish; complete --do-complete '{line}'");
        let output = shells
            .command("fish")
            .args(["--no-config", "-c", &ask])
            .stdin(Stdio::null())
            .output();
        let output = installed("fish", output)?;
        assert!(output.stderr.is_empty(), "{output:?}");
        Ok(String::from_utf8(output.stdout).expect("text"))
    };
    or_skip!(offered("capture-agent ").map(|_| ()));
    for (line, expected) in [
        ("capture-agent ru", "run"),
        ("capture-agent run --pro", "--protocol"),
        ("capture-agent run --protocol ", "tcp"),
        ("capture-agent run --protocol=t", "--protocol=tcp"),
        ("capture-agent run -i l", "lo"),
        ("capture-agent task list --state run", "running"),
        ("capture-agent run -w a", "a.pcapng"),
    ] {
        let found = offered(line).expect("fish is there");
        let mut values = found.lines().filter_map(|line| line.split('\t').next());
        assert!(values.any(|value| value == expected), "{line}: {found}");
    }
}

/// What stands on the line after keys at a terminal.
#[test]
fn bash_completes_at_a_terminal() {
    or_skip!(at_a_terminal(Terminal::Bash));
}

#[test]
fn zsh_completes_at_a_terminal() {
    or_skip!(at_a_terminal(Terminal::Zsh));
}

#[test]
fn zsh_loads_its_script_at_the_first_key() {
    or_skip!(at_a_terminal(Terminal::ZshInstalled));
}

#[test]
fn fish_completes_at_a_terminal() {
    or_skip!(at_a_terminal(Terminal::Fish));
}

/// Types [`KEYS`] where a context is defined. `Err` where there is no such shell.
fn at_a_terminal(terminal: Terminal) -> Result<(), String> {
    let shells = shells();
    let config = shells.home().join(".config/capture-agent");
    fs::create_dir_all(&config).expect("a directory");
    let contexts = "[contexts.prod-eu]\nurl = \"ssh://a\"\n";
    fs::write(config.join("contexts.toml"), contexts).expect("a file");
    shells.type_keys(terminal, KEYS)
}

/// What is typed before the tab key, and what stands on the line then.
const KEYS: &[(&str, &str)] = &[
    ("capture-agent comp", "capture-agent completions"),
    ("capture-agent run --pro", "capture-agent run --protocol"),
    (
        "capture-agent run --protocol u",
        "capture-agent run --protocol udp",
    ),
    (
        "capture-agent run --protocol=u",
        "capture-agent run --protocol=udp",
    ),
    ("capture-agent run -i an", "capture-agent run -i any"),
    (
        "capture-agent run -w with",
        "capture-agent run -w with\\ space.pcapng",
    ),
    ("capture-agent print dir", "capture-agent print directory/"),
    (
        "capture-agent task list --state fa",
        "capture-agent task list --state failed",
    ),
    (
        "capture-agent context use pro",
        "capture-agent context use prod-eu",
    ),
    (
        "capture-agent task list --context=pro",
        "capture-agent task list --context=prod-eu",
    ),
    (
        "capture-agent context use lo",
        "capture-agent context use local",
    ),
];
