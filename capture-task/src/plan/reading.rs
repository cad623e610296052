//! A task as JSON, field by field: what cannot be read of one field does not hide what is wrong with
//! the others. `run --tasks` and the API read tasks here.

use serde_json::{Map, Value};

use super::{Face, Fault, Plan, nearest, quote};
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
pub struct Reading {
    /// Those that can be read.
    pub spec: TaskSpec,
    /// The plan, where nothing is wrong with the task.
    pub plan: Option<Plan>,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

impl Reading {
    /// Reads every field, and gives all faults. A field that cannot be read is left out, and then is
    /// not also said to be missing. `others` are the keys that the caller took out, for the hint at
    /// what an unknown one may have meant.
    pub fn of(fields: Map<String, Value>, others: &[&str], face: Face) -> Self {
        let mut faults = Vec::new();
        let mut readable = Map::new();
        for (key, value) in fields {
            let fault = if KEYS.contains(&key.as_str()) {
                let alone = Map::from_iter([(key.clone(), value.clone())]);
                match serde_json::from_value::<TaskSpec>(Value::Object(alone)) {
                    Ok(_) => {
                        readable.insert(key, value);
                        continue;
                    }
                    Err(error) => Fault {
                        pointer: pointer(&key),
                        code: "invalid",
                        detail: type_fault(&error, &value),
                    },
                }
            } else {
                Fault {
                    pointer: pointer(&key),
                    code: "unknown",
                    detail: unknown(&key, others),
                }
            };
            faults.push(fault);
        }
        // Every field was read on its own, so that together they can be.
        let spec: TaskSpec = serde_json::from_value(Value::Object(readable)).unwrap_or_default();
        let plan = match Plan::resolve(&spec, face) {
            Ok(plan) => faults.is_empty().then_some(plan),
            Err(more) => {
                let known: Vec<_> = faults.iter().map(|fault| fault.pointer.clone()).collect();
                faults.extend(
                    more.into_iter()
                        .filter(|fault| !known.contains(&fault.pointer)),
                );
                None
            }
        };
        Self { spec, plan, faults }
    }
}

/// The JSON pointer of a key (RFC 6901, section 3).
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn unknown(key: &str, others: &[&str]) -> String {
    let known = KEYS.iter().chain(others).copied();
    let hint = nearest(key, known)
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
    text.replace("a sequence", "a list").replace(
        "struct RotateSpec",
        "a table of `bytes`, `seconds` and `files`",
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
        let reading = Reading::of(fields, &["start_at"], Face::Daemon);
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
