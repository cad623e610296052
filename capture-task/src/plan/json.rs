//! A task as JSON, field by field: what cannot be read of one field does not hide what is wrong with
//! the others. `run --tasks` and the API read tasks here.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    address,
    fault::{ExpectedType, Fault, FaultKind, JsonType},
    field::Field,
    limits::{MAX_ADDRESS_ITEMS, MAX_INTERFACES, MAX_PORTS, MOST_FAULTS},
    origin::RequestOrigin,
    ports, resolve,
    text::{Excerpt, nearest},
    validated::Plan,
};
use crate::task::{Addresses, Quantity, RotateSpec, TaskSpec};

/// A task that came as JSON.
#[derive(Debug)]
pub struct JsonTask {
    /// The fields that can be read.
    pub spec: TaskSpec,
    /// The plan, where nothing is wrong with the task.
    pub plan: Option<Plan>,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

impl JsonTask {
    /// Reads every field, and gives all faults. A field that cannot be read is left out, and then is
    /// not also said to be missing. `others` are the keys that the caller took out, for the hint at
    /// what an unknown one may have meant.
    pub fn read(fields: Map<String, Value>, others: &[&str], origin: RequestOrigin) -> Self {
        let mut faults = Vec::new();
        let mut spec = TaskSpec::default();
        for (key, value) in fields {
            let read = match Field::named(&key).filter(|field| field.is_task_key()) {
                Some(field) => read_field(&mut spec, field, value),
                // A hint that nobody gets to see is not worth its search.
                None => Err(unknown(&key, others, faults.len() < MOST_FAULTS)),
            };
            if let Err(kind) = read {
                let pointer = pointer(&key);
                faults.push(Fault { pointer, kind });
            }
        }
        let plan = match Plan::resolve(&spec, origin) {
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

/// The JSON pointer of a key (RFC 6901, section 3).
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn unknown(key: &str, others: &[&str], has_hint: bool) -> FaultKind {
    let keys = Field::ALL.iter().filter(|field| field.is_task_key());
    let keys = keys.map(|field| field.name());
    let near = has_hint.then(|| nearest(key, keys.chain(others.iter().copied())));
    FaultKind::UnknownField {
        near: near.flatten().map(str::to_owned),
    }
}

/// Reads the value of a field into the request, which stays as it is where the value is of another type.
fn read_field(spec: &mut TaskSpec, field: Field, value: Value) -> Result<(), FaultKind> {
    // All fields of a request, so that none is forgotten here.
    let TaskSpec {
        name,
        interfaces,
        direction,
        hook,
        protocol,
        address_type,
        ip,
        ports,
        peer_ip,
        peer_ports,
        icmp_errors,
        max_bytes,
        oversize,
        duration,
        max_packets,
        max_file_bytes,
        format,
        rotate,
    } = spec;
    match field {
        Field::Name => *name = optional(value, text)?,
        Field::Interfaces => {
            *interfaces = list(value, MAX_INTERFACES, resolve::too_many_interfaces, text)?;
        }
        Field::Direction => *direction = optional(value, text)?,
        Field::Hook => *hook = optional(value, text)?,
        Field::Protocol => *protocol = optional(value, text)?,
        Field::AddressType => *address_type = optional(value, text)?,
        Field::Ip => *ip = optional(value, addresses)?,
        Field::Ports => *ports = list(value, MAX_PORTS, ports::too_many, quantity)?,
        Field::PeerIp => *peer_ip = optional(value, addresses)?,
        Field::PeerPorts => *peer_ports = list(value, MAX_PORTS, ports::too_many, quantity)?,
        Field::IcmpErrors => *icmp_errors = boolean(value)?,
        Field::MaxBytes => *max_bytes = optional(value, quantity)?,
        Field::Oversize => *oversize = optional(value, text)?,
        Field::Duration => *duration = optional(value, quantity)?,
        Field::MaxPackets => *max_packets = optional(value, quantity)?,
        Field::MaxFileBytes => *max_file_bytes = optional(value, quantity)?,
        Field::Format => *format = optional(value, text)?,
        Field::Rotate => *rotate = optional(value, rotation)?,
        // No keys of the task itself.
        Field::RotateBytes | Field::RotateSeconds | Field::RotateFiles | Field::StartAt => {}
    }
    Ok(())
}

/// A value, or `null` as if the field were absent.
fn optional<T>(
    value: Value,
    read: impl FnOnce(Value) -> Result<T, FaultKind>,
) -> Result<Option<T>, FaultKind> {
    match value {
        Value::Null => Ok(None),
        value => read(value).map(Some),
    }
}

fn text(value: Value) -> Result<String, FaultKind> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(ExpectedType::Text, &other)),
    }
}

/// One address, or a list of them.
fn addresses(value: Value) -> Result<Addresses, FaultKind> {
    let too_many = |count| address::too_many(count, MAX_ADDRESS_ITEMS);
    match value {
        Value::String(text) => Ok(Addresses::One(text)),
        items @ Value::Array(_) => {
            list(items, MAX_ADDRESS_ITEMS, too_many, text).map(Addresses::List)
        }
        other => Err(wrong_type(ExpectedType::Addresses, &other)),
    }
}

fn boolean(value: Value) -> Result<bool, FaultKind> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(value) => Ok(value),
        other => Err(wrong_type(ExpectedType::Boolean, &other)),
    }
}

