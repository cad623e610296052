//! What the OpenAPI document says of the body of a new task. `tasks` reads it field by field; here are the
//! fields of a task, as [`plan::schema`](capture_task::plan::schema) has them, and `start_at`.

use capture_task::task::TaskSpec;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

/// The body of a request for a task.
pub(super) struct NewTaskSchema;

impl PartialSchema for NewTaskSchema {
    fn schema() -> RefOr<Schema> {
        let mut schema = TaskSpec::schema();
        if let RefOr::T(Schema::Object(task)) = &mut schema {
            let start_at = ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
                .description(Some("When it shall start, RFC 3339, at most 366 days ahead; at once where absent or past."));
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
`peer_ip` without `ip`, `peer_ports` without `peer_ip`, addresses of two IP versions, an `address_type` that is \
not that of the addresses, ports of `icmp`, `any` beside other interfaces, `rotate` without `bytes` and `seconds`; \
a range of ports that runs backwards; an interface that is not there; a limit below the bytes of a file without \
packets; a rotation that makes more than 10000 files; and what is beyond the limits of the daemon's \
configuration.";
