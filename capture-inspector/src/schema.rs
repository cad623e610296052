//! The JSON schema of an answer, as docs/reference/analysis.schema.json publishes it; and that answers are as it says.

use std::{fs, path::Path};

use capture_packet::testing::{MILLISECOND, SECOND, framed, ip, tcp, tcp_frame, udp_frame};
use serde_json::{Value, json};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::{Analysis, analyze, compare, testing::Pcapng};

const PUBLISHED: &str = "docs/reference/analysis.schema.json";

/// The schema, of the dialect that OpenAPI 3.1 has as well.
fn schema() -> Value {
    let mut parts = Vec::new();
    Analysis::schemas(&mut parts);
    let mut schema = serde_json::to_value(Analysis::schema()).expect("JSON");
    let parts = parts.into_iter().map(|(name, part)| {
        let part = serde_json::to_value(part).expect("JSON");
        (name, part)
    });
    schema["$defs"] = parts.collect::<serde_json::Map<_, _>>().into();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("What `capture-agent analyze -o json` says");
    let text = serde_json::to_string_pretty(&schema).expect("JSON");
    let text = text.replace("#/components/schemas/", "#/$defs/");
    serde_json::from_str(&text).expect("JSON")
}

fn published() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(PUBLISHED)
}

#[test]
fn the_published_schema_is_the_one() {
    let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(published(), &text).expect("it is written");
    }
    let published = fs::read_to_string(published()).unwrap_or_default();
    assert_eq!(published, text, "UPDATE_SNAPSHOTS=1 writes it anew");
}

/// Those keywords of JSON Schema that are used, and more strictly: what is not described is wrong, too.
struct Check<'s> {
    whole: &'s Value,
    wrong: Vec<String>,
}

impl<'s> Check<'s> {
    fn value(&mut self, at: &str, value: &Value, schema: &'s Value) {
        let schema = self.resolved(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            let is_one = |choice: &&'s Value| {
                let mut check = Check {
                    whole: self.whole,
                    wrong: Vec::new(),
                };
                check.value(at, value, choice);
                check.wrong.is_empty()
            };
            let fitting = choices.iter().filter(|choice| is_one(choice)).count();
            if fitting != 1 {
                self.wrong
                    .push(format!("{at}: {fitting} choices fit {value}"));
            }
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            self.wrong
                .push(format!("{at}: {value} is not in {allowed:?}"));
        }
        match value {
            Value::Object(object) => {
                let described = self.properties(schema);
                for (key, value) in object {
                    let at = format!("{at}.{key}");
                    let of_map = &schema["additionalProperties"];
                    match described.iter().find(|(name, _)| *name == key) {
                        Some((_, schema)) => self.value(&at, value, schema),
                        None if of_map.is_object() => self.value(&at, value, of_map),
                        None => self.wrong.push(format!("{at} is not described")),
                    }
                }
                for key in self.required(schema) {
                    if !object.contains_key(key) {
                        self.wrong.push(format!("{at}.{key} is missing"));
                    }
                }
            }
            Value::Array(items) => {
                self.kind(at, "array", schema);
                for item in items {
                    self.value(&format!("{at}[]"), item, &schema["items"]);
                }
            }
            Value::Null => self.kind(at, "null", schema),
            Value::Bool(_) => self.kind(at, "boolean", schema),
            Value::String(_) => self.kind(at, "string", schema),
            Value::Number(number) if number.is_f64() => self.kind(at, "number", schema),
            Value::Number(_) if self.is_kind("number", schema) => {}
            Value::Number(_) => self.kind(at, "integer", schema),
        }
    }

    fn is_kind(&self, kind: &str, schema: &Value) -> bool {
        match &schema["type"] {
            Value::String(only) => only == kind,
            Value::Array(several) => several.iter().any(|it| it == kind),
            _ => false,
        }
    }

    fn kind(&mut self, at: &str, kind: &str, schema: &Value) {
        if !self.is_kind(kind, schema) {
            self.wrong
                .push(format!("{at} is {kind}, and not {}", schema["type"]));
        }
    }

    fn resolved(&self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(path) => self.whole.pointer(&path[1..]).expect("what is referred to"),
            None => schema,
        }
    }

    /// Of all parts where a schema consists of several.
    fn properties(&self, schema: &'s Value) -> Vec<(&'s String, &'s Value)> {
        let own = schema["properties"].as_object().into_iter().flatten();
        let parts = ["allOf", "anyOf"].map(|several| schema[several].as_array());
        let parts = parts.into_iter().flatten().flatten();
        let of_parts = parts.flat_map(|part| self.properties(self.resolved(part)));
        own.chain(of_parts).collect()
    }

    fn required(&self, schema: &'s Value) -> Vec<&'s str> {
        let own = schema["required"].as_array().into_iter().flatten();
        let parts = schema["allOf"].as_array().into_iter().flatten();
        let of_parts = parts.flat_map(|part| self.required(self.resolved(part)));
        own.filter_map(Value::as_str).chain(of_parts).collect()
    }
}