fn quantity(value: Value) -> Result<Quantity, FaultKind> {
    if let Some(number) = value.as_i64() {
        return Ok(Quantity::Number(number));
    }
    // Whole, but more than anything can be, which is for the field to say.
    if let Some(number) = value.as_u64() {
        return Ok(Quantity::Text(number.to_string()));
    }
    // Beyond 64 bits, and in some programs all numbers, are written with a point or an exponent.
    if let Some(number) = value.as_f64().filter(|number| number.fract() == 0.0) {
        let text = format!("{number:.0}");
        return Ok(text.parse().map_or(Quantity::Text(text), Quantity::Number));
    }
    match value {
        Value::String(text) => Ok(Quantity::Text(text)),
        other => Err(wrong_type(ExpectedType::Quantity, &other)),
    }
}

/// A list of at most so many items. Of one that is too long no item is looked at.
fn list<T>(
    value: Value,
    most: usize,
    too_many: fn(usize) -> FaultKind,
    read: fn(Value) -> Result<T, FaultKind>,
) -> Result<Vec<T>, FaultKind> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) if items.len() > most => Err(too_many(items.len())),
        Value::Array(items) => items.into_iter().map(read).collect(),
        other => Err(wrong_type(ExpectedType::List, &other)),
    }
}

fn rotation(value: Value) -> Result<RotateSpec, FaultKind> {
    let Value::Object(fields) = value else {
        return Err(wrong_type(ExpectedType::Rotation, &value));
    };
    let mut rotate = RotateSpec::default();
    let RotateSpec {
        bytes,
        seconds,
        files,
    } = &mut rotate;
    for (key, value) in fields {
        let member = match key.as_str() {
            "bytes" => &mut *bytes,
            "seconds" => &mut *seconds,
            "files" => &mut *files,
            other => return Err(FaultKind::UnknownRotateField { name: other.into() }),
        };
        *member = optional(value, quantity)?;
    }
    Ok(rotate)
}

