//! Completion scripts as a shell uses them: bash is given the words of a line and asked what may come next.

use std::{
    io::ErrorKind,
    process::{Command, Stdio},
};

use capture_tests::or_skip;

fn script(shell: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_capture-agent"))
        .args(["completions", shell])
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{shell}");
    String::from_utf8(output.stdout).expect("text")
}

/// Has bash complete the last of these words of a line, in a directory with the file `a.pcapng`. It is asked as
/// when somebody presses the tab key: by the function that the script has registered, with `COMP_WORDS` and
/// `COMP_CWORD`.
fn completed(words: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("script"), script("bash")).expect("a script");
    std::fs::write(directory.path().join("a.pcapng"), "").expect("a file");
    let ask = r#"
        set -u
        . ./script; rm script
        # Works while a key is handled, and not here; how replies are shown is not asked.
        compopt() { :; }
        registered=$(complete -p capture-agent)
        [[ $registered =~ -F\ ([^ ]+) ]] || exit 1
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
        "${BASH_REMATCH[1]}" capture-agent "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
    "#;
    let output = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", ask, "bash"])
        .args(words)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.is_empty(),
        "{words:?}: {stderr}"
    );
    let replies = String::from_utf8(output.stdout).expect("text");
    replies.split_whitespace().map(str::to_owned).collect()
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
    completes(&["capture-agent", "help", "audit", "ver"], &["verify"]);
}

#[test]
fn bash_completes_options_and_their_values() {
    offers(
        &["capture-agent", "run", "-"],
        &["-i", "-w", "--interface", "--protocol", "--netns", "--help"],
    );
    completes(&["capture-agent", "run", "--pro"], &["--protocol"]);
    completes(
        &["capture-agent", "run", "--protocol", ""],
        &["all", "tcp", "udp", "icmp"],
    );
    completes(
        &["capture-agent", "run", "-i", "lo", "--hook", "xdp-"],
        &["xdp-generic"],
    );
    completes(
        &["capture-agent", "task", "create", "--idem"],
        &["--idempotency-key"],
    );
    offers(
        &["capture-agent", "task", "show", "-"],
        &["--socket", "--output"],
    );
    completes(
        &["capture-agent", "token", "create", "--role", "op"],
        &["operator"],
    );
    completes(&["capture-agent", "completions", "f"], &["fish"]);
}

#[test]
fn bash_completes_files_where_a_file_is_wanted() {
    completes(&["capture-agent", "run", "-w", "a"], &["a.pcapng"]);
    completes(&["capture-agent", "daemon", "--config", ""], &["a.pcapng"]);
}

/// Every command that the script branches to has a branch.
#[test]
fn no_command_leads_nowhere_in_bash() {
    let script = script("bash");
    let lines: Vec<_> = script.lines().map(str::trim).collect();
    let targets = lines
        .iter()
        .filter_map(|line| line.strip_prefix("cmd=\"")?.strip_suffix('"'));
    let targets: Vec<_> = targets.filter(|target| !target.is_empty()).collect();
    assert!(targets.len() > 20, "{targets:?}");
    for target in targets {
        let label = format!("{target})");
        assert!(lines.contains(&label.as_str()), "no branch {label}");
    }
}

#[test]
fn bash_takes_its_script() {
    takes_its_script("bash").expect("bash is on every machine");
}

#[test]
fn zsh_takes_its_script() {
    or_skip!(takes_its_script("zsh"));
}

#[test]
fn fish_takes_its_script() {
    or_skip!(takes_its_script("fish"));
}

/// Has a shell read its script without running it; an error where there is no such shell.
fn takes_its_script(shell: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(shell);
    std::fs::write(&path, script(shell)).expect("a script");
    let output = match Command::new(shell).arg("-n").arg(&path).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!("{shell} is not installed"));
        }
        Err(error) => panic!("{shell}: {error}"),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.is_empty(),
        "{shell}: {stderr}"
    );
    Ok(())
}
