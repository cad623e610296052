//! Requests of every kind, from valid to absurd: what is nearly right gets further into the daemon than
//! noise does, so that most are a good request with something exchanged.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::{
    super::openapi,
    values::{FIELDS, HEADERS, METHODS, NUMBERS, ODD, PATHS, QUERIES},
};

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sender {
    /// A member of the socket's group.
    Member,
    /// Another user of this machine.
    Outsider,
    /// TCP, with the headers that the request has.
    Network,
    /// TCP, with a token of this place in the list of roles.
    Token(usize),
}

/// A request, with placeholders for IDs as `{0}`.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) sender: Sender,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// Kinds of IDs that paths name.
pub(super) const IDS: usize = 5;

fn json() -> impl Strategy<Value = String> {
    let text = any::<String>().prop_map(|text| serde_json::Value::from(text).to_string());
    let leaf = prop_oneof![
        select(ODD).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        text.clone(),
    ];
    let tree = leaf.prop_recursive(4, 16, 4, move |inner| {
        let pair = (text.clone(), inner.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        prop_oneof![
            vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(pair, 0..4).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    });
    let deep = (
        0_usize..2000,
        select(&["[", "{\"a\":"][..]),
        select(&["", "]", "}"][..]),
    )
        .prop_map(|(depth, open, close)| open.repeat(depth) + "1" + &close.repeat(depth));
    prop_oneof![9 => tree, 1 => deep]
}

/// A field with one of its values, or with anything.
fn field() -> impl Strategy<Value = (String, String)> {
    (select(FIELDS), any::<Index>(), json(), 0..8_u8).prop_map(
        |((name, values), index, json, kind)| match kind {
            0 => (name.to_owned(), json),
            1 => (format!("{name}_"), json),
            2 => (name.to_uppercase(), index.get(values).to_string()),
            _ => (name.to_owned(), index.get(values).to_string()),
        },
    )
}

/// A valid task in which fields are added, exchanged or there twice.
fn task() -> impl Strategy<Value = String> {
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let starts = prop_oneof![
        6 => Just(format!("\"{start}\"")),
        1 => select(&["5", "\"\"", "\"tomorrow\"", "\"9999-12-31T00:00:00Z\"", "\"2026-02-30T00:00:00Z\"", "{}", "[]"][..])
            .prop_map(str::to_owned),
    ];
    (vec(field(), 0..5), any::<bool>(), starts).prop_map(|(mut fields, twice, start)| {
        for name in ["name", "interfaces"] {
            let (_, values) = FIELDS
                .iter()
                .find(|(field, _)| *field == name)
                .expect("it is one");
            if !twice || !fields.iter().any(|(field, _)| field == name) {
                fields.insert(0, (name.to_owned(), values[0].to_owned()));
            }
        }
        // The last of two counts.
        fields.push(("start_at".to_owned(), start));
        let fields = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}"));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
    })
}

/// A task as it came over a bad line.
fn broken_task() -> impl Strategy<Value = Vec<u8>> {
    let bytes = select(&b"{}[],:\"\\\0\n\xc3\xff"[..]);
    (task(), any::<Index>(), any::<bool>(), bytes).prop_map(|(task, at, cut, byte)| {
        let mut body = task.into_bytes();
        let at = at.index(body.len());
        if cut {
            body.truncate(at);
        } else {
            body.insert(at, byte);
        }
        body
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        60 => task().prop_map(String::into_bytes),
        5 => (task(), select(&["1", "0", "6", "null", "\"1\""][..]))
            .prop_map(|(task, seconds)| format!("{{\"spec\": {task}, \"seconds\": {seconds}}}").into_bytes()),
        15 => broken_task(),
        15 => json().prop_map(String::into_bytes),
        5 => vec(any::<u8>(), 0..100),
        5 => Just(Vec::new()),
        1 => (65_530_usize..65_550).prop_map(|length| vec![b' '; length]),
    ]
}

/// A header's value, of bytes that one may have.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|byte| {
        if byte < 0x20 || byte == 0x7f {
            b'\t'
        } else {
            byte
        }
    });
    vec(byte, 0..300)
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    (select(HEADERS), any::<Index>(), any_value(), 0..6_u8).prop_map(
        |((name, values), index, any, kind)| {
            let value = if kind == 0 {
                any
            } else {
                index.get(values).as_bytes().to_vec()
            };
            (name.to_owned(), value)
        },
    )
}

/// Every call of the API's document, as method and path.
fn calls() -> Vec<(String, String)> {
    let document = serde_json::to_value(openapi::router().into_openapi()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let calls = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    calls.collect()
}

fn target() -> impl Strategy<Value = (Option<String>, String)> {
    let create = ("POST".to_owned(), "/api/v1/tasks".to_owned());
    let stop = ("POST".to_owned(), "/api/v1/tasks/{id}/stop".to_owned());
    let call = prop_oneof![4 => Just(create), 1 => Just(stop), 11 => select(calls())];
    let call = prop_oneof![
        8 => call.prop_map(|(method, path)| (Some(method), path)),
        1 => select(PATHS).prop_map(|path| (None, path.to_owned())),
        1 => "/(api/v1/)?[!-~é]{0,30}(/[!-~]{0,20}){0,3}".prop_map(|path| (None, path)),
    ];
    let id = prop_oneof![
        12 => (0..IDS).prop_map(|kind| format!("{{{kind}}}")),
        1 => "[0-9A-Z]{26}",
        1 => "[!-~]{0,40}",
    ];
    let query = prop_oneof![
        8 => Just(String::new()),
        3 => vec(select(QUERIES), 1..3).prop_map(|parts| format!("?{}", parts.join("&"))),
        1 => "\\?[!-~]{0,60}",
    ];
    (call, id, select(NUMBERS), query).prop_map(|((method, path), id, number, query)| {
        (
            method,
            path.replace("{id}", &id).replace("{n}", number) + &query,
        )
    })
}

pub(super) fn requests() -> impl Strategy<Value = Asked> {
    let sender = prop_oneof![
        6 => Just(Sender::Member),
        1 => Just(Sender::Outsider),
        1 => Just(Sender::Network),
        2 => (0..3_usize).prop_map(Sender::Token),
    ];
    let other = select(METHODS).prop_map(|method| Some(method.to_owned()));
    let method = prop_oneof![8 => Just(None), 2 => other];
    (
        sender,
        target(),
        method,
        vec(header(), 0..3),
        any::<u8>(),
        body(),
    )
        .prop_map(
            |(sender, (known, target), method, mut headers, odds, body)| {
                // Mostly what every client sends.
                if odds > 20 {
                    headers.insert(0, ("content-type".to_owned(), b"application/json".to_vec()));
                }
                let method = method.or(known).unwrap_or_else(|| "GET".to_owned());
                Asked {
                    sender,
                    method,
                    target,
                    headers,
                    body,
                }
            },
        )
}
