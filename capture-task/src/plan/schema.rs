//! What the OpenAPI document says of the fields that are read here: their words, ranges and patterns, beside
//! the code that decides. [`TaskSpec`](crate::task::TaskSpec) keeps them as they came and names these types.
//! Rules between fields are in no schema; a task that breaks one is answered by 422.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema, schema::Type},
};

use super::{
    field::Field,
    keyword::{AddressType, Directions, Format, Hook, Keyword, Oversize, Protocol},
    limits::{
        DAEMON_LEAST_ROTATE_BYTES, DAEMON_MAX_FILES, MAX_ADDRESS_ITEMS, MAX_INTERFACE_NAME,
        MAX_SECONDS,
    },
    text::Excerpt,
};

/// A type that the document has a name for.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema
            }
        }

        impl ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}

schema!(
    Directions,
    "Direction",
    words::<Directions>("As the host sees it.")
);
schema!(
    Hook,
    "Hook",
    words::<Hook>("Kind of program; `auto` never disturbs a link.")
);
schema!(
    Protocol,
    "Protocol",
    words::<Protocol>("`icmp` is ICMP over IPv4 and ICMPv6, and takes no ports.")
);
schema!(
    AddressType,
    "AddressType",
    words::<AddressType>(
        "`ip` needs `ip`; `ip_pair` needs `ip` and `peer_ip`; `any` takes neither."
    )
);
schema!(
    Oversize,
    "Oversize",
    words::<Oversize>("What becomes of a frame that is longer than `max_bytes`.")
);
schema!(Format, "Format", words::<Format>("Format of the files."));

schema!(
    Excerpt,
    "Excerpt",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "Text of the request; of a longer one than 60 characters the first 61."
        ))
        .max_length(Some(Excerpt::MOST))
        .into()
);

schema!(
    Field,
    "Field",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("A field of a new task."))
        .enum_values(Some(Field::ALL.iter().map(|field| field.name())))
        .into()
);

/// The name of an interface, or `any`.
pub struct InterfaceName;

schema!(
    InterfaceName,
    "InterfaceName",
    text(
        "An interface of the daemon's network namespace, or `any` alone; at most 15 bytes.",
        r"^[^/:\s\u0000]+$",
        &["eth0", "any"],
    )
    .max_length(Some(MAX_INTERFACE_NAME))
    .into()
);

/// Addresses, ranges and prefixes of one side.
pub struct AddressList;

schema!(
    AddressList,
    "Addresses",
    OneOfBuilder::new()
        .description(Some(
            "Addresses and CIDR prefixes of one side, IPv4, IPv6 or both. A task has one as a string and several as a list, sorted and none within another; at most 64, neighbours beyond that made into prefixes."
        ))
        .item(
            ArrayBuilder::new()
                .items(RefOr::T(addresses("One of them.").into()))
                .min_items(Some(1))
                .max_items(Some(MAX_ADDRESS_ITEMS)),
        )
        .item(addresses("One, or several separated by commas, semicolons or spaces."))
        .into()
);

fn addresses(description: &str) -> ObjectBuilder {
    text(
        description,
        r"^[,;\s]*[0-9A-Fa-f:.]+(/[0-9]+|\s*-\s*[0-9A-Fa-f:.]+)?([,;\s]+[0-9A-Fa-f:.]+(/[0-9]+|\s*-\s*[0-9A-Fa-f:.]+)?)*[,;\s]*$",
        &[
            "10.0.0.1",
            "10.0.0.0/8",
            "2001:db8::/32",
            "10.0.0.5-10.0.0.9",
        ],
    )
}

/// A port or a range of ports.
pub struct Ports;

schema!(
    Ports,
    "Ports",
    number_or_text(
        "A port, or a range of ports.",
        0..=65_535,
        r"^\s*[0-9]+\s*(-\s*[0-9]+\s*)?$",
        &["8000-8100", "443"],
    )
);

/// Bytes of a frame.
pub struct FrameBytes;

schema!(
    FrameBytes,
    "FrameBytes",
    number_or_text(
        "Bytes of a frame, 0–65535, also with a unit.",
        0..=65_535,
        SIZE,
        &["128", "1k"],
    )
);

/// Bytes, at least one.
pub struct Size;

schema!(
    Size,
    "Size",
    number_or_text(
        "Bytes, less than 8 EiB, also with a unit and then with decimals: kB, MB, GB, TB are powers of 1000; k, M, G, T and KiB, MiB, GiB, TiB of 1024.",
        1..=i64::MAX,
        SIZE,
        &["64MiB", "10 MB", "1.5GiB"],
    )
);

/// Bytes of a file of a rotation.
pub struct RotateBytes;

schema!(
    RotateBytes,
    "RotateBytes",
    number_or_text(
        "Bytes of a file, 64 KiB or more, also with a unit as in `Size`.",
        DAEMON_LEAST_ROTATE_BYTES.cast_signed()..=i64::MAX,
        SIZE,
        &["64KiB", "10MB"],
    )
);

