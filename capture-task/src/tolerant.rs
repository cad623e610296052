//! Reads JSON that another version may have written: members that this version does not know are left out and named. For
//! what is stored or answered; requests are read strictly, by [`crate::plan::JsonTask`].

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The part of an object that this version can read, and the names of the members that it cannot. A value of another
/// type is all unreadable, and named by an empty text.
pub fn known_part<T: DeserializeOwned + Default>(value: &Value) -> (T, Vec<String>) {
    // A list would be read as members in their order.
    let Some(members) = value.as_object() else {
        return (T::default(), vec![String::new()]);
    };
    if let Ok(whole) = T::deserialize(value) {
        return (whole, Vec::new());
    }
    let is_known = |name: &str, value: &Value| T::deserialize(json!({ name: value })).is_ok();
    let (known, unknown): (Vec<_>, Vec<_>) = members
        .iter()
        .partition(|(name, value)| is_known(name, value));
    let unknown: Vec<_> = unknown.into_iter().map(|(name, _)| name.clone()).collect();
    let known: Map<_, _> = known
        .into_iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    match T::deserialize(Value::Object(known)) {
        Ok(part) => (part, unknown),
        Err(_) => (T::default(), vec![String::new()]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::task::{TaskRecord, TaskSpec};

    #[test]
    fn what_a_later_version_added_is_left_out_and_named() {
        let stored = json!({
            "name": "x", "interfaces": ["lo"], "expression": "tcp", "ports": {"from": 1}, "max_packets": 5,
        });
        let (spec, unknown) = known_part::<TaskSpec>(&stored);
        let known = json!({"name": "x", "interfaces": ["lo"], "max_packets": 5});
        assert_eq!(serde_json::to_value(spec).expect("a request"), known);
        assert_eq!(unknown, ["expression", "ports"]);

        assert_eq!(known_part::<TaskSpec>(&known).1, [""; 0]);
        for wrong in [json!([]), json!("x"), json!(null)] {
            assert_eq!(
                known_part(&wrong),
                (TaskSpec::default(), vec![String::new()])
            );
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_read() {
        let record: TaskRecord = serde_json::from_value(json!({
            "id": "01M84KVPQ7BPADDYJBK1P0YEY6", "name": "web", "owner": {"uid": 5},
            "spec": {"name": "web", "interfaces": ["lo"], "expression": "tcp", "rotate": {"lines": 5}},
            "state": "completed", "stop_reason": "quota", "created_at": "2026-11-23T16:29:38.407Z",
            "counters": {
                "matched": 1, "captured": 1, "bytes": 90, "oversize_discarded": 0, "over_limit": 0, "duplicates": 7,
                "dropped": {"ring": 0, "queue": 0, "write": 0, "copy": 0, "disk": 1},
            },
            "files": [{"index": 0, "name": "a", "size": 9, "packets": 1, "complete": true, "md5": "x"}],
        }))
        .expect("a record");
        assert_eq!(record.spec.interfaces, ["lo"]);
        assert_eq!(record.spec.rotate, None);
        // "Anything else".
        assert_eq!(record.stop_reason, Some(crate::task::StopReason::Error));
    }
}
