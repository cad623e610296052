//! The OpenAPI document that the daemon serves, as a judge of its answers: each status, media type and body
//! that comes must be one that the document tells of. Only what our document uses of JSON Schema is known
//! here; another keyword is a panic, so that none is passed over.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use regex::Regex;
use serde_json::{Map, Value};

use crate::{
    http::Answer,
    record::{is_packet_time, is_time},
};

/// Where the document itself is.
pub const PATH: &str = "/api/v1/openapi.json";

/// The document.
#[derive(Debug)]
pub struct Document {
    root: Value,
    /// Patterns of it that were asked for so far.
    patterns: Mutex<BTreeMap<String, Regex>>,
}

impl Document {
    /// The document in an answer, which it tells of as of all others.
    #[track_caller]
    pub fn of(answer: Answer) -> Self {
        let answer = answer.expect(200);
        let root = answer.json();
        let version = root["openapi"].as_str().unwrap_or_default();
        assert!(version.starts_with("3.1"), "{version}");
        let document = Self {
            root,
            patterns: Mutex::default(),
        };
        document.check("GET", PATH, &answer);
        document
    }

    /// Every call, as method and path.
    pub fn calls(&self) -> Vec<(String, String)> {
        let paths = self.root["paths"].as_object().expect("paths");
        let calls = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        });
        calls.collect()
    }

    /// Panics unless the document tells of this answer.
    #[track_caller]
    pub fn check(&self, method: &str, target: &str, answer: &Answer) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = format!("{method} {target}: {}", answer.status);
        let Some(item) = self.item(path) else {
            assert!(matches!(answer.status, 401 | 403 | 404), "{call}");
            return;
        };
        let read = if method == "HEAD" { "GET" } else { method };
        let Some(operation) = item.get(&read.to_lowercase()) else {
            assert!(matches!(answer.status, 401 | 403 | 405), "{call}");
            if answer.status == 405 {
                assert_allows(item, answer);
            }
            return;
        };
        let response = &operation["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{call} is not in the document");
        if answer.status < 400 {
            assert_parameters(operation, query);
        }
        if method != "HEAD" {
            self.check_body(&response["content"], answer, &call);
        }
    }

    #[track_caller]
    fn check_body(&self, content: &Value, answer: &Answer, call: &str) {
        let kind = answer.header("content-type");
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let Some(kind) = kind else {
            assert!(answer.body.is_empty() && content.is_null(), "{call}");
            return;
        };
        let schema = &content[kind]["schema"];
        assert!(schema.is_object(), "{call}: {kind} is not in the document");
        if kind.ends_with("json") {
            if let Err(error) = self.fits(schema, &answer.json(), "") {
                panic!("{call}: {error}: {}", answer.text());
            }
        } else {
            assert_eq!(schema["type"], "string", "{call}");
        }
    }

    /// What the document has at a path; the part of it in braces is any.
    fn item(&self, path: &str) -> Option<&Map<String, Value>> {
        let paths = self.root["paths"].as_object().expect("paths");
        let is_here = |template: &str| {
            let (template, path) = (template.split('/'), path.split('/'));
            template.clone().count() == path.clone().count()
                && template.zip(path).all(|(template, part)| {
                    template == part || (template.starts_with('{') && !part.is_empty())
                })
        };
        let mut found = paths.iter().filter(|(template, _)| is_here(template));
        found.next().and_then(|(_, item)| item.as_object())
    }

    /// Whether a value is as a schema has it; a field of which the document does not tell is a fault.
    fn fits(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{at} is not {what}: {value}"));
        let rules = schema.as_object().ok_or("no schema")?;
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "description" | "default" | "examples" | "additionalProperties" => {}
                "$ref" => self.fits(self.named(rule), value, at)?,
                "allOf" => {
                    let mut all = Map::from_iter([("type".to_owned(), "object".into())]);
                    self.merge(rule, true, &mut all)?;
                    self.fits(&Value::Object(all), value, at)?;
                }
                "oneOf" => {
                    let schemas = rule.as_array().ok_or("no list")?.iter();
                    let fitting = schemas.filter(|schema| self.fits(schema, value, at).is_ok());
                    if fitting.count() != 1 {
                        return wrong("one of those that it may be");
                    }
                }
                "type" => {
                    let types = rule
                        .as_array()
                        .map_or(std::slice::from_ref(rule), Vec::as_slice);
                    if !types.iter().any(|name| is_of(name, value)) {
                        return wrong(&rule.to_string());
                    }
                }
                "enum" => {
                    let known = rule.as_array().ok_or("no list")?;
                    if !known.contains(value) {
                        return wrong(&rule.to_string());
                    }
                }
                "minimum" | "maximum" => {
                    let (least, most) = if keyword == "minimum" {
                        (rule.as_i64(), value.as_i64())
                    } else {
                        (value.as_i64(), rule.as_i64())
                    };
                    if value.is_number() && least > most {
                        return wrong(keyword);
                    }
                }
                "minLength" | "maxLength" => {
                    let len = value.as_str().map(|text| text.chars().count() as u64);
                    let is_short = len.is_some_and(|len| Some(len) < rule.as_u64());
                    let is_long = len > rule.as_u64();
                    if (keyword == "minLength" && is_short) || (keyword == "maxLength" && is_long) {
                        return wrong(&format!("of {keyword} {rule}"));
                    }
                }
                "pattern" => {
                    let pattern = rule.as_str().ok_or("no pattern")?;
                    if value
                        .as_str()
                        .is_some_and(|text| !self.matches(pattern, text))
                    {
                        return wrong(pattern);
                    }
                }
                "minItems" => {
                    let count = value.as_array().map_or(0, Vec::len) as u64;
                    if Some(count) < rule.as_u64() {
                        return wrong("long enough");
                    }
                }
                "maxItems" => {
                    let count = value.as_array().map(|items| items.len() as u64);
                    if count > rule.as_u64() {
                        return wrong("short enough");
                    }
                }
                "format" => {
                    let is_time = is_time(value) || is_packet_time(value);
                    if rule == "date-time" && value.is_string() && !is_time {
                        return wrong("a time");
                    }
                }
                "items" => {
                    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                        self.fits(rule, value, &format!("{at}/{index}"))?;
                    }
                }
                "required" | "properties" => {}
                other => panic!("the keyword {other} is not known here: {schema}"),
            }
        }
        self.fits_object(rules, value, at)
    }

    /// Puts the fields of objects that are one, as `flatten` of serde makes them, into one schema. What may be null may
    /// be missing.
    fn merge(
        &self,
        parts: &Value,
        is_required: bool,
        all: &mut Map<String, Value>,
    ) -> Result<(), String> {
        for part in parts.as_array().ok_or("no list")? {
            let part = match part.get("$ref") {
                Some(reference) => self.named(reference),
                None => part,
            };
            if let Some(parts) = part.get("allOf") {
                self.merge(parts, is_required, all)?;
            }
            if let Some(parts) = part.get("oneOf") {
                self.merge(parts, false, all)?;
            }
            if let Some(fields) = part.get("properties").and_then(Value::as_object) {
                let known = all.entry("properties").or_insert_with(|| Map::new().into());
                known
                    .as_object_mut()
                    .ok_or("no fields")?
                    .extend(fields.clone());
            }
            if let Some(required) = part.get("required").and_then(Value::as_array)
                && is_required
            {
                let known = all
                    .entry("required")
                    .or_insert_with(|| Value::Array(Vec::new()));
                known
                    .as_array_mut()
                    .ok_or("no list")?
                    .extend(required.clone());
            }
        }
        Ok(())
    }

    fn fits_object(
        &self,
        rules: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let (Some(known), Some(fields)) = (rules.get("properties"), value.as_object()) else {
            return Ok(());
        };
        let is_open = rules.get("additionalProperties") == Some(&Value::Bool(true));
        for (name, value) in fields {
            let at = format!("{at}/{name}");
            match known.get(name) {
                Some(schema) => self.fits(schema, value, &at)?,
                // The members of a fault, which are in a schema of their own.
                None if is_open => {}
                None => return Err(format!("{at} is not in the document")),
            }
        }
        let required = rules.get("required").and_then(Value::as_array);
        let missing = required.into_iter().flatten().filter_map(Value::as_str);
        match missing.clone().find(|name| !fields.contains_key(*name)) {
            Some(name) => Err(format!("{at}/{name} is missing")),
            None => Ok(()),
        }
    }

    /// Whether a pattern is found in a text. What the document uses of ECMA-262 means the same to `regex`.
    fn matches(&self, pattern: &str, text: &str) -> bool {
        let patterns = self.patterns.lock();
        let mut patterns = patterns.unwrap_or_else(PoisonError::into_inner);
        let compiled = patterns
            .entry(pattern.to_owned())
            .or_insert_with(|| Regex::new(pattern).expect("a pattern of the document"));
        compiled.is_match(text)
    }

    fn named(&self, reference: &Value) -> &Value {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let schema = pointer.and_then(|pointer| self.root.pointer(pointer));
        schema.unwrap_or_else(|| panic!("{reference} is not in the document"))
    }
}

/// `Allow` has the methods of the document, and HEAD beside GET.
#[track_caller]
fn assert_allows(item: &Map<String, Value>, answer: &Answer) {
    let mut known: Vec<_> = item.keys().map(|method| method.to_uppercase()).collect();
    if known.contains(&"GET".to_owned()) {
        known.push("HEAD".to_owned());
    }
    known.sort();
    let allow = answer.header("allow").expect("Allow");
    let mut allow: Vec<_> = allow.split(',').map(|method| method.trim()).collect();
    allow.sort();
    assert_eq!(allow, known);
}

/// Of each parameter that an accepted query has, the document tells.
#[track_caller]
fn assert_parameters(operation: &Value, query: &str) {
    let known = operation["parameters"].as_array();
    let is_known = |name: &str| {
        let mut known = known.into_iter().flatten();
        known.any(|known| known["in"] == "query" && known["name"] == name)
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default();
        assert!(
            is_known(name),
            "the parameter {name} is not in the document"
        );
    }
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => panic!("the type {name} is not known here"),
    }
}