fn wrong_type(expected: ExpectedType, value: &Value) -> FaultKind {
    let (found, value) = match value {
        Value::Null => (JsonType::Null, None),
        Value::Bool(value) => (JsonType::Boolean, Some(value.to_string())),
        Value::Number(number) => (JsonType::Number, Some(number.to_string())),
        Value::String(text) => (JsonType::Text, Some(text.clone())),
        Value::Array(_) => (JsonType::List, None),
        Value::Object(_) => (JsonType::Object, None),
    };
    FaultKind::WrongType {
        expected,
        found,
        value: value.map(|value| Excerpt::from(value.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{plan::Wording, printable::is_printable};

    fn faults(task: Value) -> Vec<(String, &'static str)> {
        let Value::Object(fields) = task else {
            panic!("a task is an object");
        };
        let reading = JsonTask::read(fields, &["start_at"], RequestOrigin::Daemon);
        assert_eq!(reading.plan.is_some(), reading.faults.is_empty());
        let faults = reading.faults.into_iter();
        faults
            .map(|fault| (fault.pointer, fault.kind.code()))
            .collect()
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
    fn whole_numbers_are_read_however_they_are_written() {
        let max_bytes = |text: &str| {
            let fields = format!(r#"{{"name":"n","interfaces":["x"],"max_bytes":{text}}}"#);
            let fields = serde_json::from_str(&fields).expect("an object");
            let read = JsonTask::read(fields, &[], RequestOrigin::Daemon);
            let sentences = read.faults.iter();
            let sentences = sentences.map(|fault| fault.kind.sentence(Wording::API));
            (read.spec.max_bytes, sentences.collect::<String>())
        };
        for text in ["128", "128.0", "1.28e2"] {
            let (read, faults) = max_bytes(text);
            assert_eq!(
                (read, &*faults),
                (Some(Quantity::Number(128)), ""),
                "{text}"
            );
        }
        let (_, faults) = max_bytes("18446744073709551616");
        assert!(faults.contains("18446744073709551616"), "{faults}");
        assert!(
            !faults.contains("e+19") && !faults.contains("e19"),
            "{faults}"
        );
    }

    /// How many faults a body has, no two of them about one field.
    fn count(task: &str) -> usize {
        let fields = serde_json::from_str(task).expect("an object");
        let faults = JsonTask::read(fields, &["start_at"], RequestOrigin::Daemon).faults;
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
            ("ip", "\"a/b\"", 1024),
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
            let faults = JsonTask::read(fields, &[], RequestOrigin::Daemon).faults;
            assert_eq!(faults.len(), 1, "{field}");
            let detail = faults[0].kind.sentence(Wording::API);
            assert!(detail.len() < 1500, "{field}: {} bytes", detail.len());
            assert!(detail.chars().all(is_printable), "{field}: {detail:?}");
        }
        // What was expected is still there.
        let Value::Object(fields) =
            json!({"name": "x".repeat(5000), "interfaces": "y".repeat(5000)})
        else {
            panic!("an object");
        };
        let faults = JsonTask::read(fields, &[], RequestOrigin::Daemon).faults;
        let detail = faults[0].kind.sentence(Wording::API);
        let expected = format!("a list is expected, not \"{}\"…", "y".repeat(60));
        assert_eq!(detail, expected);
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

    /// By serde, which writes and reads the tasks that are kept, and here.
    #[test]
    fn every_field_is_read() {
        let quantity = |text: &str| Some(Quantity::Text(text.to_owned()));
        let text = |text: &str| Some(text.to_owned());
        let spec = TaskSpec {
            name: text("n"),
            interfaces: vec!["eth0".to_owned()],
            direction: text("ingress"),
            hook: text("tc"),
            protocol: text("tcp"),
            address_type: text("ip_pair"),
            ip: Some("10.0.0.1".into()),
            ports: vec![Quantity::Number(443)],
            peer_ip: Some("10.0.0.2".into()),
            peer_ports: vec![Quantity::Text("1024-65535".to_owned())],
            icmp_errors: true,
            max_bytes: Some(Quantity::Number(128)),
            oversize: text("discard"),
            duration: quantity("1m"),
            max_packets: quantity("10"),
            max_file_bytes: quantity("1GiB"),
            format: text("pcap"),
            rotate: Some(RotateSpec {
                bytes: quantity("10MB"),
                seconds: quantity("1h"),
                files: quantity("3"),
            }),
        };
        let json = serde_json::to_value(&spec).expect("JSON");
        let fields = json.as_object().expect("an object").clone();
        let mut found: Vec<_> = fields.keys().map(String::as_str).collect();
        let nested = json["rotate"].as_object().expect("an object").keys();
        let nested: Vec<_> = nested.map(|key| format!("rotate.{key}")).collect();
        found.extend(nested.iter().map(String::as_str));
        found.push("start_at");
        found.sort_unstable();
        let mut known: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
        known.sort_unstable();
        assert_eq!(found, known);

        let task = JsonTask::read(fields, &[], RequestOrigin::Daemon);
        assert_eq!(task.faults, []);
        assert_eq!(task.spec, spec);
        assert_eq!(
            serde_json::from_value::<TaskSpec>(json).expect("a task"),
            spec
        );
    }

    #[test]
    fn values_of_other_types() {
        for (field, value, expected) in [
            ("name", json!(5), "text is expected, not 5"),
            (
                "name",
                json!(null),
                "a task needs a name that tells its purpose",
            ),
            ("interfaces", json!("lo"), "a list is expected, not \"lo\""),
            (
                "ip",
                json!(5),
                "an address as text, or a list of them, is expected, not 5",
            ),
            ("ip", json!(["::1", 5]), "text is expected, not 5"),
            (
                "interfaces",
                json!(["lo", {}]),
                "text is expected, not a table",
            ),
            (
                "interfaces",
                json!(null),
                "no interface is given; name at least one, or \"any\" for all",
            ),
            ("icmp_errors", json!(0), "true or false is expected, not 0"),
            (
                "max_bytes",
                json!(1.5),
                "a whole number, or text such as \"10m\" or \"8000-8100\", is expected, not 1.5",
            ),
            (
                "rotate",
                json!([1]),
                "a table of `bytes`, `seconds` and `files` is expected, not a list",
            ),
            (
                "rotate",
                json!({"bytes": false}),
                "a whole number, or text such as \"10m\" or \"8000-8100\", is expected, not false",
            ),
            (
                "rotate",
                json!({"byte": 1}),
                "\"byte\" is no field of a rotation; it has `bytes`, `seconds` and `files`",
            ),
        ] {
            let mut task = json!({"name": "n", "interfaces": ["lo"]});
            task[field] = value;
            let fields = task.as_object().expect("an object").clone();
            let faults = JsonTask::read(fields, &[], RequestOrigin::Daemon).faults;
            let sentences: Vec<_> = faults
                .iter()
                .map(|fault| fault.kind.sentence(Wording::API))
                .collect();
            assert_eq!(sentences, [expected], "{field}");
            assert_eq!(faults[0].pointer, format!("/{field}"));
        }
        // As if it were not there.
        for field in [
            "direction",
            "ip",
            "max_bytes",
            "rotate",
            "ports",
            "peer_ports",
            "icmp_errors",
        ] {
            let task = json!({"name": "n", "interfaces": ["x"], field: null});
            assert_eq!(faults(task), [], "{field}");
        }
        let dotted = json!({"name": "n", "interfaces": ["x"], "rotate.bytes": 1});
        assert_eq!(faults(dotted), [("/rotate.bytes".to_owned(), "unknown")]);
    }
}