/// Files of a rotation.
pub struct RotateFiles;

schema!(
    RotateFiles,
    "RotateFiles",
    number_or_text(
        "A number of files, 1–10000. Without it, `max_file_bytes` and `duration` must not make more than 10000 either.",
        1..=DAEMON_MAX_FILES.cast_signed(),
        COUNT,
        &["10"],
    )
);

/// Seconds, at least one.
pub struct Seconds;

schema!(
    Seconds,
    "Seconds",
    number_or_text(
        "Seconds, or weeks, days, hours, minutes and seconds, the largest first.",
        1..=MAX_SECONDS.cast_signed(),
        concat!(
            r"^\s*[0-9]+\s*(",
            r"(w|weeks?)(\s*[0-9]+\s*(d|days?))?(\s*[0-9]+\s*(h|hr|hours?))?(\s*[0-9]+\s*(m|min|minutes?))?(\s*[0-9]+\s*(s|sec|seconds?))?|",
            r"(d|days?)(\s*[0-9]+\s*(h|hr|hours?))?(\s*[0-9]+\s*(m|min|minutes?))?(\s*[0-9]+\s*(s|sec|seconds?))?|",
            r"(h|hr|hours?)(\s*[0-9]+\s*(m|min|minutes?))?(\s*[0-9]+\s*(s|sec|seconds?))?|",
            r"(m|min|minutes?)(\s*[0-9]+\s*(s|sec|seconds?))?|",
            r"(s|sec|seconds?)",
            r")?\s*$"
        ),
        &["90s", "10 min", "1h30m", "2 weeks"],
    )
);

/// A number of things, at least one.
pub struct Count;

schema!(
    Count,
    "Count",
    number_or_text("A number.", 1..=i64::MAX, COUNT, &["1000"])
);

const COUNT: &str = r"^\s*\+?[0-9]+\s*$";

const SIZE: &str = r"^\s*[0-9]+(\s*([kKmMgGtT]?[bB]?|[kKmMgGtT][iI][bB])|\.[0-9]{1,9}\s*[kKmMgGtT]([iI]?[bB])?)\s*$";

/// Words are taken in any case, and shown as here.
fn words<T: Keyword>(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("{description} Taken in any case.")))
        .enum_values(Some(T::words()))
        .into()
}

/// Text with a pattern of ECMA-262.
fn text(description: &str, pattern: &str, examples: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .examples(examples.iter().copied())
}

