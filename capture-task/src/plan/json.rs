//! A task as JSON, field by field: what cannot be read of one field does not hide what is wrong with
//! the others. `run --tasks` and the API read tasks here.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    fault::{Fault, ValueError},
    limits::{MAX_INTERFACES, MAX_PORTS, MOST_FAULTS},
    origin::RequestOrigin,
    ports, resolve,
    text::{is_printable, nearest, quote},
    validated::Plan,
};
use crate::task::TaskSpec;

/// The keys of a task.
const KEYS: [&str; 18] = [
    "name",
    "interfaces",
    "direction",
    "hook",
    "protocol",
    "address_type",
    "ip",
    "ports",
    "peer_ip",
    "peer_ports",
    "icmp_errors",
    "max_bytes",
    "oversize",
    "duration",
    "max_packets",
    "max_file_bytes",
    "format",
    "rotate",
];

/// What the fields of a task say.
#[derive(Debug)]
pub struct ParsedTask {
    /// Those that can be read.
    pub spec: TaskSpec,
    /// The plan, where nothing is wrong with the task.
    pub plan: Option<Plan>,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

impl ParsedTask {
    /// Reads every field, and gives all faults. A field that cannot be read is left out, and then is
    /// not also said to be missing. `others` are the keys that the caller took out, for the hint at
    /// what an unknown one may have meant.
    pub fn of(fields: Map<String, Value>, others: &[&str], face: RequestOrigin) -> Self {
        let mut faults = Vec::new();
        let mut readable = Map::new();
        for (key, value) in fields {
            let problem = if KEYS.contains(&key.as_str()) {
                let Err(problem) = check(&key, &value) else {
                    readable.insert(key, value);
                    continue;
                };
                problem
            } else {
                // A hint that nobody gets to see is not worth its search.
                let is_shown = faults.len() < MOST_FAULTS;
                ValueError::unknown(unknown(&key, if is_shown { Some(others) } else { None }))
            };
            let ValueError { code, detail } = problem;
            faults.push(Fault {
                pointer: pointer(&key),
                code,
                detail,
            });
        }
        // Every field was read on its own, so that together they can be.
        let spec: TaskSpec = serde_json::from_value(Value::Object(readable)).unwrap_or_default();
        let plan = match Plan::resolve(&spec, face) {
            Ok(plan) => faults.is_empty().then_some(plan),
            Err(more) => {
                add_new(&mut faults, more);
                None
            }
        };
        Self { spec, plan, faults }
    }
}

/// Adds those faults about whose fields nothing is known yet.
pub fn add_new(faults: &mut Vec<Fault>, more: Vec<Fault>) {
    let known: HashSet<_> = faults.iter().map(|fault| fault.pointer.clone()).collect();
    faults.extend(
        more.into_iter()
            .filter(|fault| !known.contains(&fault.pointer)),
    );
}

/// Whether a field can be read on its own.
fn check(key: &str, value: &Value) -> Result<(), ValueError> {
    // Of a list that is too long no item is looked at.
    let count = value.as_array().map_or(0, Vec::len);
    match key {
        "interfaces" if count > MAX_INTERFACES => {
            return Err(resolve::too_many_interfaces(count));
        }
        "ports" | "peer_ports" if count > MAX_PORTS => return Err(ports::too_many(count)),
        _ => {}
    }
    let alone = Map::from_iter([(key.to_owned(), value.clone())]);
    match serde_json::from_value::<TaskSpec>(Value::Object(alone)) {
        Ok(_) => Ok(()),
        Err(error) => Err(ValueError::invalid(type_fault(&error, value))),
    }
}

/// The JSON pointer of a key (RFC 6901, section 3).
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// With a hint at what it may have meant, where that may also be one of others.
fn unknown(key: &str, others: Option<&[&str]>) -> String {
    let near = others.and_then(|others| nearest(key, KEYS.iter().chain(others).copied()));
    let hint = near
        .map(|near| format!(" (did you mean `{near}`?)"))
        .unwrap_or_default();
    format!("a task has no such field{hint}")
}

/// What serde has against the type of a field, in words that do not presume Rust.
fn type_fault(error: &serde_json::Error, value: &Value) -> String {
    let text = error.to_string();
    if text.contains("untagged enum") {
        let value = quote(&value.to_string());
        return format!(
            "a whole number, or text such as \"10m\" or \"8000-8100\", is expected, not {value}"
        );
    }
    let text = text.replace("a sequence", "a list").replace(
        "struct RotateSpec",
        "a table of `bytes`, `seconds` and `files`",
    );
    in_short(&text)
}

/// What others have written into a message: its beginning and its end, which says what was expected, without
/// characters that would move a cursor or turn the text around.
fn in_short(text: &str) -> String {
    const MOST: usize = 200;
    let printable = |text: &str| {
        text.chars().fold(String::new(), |mut shown, character| {
            if is_printable(character) {
                shown.push(character);
            } else {
                shown.extend(character.escape_unicode());
            }
            shown
        })
    };
    if text.len() <= MOST {
        return printable(text);
    }
    let head = text.floor_char_boundary(MOST / 2);
    let tail = text.ceil_char_boundary(text.len() - MOST / 2);
    format!(
        "{} … {}",
        printable(&text[..head]),
        printable(&text[tail..])
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(task: Value) -> Vec<(String, &'static str)> {
        let Value::Object(fields) = task else {
            panic!("a task is an object");
        };
        let reading = ParsedTask::of(fields, &["start_at"], RequestOrigin::Daemon);
        assert_eq!(reading.plan.is_some(), reading.faults.is_empty());
        let faults = reading.faults.into_iter();
        faults.map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn every_fault_is_found() {
        let task = json!({
            "name": 5, "interfaces": ["x"], "ip": "10.0.0.300", "prots": [1], "ports": [true],
        });
        let mut found = faults(task);
        found.sort();
        assert_eq!(
            found,
            [
                ("/ip".to_owned(), "invalid"),
                ("/name".to_owned(), "invalid"),
                ("/ports".to_owned(), "invalid"),
                ("/prots".to_owned(), "unknown"),
            ]
        );
    }

    #[test]
    fn numbers_of_64_bits_are_numbers() {
        let most = u64::MAX;
        let task = json!({
            "name": "n", "interfaces": ["x"], "ports": [most], "max_bytes": most, "duration": most,
            "max_packets": most, "max_file_bytes": most, "rotate": {"bytes": most, "seconds": most},
        });
        let mut found = faults(task);
        found.sort();
        let fields = [
            "/duration",
            "/max_bytes",
            "/max_file_bytes",
            "/max_packets",
            "/ports/0",
            "/rotate/bytes",
            "/rotate/seconds",
        ];
        assert_eq!(
            found,
            fields.map(|field| (field.to_owned(), "out_of_range"))
        );
    }

    /// How many faults a body has, no two of them about one field.
    fn count(task: &str) -> usize {
        let fields = serde_json::from_str(task).expect("an object");
        let faults = ParsedTask::of(fields, &["start_at"], RequestOrigin::Daemon).faults;
        let pointers: HashSet<_> = faults.iter().map(|fault| &fault.pointer).collect();
        assert_eq!(pointers.len(), faults.len());
        faults.len()
    }

    #[test]
    fn a_list_beyond_its_bound_is_one_fault() {
        let with = |field: &str, item: &str, count: usize| {
            let items = vec![item; count].join(",");
            format!(r#"{{"name":"n","ip":"::1","peer_ip":"::2","{field}":[{items}]}}"#)
        };
        for (field, item, most) in [
            ("ports", "-1", 1024),
            ("peer_ports", "\"x\"", 1024),
            ("interfaces", "\"a/b\"", 256),
        ] {
            // `interfaces` is missing where it is not the field.
            let others = usize::from(field != "interfaces");
            assert_eq!(count(&with(field, item, most)), most + others, "{field}");
            assert_eq!(count(&with(field, item, most + 1)), 1 + others, "{field}");
            assert_eq!(count(&with(field, "null", 10_000)), 1 + others, "{field}");
        }
        // Keys are bounded by the body only.
        let keys: Vec<_> = (0..5000).map(|n| format!(r#""k{n}":0"#)).collect();
        assert_eq!(count(&format!("{{{}}}", keys.join(","))), 5002);
    }

    #[test]
    fn what_is_repeated_of_a_value_is_short_and_printable() {
        let long = "\u{1b}[31m\u{202e}".repeat(5_000);
        for (field, value) in [
            ("ip", json!([long.clone()])),
            ("interfaces", json!(long.clone())),
            ("rotate", json!({long.clone(): 1})),
            ("rotate", json!({"bytes": {long.clone(): 1}})),
            ("ports", json!([[long.clone()]])),
            ("max_bytes", json!(long.clone())),
            ("duration", json!(long.clone())),
            ("hook", json!(long)),
        ] {
            let mut task = json!({"name": "n", "interfaces": ["lo"]});
            task[field] = value;
            let Value::Object(fields) = task else {
                panic!("an object");
            };
            let faults = ParsedTask::of(fields, &[], RequestOrigin::Daemon).faults;
            assert_eq!(faults.len(), 1, "{field}");
            let detail = &faults[0].detail;
            assert!(detail.len() < 1500, "{field}: {} bytes", detail.len());
            assert!(detail.chars().all(is_printable), "{field}: {detail:?}");
        }
        // What was expected is still there.
        let Value::Object(fields) =
            json!({"name": "x".repeat(5000), "interfaces": "y".repeat(5000)})
        else {
            panic!("an object");
        };
        let faults = ParsedTask::of(fields, &[], RequestOrigin::Daemon).faults;
        assert!(faults[0].detail.ends_with("expected a list"), "{faults:?}");
    }

    #[test]
    fn a_valid_task_has_a_plan() {
        assert_eq!(faults(json!({"name": "n", "interfaces": ["x"]})), []);
    }

    #[test]
    fn pointers_are_escaped() {
        let found = faults(json!({"name": "n", "interfaces": ["x"], "../~": 1}));
        assert_eq!(found, [("/..~1~0".to_owned(), "unknown")]);
    }

    #[test]
    fn every_field_of_a_task_is_known() {
        let text = r#"{"interfaces": ["lo"], "interface": "lo"}"#;
        let error = serde_json::from_str::<TaskSpec>(text).expect_err("one too many");
        for key in KEYS {
            assert!(error.to_string().contains(&format!("`{key}`")), "{key}");
        }
        let listed = error.to_string().matches('`').count() / 2 - 1;
        assert_eq!(listed, KEYS.len(), "{error}");
    }
}
