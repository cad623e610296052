//! What a file of tasks becomes, and what is said of a bad one.

use capture_task::plan::Format;

use super::*;

fn resolved(name: &str, text: &str) -> Result<Vec<TaskRequest>, Vec<String>> {
    let tasks = parse(Path::new(name), text).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let requests = resolve(tasks, &mut problems);
    if problems.is_empty() {
        Ok(requests)
    } else {
        Err(problems)
    }
}

fn problems(name: &str, text: &str) -> Vec<String> {
    match resolved(name, text) {
        Ok(tasks) => panic!("{} tasks from {text}", tasks.len()),
        Err(problems) => problems,
    }
}

const TOML: &str = r#"
[[tasks]]
name = "dns"
interfaces = ["eth0", "eth1"]
ports = [53, "5353-5355"]
write = "dns.pcap"
[[tasks]]
interfaces = ["any"]
duration = "10m"
rotate = { bytes = "10MB", files = 3 }
"#;

const JSON: &str = r#"[
    {"name": "dns", "interfaces": ["eth0", "eth1"], "ports": [53, "5353-5355"], "write": "dns.pcap"},
    {"interfaces": ["any"], "duration": "10m", "rotate": {"bytes": "10MB", "files": 3}}
]"#;

#[test]
fn the_same_in_every_form() {
    let expected = resolved("t.toml", TOML).expect("valid");
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[0].target, Some(Target::File("dns.pcap".into())));
    assert_eq!(expected[0].plan.format, Format::Pcap);
    assert_eq!(expected[1].target, None);
    let object = format!("{{\"tasks\": {JSON}}}");
    for (name, text) in [("t.json", JSON), ("T.JSON", &object)] {
        let found = resolved(name, text).expect("valid");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.spec, expected.spec);
            assert_eq!(found.plan, expected.plan);
            assert_eq!(found.target, expected.target);
        }
    }
}

#[test]
fn all_faults_of_all_tasks_with_their_places() {
    let text = r#"[
        {"interfaces": ["lo"], "ip": "10.0.0.256", "ports": [80, 70000]},
        {"interfaces": ["lo"], "write": "a.pcapng"},
        {"interfaces": "lo", "prot": "tcp", "duration": 1.5, "write": 7},
        [],
        {"write": "./a.pcapng"},
        {"interfaces": ["lo"], "write": "-", "rotate": {"byte": 1}}
    ]"#;
    let found = problems("t.json", text);
    let expected = [
        "tasks[0].ip: ",
        "tasks[0].ports[1]: ",
        "tasks[2].duration: a whole number, or text such as \"10m\" or \"8000-8100\", is expected, not 1.5",
        "tasks[2].interfaces: a list is expected, not \"lo\"",
        "tasks[2].prot: a task has no such field (did you mean `protocol`?)",
        "tasks[2].write: a file name is expected",
        "tasks[3]: a task is a table of fields",
        "tasks[4].interfaces: no interface is given",
        "tasks[4].write: tasks[1] writes to \"./a.pcapng\" already",
        "tasks[5].rotate: \"byte\" is no field of a rotation; it has `bytes`, `seconds` and `files`",
        "tasks[5].write: standard output is for a single task",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
}

#[test]
fn files_that_are_no_list_of_tasks() {
    let many = format!("[{}]", vec![r#"{"interfaces":["lo"]}"#; 65].join(","));
    for (name, text, expected) in [
        ("t.yaml", "", "its suffix says neither .toml nor .json"),
        ("toml", "", "its suffix says neither .toml nor .json"),
        ("t.toml", "", "there is no task in it"),
        ("t.json", "[]", "there is no task in it"),
        ("t.json", "7", "it holds no list of tasks"),
        ("t.json", r#"{"tasks": {}}"#, "`tasks` is not a list"),
        ("t.toml", "[[task]]\n", "\"task\" is not known here"),
        ("t.toml", "[[tasks]]\nip = \n", "t.toml, line 2: "),
        ("t.json", "[\n{,}]", "line 2"),
        ("t.json", &many, "65 tasks are too many; at most 64"),
    ] {
        let found = problems(name, text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{name}: {}", found[0]);
    }
}
