//! What the OpenAPI document says of the body of a new task. `tasks` reads it field by field; here are the
//! fields of a task, as [`plan::schema`](capture_task::plan::schema) has them, and `start_at`.

use capture_task::{preview::Preview, problem::ProblemError, task::TaskSpec};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

/// Whether a task is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DryRun {
    /// It is.
    #[default]
    No,
    /// It is not, and faults are a problem.
    Refuse,
    /// It is not, and faults are an answer of 200, as a browser logs an error for any other.
    Report,
}

impl DryRun {
    /// The value of the parameter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "false" | "0" => Some(Self::No),
            "true" | "1" => Some(Self::Refuse),
            "report" => Some(Self::Report),
            _ => None,
        }
    }
}

/// A task that is not valid, to `dry_run=report`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FaultyTask {
    /// Always false.
    valid: bool,
    /// All that is wrong with it: the `errors` of the 422 to `dry_run=true`.
    #[schema(min_items = 1, max_items = 101)]
    errors: Vec<ProblemError>,
}

impl FaultyTask {
    pub(super) fn new(errors: Vec<ProblemError>) -> Self {
        Self {
            valid: false,
            errors,
        }
    }
}

/// What a dry run says.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "this is what the document says of two kinds of answers"
)]
pub(super) enum Tried {
    Valid(Box<Preview>),
    Faulty(FaultyTask),
}

/// The body of a request for a task.
pub(super) struct NewTaskSchema;

impl PartialSchema for NewTaskSchema {
    fn schema() -> RefOr<Schema> {
        let mut schema = TaskSpec::schema();
        if let RefOr::T(Schema::Object(task)) = &mut schema {
            let start_at = ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
                .description(Some("When it shall start, RFC 3339, at most 366 days ahead and an hour ago; at once where absent or past."));
            task.properties
                .insert("start_at".to_owned(), start_at.into());
            task.description = Some(NEW_TASK.to_owned());
        }
        schema
    }
}

impl ToSchema for NewTaskSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "NewTask".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        TaskSpec::schemas(schemas);
    }
}

/// The rules that no schema can say.
const NEW_TASK: &str = "A new task. Beyond the types of its fields, 422 answers what does not go together: \
`peer_ip` without `ip`, `peer_ports` without `peer_ip`, `ip` and `peer_ip` without an IP version in common, more than 64 addresses of one of them, an `address_type` that is \
not that of the addresses, ports of `icmp`, `any` beside other interfaces, `rotate` without `bytes` and `seconds`; \
a range of addresses or ports that runs backwards; an interface that is not there; a limit below the bytes of a file without \
packets; a rotation that makes more than 10000 files; and what is beyond the limits of the daemon's \
configuration.";
