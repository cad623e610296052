//! Lists of a daemon's tasks on screens and in pipes, and the words by which a task is named: its name, and the ends of
//! its ID, at a shell's tab key too.

use std::process::Command;

use capture_tests::{
    agent::binary,
    daemon::UNLIMITED,
    or_skip,
    shells::{Shells, Terminal},
};
use serde_json::Value;

use super::daemon_cli::{Done, Setup, run};

/// The end of an ID, as lists show it.
fn end(id: &str) -> &str {
    &id[20..]
}

/// The output of a command on a terminal of so many columns.
fn on_terminal(setup: &Setup, columns: u32, arguments: &str) -> String {
    let line = format!(
        "stty cols {columns} rows 24; exec {} {arguments}",
        binary().display()
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("CAPTURE_AGENT_SOCKET", setup.daemon.socket())
        .env("NO_COLOR", "1");
    let done = run(command).code(0);
    done.stdout.replace('\r', "")
}

fn ids(done: Done) -> Vec<String> {
    done.code(0).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn lists_fit_screens_and_pipes_have_it_all() {
    let setup = Setup::new(UNLIMITED);
    let names = [
        "web",
        "dns",
        "a-name-that-is-far-too-long-for-a-screen-of-sixty-columns",
    ];
    let created: Vec<_> = names
        .iter()
        .map(|name| setup.create(&format!("--name {name} --duration 10m")))
        .collect();
    for columns in [60, 80, 100, 200] {
        let screen = on_terminal(&setup, columns, "task list");
        let rows: Vec<_> = screen.lines().collect();
        assert_eq!(rows.len(), 4, "{screen}");
        for (row, id) in rows[1..].iter().zip(created.iter().rev()) {
            assert!(row.chars().count() <= columns as usize, "{row}");
            assert!(
                row.starts_with(end(id)) && row.contains("running "),
                "{row}"
            );
        }
        let whole = on_terminal(&setup, columns, "task list --no-trunc");
        assert!(
            whole.contains(&created[2]) && whole.contains(names[2]),
            "{whole}"
        );
    }
    assert!(on_terminal(&setup, 200, "task list").contains("  root\n"));
    setup
        .cli("task list")
        .code(0)
        .shows(&[&created[0], names[2]]);

    let newest_first = |of: &[usize]| of.iter().map(|i| created[*i].clone()).collect::<Vec<_>>();
    assert_eq!(ids(setup.cli("task list -q")), newest_first(&[2, 1, 0]));
    assert_eq!(ids(setup.cli("task list -q --name d*")), newest_first(&[1]));
    assert_eq!(
        ids(setup.cli("task list -q --name web*a")),
        newest_first(&[])
    );
    assert_eq!(ids(setup.cli("task list -q --since 1h")).len(), 3);
    assert_eq!(ids(setup.cli("task list -q --since 2099-01-01")).len(), 0);
    setup.cli("task stop dns").code(0);
    setup.daemon.ended(&created[1]);
    assert_eq!(
        ids(setup.cli("task list -q --state running,pending")),
        newest_first(&[2, 0])
    );
    let cut = setup.cli("task list -q --limit 1");
    cut.says(&["2 more: --all"]);
    assert_eq!(ids(cut), newest_first(&[2]));
    assert_eq!(setup.cli("task list -q --all").code(0).stderr, "");
    setup.cli("task list -q -o json").code(2);
    setup
        .cli("task list --since soon")
        .code(2)
        .says(&["--since: write an age"]);
    setup.daemon.stop();
}

#[test]
fn a_name_and_the_end_of_an_id_name_a_task() {
    let setup = Setup::new(UNLIMITED);
    let old = setup.finished("web", 5);
    let running = setup.create("--name web --duration 10m");
    let shown = |done: Done| done.code(0).json()["id"].clone();
    // The newest, and that is said.
    let named = setup.cli("task show web -o json");
    named.says(&[&format!(
        "\"web\" is {}, the newest of 2 tasks of this name",
        end(&running)
    )]);
    assert_eq!(shown(named), Value::from(running.as_str()));
    for part in [end(&old), &old[16..], &old.to_lowercase()] {
        let done = setup.cli(&format!("task show {part} -o json"));
        assert_eq!(done.stderr, "");
        assert_eq!(shown(done), Value::from(old.as_str()));
    }
    setup
        .cli("task show 01")
        .code(3)
        .says(&["no task has the name \"01\"", "at least 4"]);
    let error = setup.cli(&format!("task show {}", &old[..4])).code(2);
    error.says(&[
        "any of 2 tasks",
        end(&old),
        &format!("{} (web, running", end(&running)),
    ]);
    // Only one of that name can be stopped.
    let stopped = setup.cli("task stop web").code(0);
    assert_eq!(stopped.stderr, "");
    assert!(stopped.stdout.contains(&running), "{stopped:?}");
    setup.daemon.ended(&running);
    let two = [(); 2].map(|()| setup.create("--name web --duration 10m"));
    let error = setup.cli("task stop web").code(2);
    error.says(&[end(&two[0]), end(&two[1])]);
    setup.cli(&format!("task stop {}", end(&two[0]))).code(0);
    setup.daemon.stop();
}

/// What a shell would be offered.
fn offered(setup: &Setup, words: &[&str]) -> Vec<String> {
    let mut command = Command::new("bash");
    let script = "eval \"$($0 completions bash)\"; words=(\"$@\"); COMP_WORDS=(\"$0\" \"${words[@]}\"); \
        COMP_CWORD=$#; COMP_LINE=\"${COMP_WORDS[*]}\"; COMP_POINT=${#COMP_LINE}; \
        _capture_agent capture-agent \"${words[-1]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; \
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    command
        .args(["-c", script])
        .arg(binary())
        .args(words)
        .env("CAPTURE_AGENT_SOCKET", setup.daemon.socket());
    let done = run(command).code(0);
    done.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn the_tab_key_offers_what_names_a_task() {
    let setup = Setup::new(UNLIMITED);
    let old = setup.finished("web", 1);
    let new = setup.create("--name web --duration 10m");
    setup.create("--name dns --duration 10m");
    for command in ["show", "watch", "findings", "delete", "download"] {
        let found = offered(&setup, &["task", command, ""]);
        for word in ["dns", end(&old), end(&new)] {
            assert!(
                found.iter().any(|found| found == word),
                "{command} {word}: {found:?}"
            );
        }
        assert_eq!(offered(&setup, &["task", command, "d"]), ["dns"]);
    }
    // What has ended cannot be stopped; of what goes on, one has the name.
    let found = offered(&setup, &["task", "stop", ""]);
    assert!(
        found.contains(&"web".to_owned()) && found.contains(&"dns".to_owned()),
        "{found:?}"
    );
    assert!(!found.contains(&end(&old).to_owned()), "{found:?}");
    // Whatever is offered means the task.
    let shown = setup
        .cli(&format!("task show {} -o json", end(&old)))
        .code(0);
    assert_eq!(shown.json()["id"], Value::from(old.as_str()));
    assert!(offered(&setup, &["task", "list", "--state", "run"]).contains(&"running".to_owned()));
    setup.daemon.stop();
}

/// The keys that name a task, where one of two tasks has ended.
fn names_tasks(terminal: Terminal) -> Result<(), String> {
    let setup = Setup::new(UNLIMITED);
    setup.finished("dns-morning", 1);
    setup.create("--name web-night --duration 10m");
    let shells = Shells::with_daemon(&binary(), setup.daemon.socket());
    let typed = shells.type_keys(
        terminal,
        &[
            (
                "capture-agent task show we",
                "capture-agent task show web-night",
            ),
            (
                "capture-agent task download dn",
                "capture-agent task download dns-morning",
            ),
            (
                "capture-agent task stop we",
                "capture-agent task stop web-night",
            ),
            // It has ended.
            ("capture-agent task stop dn", "capture-agent task stop dn"),
        ],
    );
    setup.daemon.stop();
    typed
}

#[test]
fn bash_names_tasks_at_a_terminal() {
    or_skip!(names_tasks(Terminal::Bash));
}

#[test]
fn zsh_names_tasks_at_a_terminal() {
    or_skip!(names_tasks(Terminal::Zsh));
}

#[test]
fn fish_names_tasks_at_a_terminal() {
    or_skip!(names_tasks(Terminal::Fish));
}