fn wrong(analysis: &Analysis) -> Vec<String> {
    let schema = schema();
    let mut check = Check {
        whole: &schema,
        wrong: Vec::new(),
    };
    check.value(
        "answer",
        &serde_json::to_value(analysis).expect("JSON"),
        &schema,
    );
    check.wrong
}

/// Something of everything that an answer may have.
fn rich() -> Pcapng {
    let (client, server) = (("10.0.0.5", 40_000), ("10.0.0.9", 80));
    let query = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01";
    let mut answer = query.to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x83]);
    let (resolver, asker) = (("10.0.0.2", 53), ("10.0.0.5", 5353));
    Pcapng::new("task", "eth0")
        .packet(0, &tcp_frame(client, server, 2, 0, b""))
        .packet(MILLISECOND, &tcp_frame(server, client, 18, 0, b""))
        .packet(2 * MILLISECOND, &tcp_frame(client, server, 16, 1, b"GET"))
        .packet(3 * MILLISECOND, &udp_frame(asker, resolver, query))
        .packet(4 * MILLISECOND, &udp_frame(resolver, asker, &answer))
        .packet(
            5 * MILLISECOND,
            &framed(&ip("10.0.0.9", "10.0.0.9", 6, &tcp((80, 80), 2, 1, &[]))),
        )
        .packet(SECOND, &framed(&ip("10.0.0.9", "10.0.0.5", 1, &[0; 8])))
        .lost(3)
}

#[test]
fn answers_are_as_the_schema_says() {
    let nothing = || Pcapng::new("task", "eth0");
    let mut cut = rich().bytes();
    cut.truncate(cut.len() - 3);
    let cut = crate::testing::on_disk("cut", &cut);
    for mut inputs in [
        vec![rich().file("a")],
        vec![rich().file("a"), Pcapng::new("b", "eth0").file("b"), cut],
        vec![nothing().file("nothing")],
    ] {
        let analysis = analyze(&mut inputs).expect("it is read");
        assert_eq!(wrong(&analysis), [""; 0]);
    }
    for (now, before) in [(rich(), nothing()), (nothing(), rich())] {
        let (mut now, mut before) = ([now.file("now")], [before.file("before")]);
        let analysis = compare(&mut now, &mut before).expect("they are read");
        let comparison = analysis.comparison.as_ref().expect("a comparison");
        assert_ne!(comparison.new.len(), comparison.gone.len());
        assert_eq!(wrong(&analysis), [""; 0]);
    }
}

#[test]
fn the_check_can_fail() {
    let schema = json!({
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": ["string", "null"]}, "b": {"oneOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}}
    });
    let wrong = |value: Value| {
        let mut check = Check {
            whole: &schema,
            wrong: Vec::new(),
        };
        check.value("it", &value, &schema);
        check.wrong.len()
    };
    assert_eq!(wrong(json!({"a": null, "b": [1]})), 0);
    for value in [
        json!({"a": 1}),
        json!({"b": 1}),
        json!({"a": "", "c": 1}),
        json!({"a": "", "b": ["x"]}),
        json!({"a": "", "b": 0.5}),
    ] {
        assert_eq!(wrong(value.clone()), 1, "{value}");
    }
}