fn number_or_text(
    description: &str,
    range: std::ops::RangeInclusive<i64>,
    pattern: &str,
    examples: &[&str],
) -> RefOr<Schema> {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(*range.start() as isize))
        .maximum(Some(*range.end() as isize));
    OneOfBuilder::new()
        .description(Some(description))
        .item(number)
        .item(text("The same as text.", pattern, examples))
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};
    use regex::Regex;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        plan::{Plan, RequestOrigin, Wording},
        task::TaskSpec,
    };

    /// What is to be said of a field: its name, its schemas for numbers and for text, and how a value
    /// stands in it.
    type Field = (&'static str, Vec<Value>, fn(Value) -> Value);

    fn fields() -> Vec<Field> {
        let itself: fn(Value) -> Value = |value| value;
        let item: fn(Value) -> Value = |value| json!([value]);
        vec![
            ("direction", parts::<Directions>(), itself),
            ("hook", parts::<Hook>(), itself),
            ("protocol", parts::<Protocol>(), itself),
            ("oversize", parts::<Oversize>(), itself),
            ("format", parts::<Format>(), itself),
            ("interfaces", parts::<InterfaceName>(), item),
            ("ip", parts::<AddressList>(), itself),
            ("ports", parts::<Ports>(), item),
            ("max_bytes", parts::<FrameBytes>(), itself),
            ("max_file_bytes", parts::<Size>(), itself),
            ("duration", parts::<Seconds>(), itself),
            ("max_packets", parts::<Count>(), itself),
            (
                "rotate",
                parts::<RotateBytes>(),
                |value| json!({"bytes": value}),
            ),
            (
                "rotate",
                parts::<RotateFiles>(),
                |value| json!({"bytes": "1MiB", "files": value}),
            ),
        ]
    }

    /// The codes of what is wrong with a task that has this value.
    fn faults(field: &str, value: Value) -> Vec<(&'static str, String)> {
        let mut task = json!({"name": "n", "interfaces": ["lo"]});
        task[field] = value;
        let spec: TaskSpec = serde_json::from_value(task).expect("of the right types");
        let faults = Plan::resolve(&spec, RequestOrigin::Daemon)
            .err()
            .unwrap_or_default();
        let faults = faults
            .into_iter()
            .map(|fault| (fault.kind.code(), fault.kind.sentence(Wording::API)));
        faults.collect()
    }

    fn parts<T: PartialSchema>() -> Vec<Value> {
        let schema = serde_json::to_value(T::schema()).expect("JSON");
        let parts = schema["oneOf"].as_array().cloned();
        parts.unwrap_or_else(|| vec![schema])
    }

    /// The other way round: what people write, and what is taken, has the form of the document.
    #[test]
    fn what_is_taken_has_the_documented_form() {
        for (field, text, is_taken) in [
            ("duration", "10 min", true),
            ("duration", "1 week 2 days", true),
            ("duration", " 1h 30 m ", true),
            ("duration", "1h30m10s", true),
            ("duration", "2 hr 1sec", true),
            ("duration", "30m1h", false),
            ("duration", "10 mins", false),
            ("duration", "1.5h", false),
            ("duration", "", false),
            ("max_file_bytes", "1.5GiB", true),
            ("max_file_bytes", "1.5 gib", true),
            ("max_file_bytes", "0.5k", true),
            ("max_file_bytes", "10 MB", true),
            ("max_file_bytes", "1.5", false),
            ("max_file_bytes", "1.5b", false),
            ("max_file_bytes", "1.k", false),
            ("max_file_bytes", "1.0123456789k", false),
            ("ip", "10.0.0.0 - 10.0.0.255", true),
            ("ip", "10.0.0.5,10.0.0.9", true),
            ("ip", "10.0.0.5 -10.0.0.9, ::1", true),
            ("ip", "10.0.0.5-", false),
            ("ip", "10.0.0.6; 10.0.0.4/31 10.0.0.7", true),
            ("ip", " ::1/128 ", true),
            ("ip", "localhost", false),
            ("ports", " 8000 - 8100 ", true),
            ("ports", "80,81", false),
            ("max_packets", " +10 ", true),
            ("max_packets", "1e3", false),
        ] {
            let all = fields();
            let found = all.iter().find(|(name, ..)| *name == field);
            let (_, parts, place) = found.expect("a field");
            let part = parts.last().expect("one part");
            let pattern = part["pattern"].as_str().expect("a pattern");
            let pattern = Regex::new(pattern).expect("of ECMA-262 and of this crate");
            let wrong = faults(field, place(json!(text)));
            assert_eq!(pattern.is_match(text), is_taken, "{field} {text:?}");
            assert_eq!(wrong.is_empty(), is_taken, "{field} {text:?}: {wrong:?}");
        }
    }

    /// The lists as they are in the document, each with its bound.
    #[test]
    fn lists_have_the_documented_bounds() {
        let schema = serde_json::to_value(TaskSpec::schema()).expect("JSON");
        for (field, item) in [
            ("interfaces", json!("eth0")),
            ("ports", json!(1)),
            ("peer_ports", json!(1)),
        ] {
            let most = schema["properties"][field]["maxItems"].as_u64();
            let most = most.expect("a bound") as usize;
            for (count, is_too_long) in [(most, false), (most + 1, true)] {
                let list = (0..count).map(|n| match item.as_str() {
                    Some(name) => json!(format!("{name}.{n}")),
                    None => item.clone(),
                });
                let faults = faults(field, list.collect());
                let is_length = |detail: &String| detail.contains("are too many");
                assert_eq!(
                    faults.iter().any(|(_, detail)| is_length(detail)),
                    is_too_long,
                    "{field}"
                );
            }
        }
    }

    #[test]
    fn what_the_document_gives_as_good_is_taken_and_no_more() {
        for (field, parts, place) in fields() {
            for part in parts {
                let all = |key: &str| part[key].as_array().cloned().unwrap_or_default();
                for value in all("enum").into_iter().chain(all("examples")) {
                    assert_eq!(faults(field, place(value.clone())), [], "{field} {value}");
                }
                let (Some(least), Some(most)) =
                    (part["minimum"].as_i64(), part["maximum"].as_i64())
                else {
                    continue;
                };
                for bound in [least, most] {
                    assert_eq!(faults(field, place(json!(bound))), [], "{field} {bound}");
                }
                for beyond in [least.checked_sub(1), most.checked_add(1)]
                    .into_iter()
                    .flatten()
                {
                    let faults = faults(field, place(json!(beyond)));
                    assert_eq!(faults[0].0, "out_of_range", "{field} {beyond}");
                }
            }
        }
    }

    proptest! {
        /// What has the form may be too much; but it is never said to have another form.
        #[test]
        fn text_of_the_documented_form_is_read(
            (field, value) in prop::sample::select(fields())
                .prop_filter("an address has a finer form", |(field, ..)| *field != "ip")
                .prop_flat_map(|(field, parts, place)| {
                    let part = parts.last().expect("one part");
                    let pattern = part["pattern"].as_str().unwrap_or("tcp|udp").to_owned();
                    let text = string_regex(pattern.trim_matches(['^', '$'])).expect("a pattern");
                    (Just(field), text.prop_map(move |text| place(json!(text))))
                })
        ) {
            for (code, detail) in faults(field, value) {
                let is_finer = ["backwards", "reserved", "15 bytes"].iter().any(|rule| detail.contains(rule));
                prop_assert!(code != "invalid" || is_finer, "{field}: {detail}");
            }
        }
    }
}
