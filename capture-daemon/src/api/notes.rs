//! Notes about packets of a task: marks and comments. They lie beside the captured files, and go into exports.

use axum::{Json, extract::State};
use capture_store::{MAX_COMMENT_BYTES, Note};
use capture_task::task::rfc3339;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    extract::{Fields, OfTask, PacketNumber, Query},
    problem::{Problem, Result},
    scope::TaskPath,
    state::Api,
    tasks::to_problem,
};

/// A note about a packet.
#[derive(Serialize, ToSchema)]
pub(super) struct PacketNote {
    /// Number of the packet.
    number: u64,
    /// Whether it is marked.
    marked: bool,
    /// What somebody says about it, at most 4,096 bytes.
    #[schema(required = true)]
    comment: Option<String>,
    /// Who wrote it last: `uid 1000`, `token NAME ID`; null where there is no note.
    #[schema(required = true)]
    by: Option<String>,
    /// When.
    #[schema(required = true, format = DateTime)]
    at: Option<String>,
}

impl From<Note> for PacketNote {
    fn from(note: Note) -> Self {
        Self {
            number: note.number,
            marked: note.marked,
            comment: note.comment,
            by: Some(note.by),
            at: Some(rfc3339(note.at)),
        }
    }
}

/// The notes of a task.
#[derive(Serialize, ToSchema)]
pub(super) struct PacketNotes {
    /// By packet, at most 10,000.
    notes: Vec<PacketNote>,
}

/// What is to be noted.
#[derive(ToSchema)]
#[schema(as = NewPacketNote)]
#[expect(
    dead_code,
    reason = "this is what the document says of what `read` reads"
)]
pub(super) struct NewNote {
    /// Whether the packet is marked; false by default.
    #[schema(nullable = false)]
    marked: Option<bool>,
    /// What is said about it, at most 4,096 bytes; nothing by default.
    comment: Option<String>,
}

/// Notes about packets of a task.
#[utoipa::path(
    get,
    path = "/tasks/{id}/notes",
    operation_id = "list_notes",
    tag = "packets",
    params(OfTask),
    responses((status = 200, description = "The notes", body = PacketNotes)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    query: Query,
) -> Result<Json<PacketNotes>> {
    query.finish()?;
    let notes = api.tasks.notes(id, &principal.actor).await;
    let notes = notes.map_err(to_problem)?.into_iter();
    Ok(Json(PacketNotes {
        notes: notes.map(PacketNote::from).collect(),
    }))
}

/// Marks a packet, or says something about it, in the place of what was noted before.
///
/// A note without a mark and a comment takes the earlier one away.
#[utoipa::path(
    put,
    path = "/tasks/{id}/notes/{n}",
    operation_id = "write_note",
    tag = "packets",
    params(
        OfTask,
        ("n" = u64, Path, description = "`number` of the packet"),
    ),
    request_body = NewNote,
    responses(
        (status = 200, description = "The note as it is kept", body = PacketNote),
        (status = 409, description = "The task has as many notes as it may"),
        (status = 413, description = "The body is too long"),
        (status = 415, description = "The body is not JSON by its type"),
        (status = 422, description = "The note is wrong"),
        (status = 507, description = "No space is left to store it"),
    ),
)]
pub(super) async fn write(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    PacketNumber(number): PacketNumber,
    principal: Principal,
    query: Query,
    Fields(fields): Fields,
) -> Result<Json<PacketNote>> {
    query.finish()?;
    let (marked, comment) = read(fields)?;
    let actor = &principal.actor;
    let kept = api.tasks.put_note(id, number, marked, comment, actor).await;
    let note = kept.map_err(to_problem)?.map(PacketNote::from);
    Ok(Json(note.unwrap_or(PacketNote {
        number,
        marked: false,
        comment: None,
        by: None,
        at: None,
    })))
}

fn read(mut fields: Map<String, Value>) -> Result<(bool, Option<String>)> {
    let wrong = |pointer: &str, code, detail: String| {
        Problem::at(StatusCode::UNPROCESSABLE_ENTITY, pointer, code, detail)
    };
    let marked = match fields.remove("marked") {
        None => false,
        Some(Value::Bool(marked)) => marked,
        Some(_) => {
            return Err(wrong(
                "/marked",
                "type",
                "`marked` is true or false".to_owned(),
            ));
        }
    };
    let comment = match fields.remove("comment") {
        None | Some(Value::Null) => None,
        Some(Value::String(comment)) if comment.len() > MAX_COMMENT_BYTES => {
            let detail = format!(
                "a comment has at most {MAX_COMMENT_BYTES} bytes, and this one has {}",
                comment.len()
            );
            return Err(wrong("/comment", "range", detail));
        }
        Some(Value::String(comment)) => Some(comment),
        Some(_) => return Err(wrong("/comment", "type", "`comment` is a text".to_owned())),
    };
    match fields.keys().next() {
        None => Ok((marked, comment)),
        Some(name) => {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let detail = "a note has the fields `marked` and `comment`".to_owned();
            Err(wrong(&pointer, "unknown", detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(note: Value) -> Value {
        let Value::Object(fields) = note else {
            panic!("{note}");
        };
        let problem = read(fields).expect_err("it is wrong");
        json!(problem.code())
    }

    #[test]
    fn what_is_wrong_with_a_note_is_said() {
        let long = "x".repeat(MAX_COMMENT_BYTES + 1);
        for wrong in [
            json!({"marked": 1}),
            json!({"comment": 1}),
            json!({"comment": long}),
            json!({"marks": true}),
        ] {
            fault(wrong);
        }
        let Value::Object(fields) = json!({"marked": true, "comment": null}) else {
            panic!("an object");
        };
        assert_eq!(read(fields).expect("a note"), (true, None));
    }
}
