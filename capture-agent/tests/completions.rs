//! Completion as a person uses it: scripts are read by real shells, which are asked what may come next, and keys are
//! typed at a terminal.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use capture_tests::or_skip;
use tempfile::TempDir;

/// Longest time for a shell to do something.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with the program, the scripts for each shell, and files to be offered.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    fs::create_dir(path.join("bin")).expect("a directory");
    symlink(
        env!("CARGO_BIN_EXE_capture-agent"),
        path.join("bin/capture-agent"),
    )
    .expect("a link");
    fs::create_dir(path.join("work")).expect("a directory");
    for name in ["a.pcapng", "with space.pcapng", "directory/inner.pcapng"] {
        let file = path.join("work").join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
        fs::write(file, "").expect("a file");
    }
    for shell in ["bash", "zsh", "fish"] {
        fs::write(path.join(shell), script(shell)).expect("a script");
    }
    directory
}

fn script(shell: &str) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_capture-agent"))
        .args(["completions", shell])
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{shell}");
    output.stdout
}

/// A shell with the program in PATH, and no daemon.
fn shell(name: &str, directory: &Path) -> Command {
    let path = std::env::var("PATH").expect("a PATH");
    let mut command = Command::new(name);
    command
        .env("PATH", format!("{}/bin:{path}", directory.display()))
        .env("HOME", directory)
        .env("SCRIPTS", directory)
        .env("CAPTURE_AGENT_SOCKET", directory.join("no.sock"))
        .env("TERM", "dumb")
        .current_dir(directory.join("work"));
    command
}

/// Has bash complete the last of these words of a line, as when somebody presses the tab key twice: by the function
/// that the script has registered. Words are taken apart as readline does at "=" and ":".
fn completed(words: &[&str]) -> Vec<String> {
    let directory = directory();
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
    let output = shell("bash", directory.path())
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
    let directory = directory();
    let offered = |line: &str| -> Result<String, String> {
        let ask = format!("source $SCRIPTS/fish; complete --do-complete '{line}'");
        let output = shell("fish", directory.path())
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
    let start = r#"
        PS1='ready> '; . "$SCRIPTS/bash"
        bind 'set enable-bracketed-paste off'
        keep() { [[ $READLINE_LINE ]] || return; printf '%s' "$READLINE_LINE" > "$SCRIPTS/line.new"; mv "$SCRIPTS/line.new" "$SCRIPTS/line"; READLINE_LINE=; }
        bind -x '"\C-g": keep'
    "#;
    let directory = directory();
    fs::write(directory.path().join("start"), start).expect("a file");
    let arguments = ["--noprofile", "--rcfile", "../start", "-i"];
    or_skip!(at_a_terminal("bash", directory.path(), &arguments));
}

#[test]
fn zsh_completes_at_a_terminal() {
    let start = r#"
        PS1='ready> '; unsetopt beep
        autoload -U compinit && compinit -u -d "$SCRIPTS/dump"
        source "$SCRIPTS/zsh"
        keep() { [[ -n $BUFFER ]] || return; print -rn -- "$BUFFER" > "$SCRIPTS/line.new"; mv "$SCRIPTS/line.new" "$SCRIPTS/line"; BUFFER=; }
        zle -N keep; bindkey '^G' keep
    "#;
    let directory = directory();
    fs::write(directory.path().join(".zshrc"), start).expect("a file");
    or_skip!(at_a_terminal("zsh", directory.path(), &["-d", "-i"]));
}

/// As packages install it: found by its name in a directory, and loaded at the first tab key.
#[test]
fn zsh_loads_its_script_at_the_first_key() {
    let start = r#"
        PS1='ready> '; unsetopt beep
        mkdir "$SCRIPTS/site"; cp "$SCRIPTS/zsh" "$SCRIPTS/site/_capture-agent"
        fpath=("$SCRIPTS/site" $fpath)
        autoload -U compinit && compinit -u -d "$SCRIPTS/dump"
        keep() { [[ -n $BUFFER ]] || return; print -rn -- "$BUFFER" > "$SCRIPTS/line.new"; mv "$SCRIPTS/line.new" "$SCRIPTS/line"; BUFFER=; }
        zle -N keep; bindkey '^G' keep
    "#;
    let directory = directory();
    fs::write(directory.path().join(".zshrc"), start).expect("a file");
    or_skip!(at_a_terminal("zsh", directory.path(), &["-d", "-i"]));
}

/// Types lines with a tab key behind each, and compares what stands there then. `Err` where there is no such shell.
fn at_a_terminal(name: &str, directory: &Path, arguments: &[&str]) -> Result<(), String> {
    installed(name, Command::new(name).arg("--version").output())?;
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let slave = || Stdio::from(terminal.slave.try_clone().expect("a descriptor"));
    let mut child = shell("setsid", directory)
        .env("ZDOTDIR", directory)
        .args(["--ctty", "--wait", name])
        .args(arguments)
        .stdin(slave())
        .stdout(slave())
        .stderr(slave())
        .spawn()
        .expect("setsid is there");
    let mut master = fs::File::from(terminal.master);
    let mut screen = master.try_clone().expect("a descriptor");
    // What is shown is read, so that the shell is not held up.
    let reader = thread::spawn(move || {
        let (mut shown, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = screen.read(&mut part) {
            shown.extend_from_slice(&part[..count]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    });
    let line = directory.join("line");
    let mut found = Vec::new();
    for (keys, _) in KEYS {
        let _ = fs::remove_file(&line);
        // The first keys may come before the shell has read its settings: they are kept by the terminal.
        master.write_all(keys.as_bytes()).expect("keys are typed");
        master.write_all(b"\t").expect("keys are typed");
        let since = Instant::now();
        while !line.exists() && since.elapsed() < PATIENCE {
            master.write_all(b"\x07").expect("keys are typed");
            thread::sleep(Duration::from_millis(300));
        }
        found.push(fs::read_to_string(&line).unwrap_or_default());
    }
    // Ends the shell, wherever it is.
    master.write_all(b"\x15 exit\n").expect("keys are typed");
    let since = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && since.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    drop((master, terminal.slave));
    let shown = reader.join().expect("the screen");
    for ((keys, expected), found) in KEYS.iter().zip(found) {
        assert_eq!(found.trim_end(), *expected, "{keys}: {shown}");
    }
    Ok(())
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
];

/// The output of a shell, or that it is not there.
fn installed(
    name: &str,
    output: std::io::Result<std::process::Output>,
) -> Result<std::process::Output, String> {
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("{name} is not installed"))
        }
        output => Ok(output.expect("it runs")),
    }
}
