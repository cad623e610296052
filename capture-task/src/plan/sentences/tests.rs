//! Every kind of fault, made by its schema: what the schema allows is read, the reference names its code and its
//! members, and no face says another one's names.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use super::*;
use crate::plan::fault::{Counted, ExpectedType, JsonType, NameRule, PortForm};

/// Names as no face has them, to find those that a sentence has of itself.
const OTHER: Wording = Wording {
    name: |field| format!("<{}>", field.name().to_uppercase()),
    follows_name: true,
};

/// One of each kind, with all its members.
fn every_kind() -> Vec<(Value, FaultKind)> {
    let schema = serde_json::to_value(FaultKind::schema()).expect("JSON");
    let kinds = schema["oneOf"].as_array().expect("kinds").iter();
    kinds
        .map(|kind| {
            let members = kind["properties"].as_object().expect("members").iter();
            let members = members.map(|(name, schema)| (name.clone(), example(schema)));
            let json = Value::Object(members.collect::<Map<_, _>>());
            let kind = serde_json::from_value(json.clone());
            (
                json.clone(),
                kind.unwrap_or_else(|error| panic!("{error}: {json}")),
            )
        })
        .collect()
}

/// A value as a schema has it.
fn example(schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let named = match name.rsplit('/').next() {
            Some("Excerpt") => Excerpt::schema(),
            Some("Field") => Field::schema(),
            Some("NameRule") => NameRule::schema(),
            Some("PortForm") => PortForm::schema(),
            Some("Counted") => Counted::schema(),
            Some("ExpectedType") => ExpectedType::schema(),
            Some("JsonType") => JsonType::schema(),
            _ => panic!("{name} is not known here"),
        };
        return example(&serde_json::to_value(named).expect("JSON"));
    }
    if let Some(words) = schema["enum"].as_array() {
        return words[0].clone();
    }
    if let Some(schemas) = schema["oneOf"].as_array() {
        return example(&schemas[0]);
    }
    let name = schema["type"].as_str().or(schema["type"][0].as_str());
    match name {
        Some("integer") => json!(4),
        Some("string") => json!("x"),
        Some("array") => json!([example(&schema["items"])]),
        _ => panic!("{schema} is not known here"),
    }
}

/// The code and the members of each reason, as the reference has them.
fn reference() -> BTreeMap<String, (String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/faults.md");
    let text = fs::read_to_string(page).expect("the reference");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let word = |cell: &str| cell.trim_matches('`').to_owned();
        (word(cells[1]), (word(cells[2]), cells[3].to_owned()))
    })
    .collect()
}

#[test]
fn every_kind_is_read_and_documented() {
    let reference = reference();
    for (json, kind) in every_kind() {
        assert_eq!(serde_json::to_value(&kind).expect("JSON"), json);
        let reason = json["reason"].as_str().expect("a reason");
        let (code, members) = &reference[reason];
        assert_eq!(kind.code(), code, "{reason}");
        for member in json.as_object().expect("members").keys() {
            let is_named = member == "reason" || members.contains(&format!("`{member}`"));
            assert!(is_named, "{reason} has no `{member}` in the reference");
        }
    }
}

#[test]
fn sentences_name_fields_as_their_face_does() {
    for (json, kind) in every_kind() {
        let api = kind.sentence(Wording::API);
        assert!(!api.is_empty() && !api.contains('<'), "{json}: {api}");
        let other = kind.sentence(OTHER);
        // Fields of the rotation as an object, which no option has, and near ones of what came as JSON.
        let is_json = matches!(
            kind,
            FaultKind::UnknownRotateField { .. }
                | FaultKind::UnknownField { .. }
                | FaultKind::WrongType { .. }
        );
        for field in Field::ALL {
            let has_name = other.contains(&format!("`{}`", field.name()));
            assert!(is_json || !has_name, "{json}: {other}");
        }
    }
}
