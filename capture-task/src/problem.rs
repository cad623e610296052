//! An error of the API as JSON (RFC 9457), which the daemon writes and the command line reads.

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{AdditionalProperties, Type},
    },
};

use crate::plan::{Fault, FaultKind, Wording};

/// The media type of RFC 9457.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The code of an answer for which no space is left.
pub const NO_SPACE: &str = "no_space";

/// The code of what the role of a client does not allow.
pub const ROLE: &str = "role";

/// The code of a task that the edition does not allow.
pub const EDITION: &str = "edition";

/// The code of a task that is to be deleted and has not ended.
pub const UNFINISHED: &str = "unfinished";

/// The code of an `Idempotency-Key` that belongs to another request.
pub const KEY_REUSED: &str = "key_reused";

/// The JSON of a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Always `about:blank`: the status says what kind of problem it is, `errors[].code` which.
    #[serde(rename = "type")]
    pub kind: String,
    /// The phrase of the status.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What was wrong, and what to do about it.
    pub detail: String,
    /// Everything that is wrong, at least one. Of more than a hundred faults the first hundred are here, and then one
    /// with the code `more` that says how many are not.
    #[schema(min_items = 1, max_items = 101)]
    pub errors: Vec<ProblemError>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemError {
    /// JSON pointer (RFC 6901) into the body, or the name of a parameter of the query behind a
    /// slash; empty where it is about the request as a whole.
    pub pointer: String,
    /// Stable word for programs.
    pub code: String,
    /// One sentence for people.
    pub detail: String,
    /// The rule that a task breaks. A reason that is not known here, of a later daemon, is none; then there is
    /// still the detail.
    #[serde(flatten)]
    pub fault: Option<FaultKind>,
    /// Of a text such as a filter: the characters that are wrong, counted from 0, and the one behind them.
    #[serde(flatten)]
    pub span: Option<Span>,
}

/// A part of a text, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first one, counted from 0.
    pub from: usize,
    /// The one behind the last.
    pub to: usize,
}

/// By hand: the members of a fault stand beside the others, and a document made for them all would be one of sixty
/// kinds of objects to whoever only reads `detail`.
impl PartialSchema for ProblemError {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| {
            let text = ObjectBuilder::new().schema_type(Type::String);
            text.description(Some(description))
        };
        let number = |description: &str| {
            let number = ObjectBuilder::new().schema_type(Type::Integer);
            number.minimum(Some(0)).description(Some(description))
        };
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("One thing that is wrong."))
            .property("pointer", text("JSON pointer (RFC 6901) into the body, or the name of a parameter of the query behind a slash; empty where it is about the request as a whole."))
            .property("code", text("Stable word for programs."))
            .property("detail", text("One sentence for people."))
            .property("reason", text("Which rule a task breaks, where it is one of `FaultKind`. The members of that reason stand beside it, so that a program can say it in words of its own."))
            .property("from", number("Of a filter: the first character that is wrong, counted from 0."))
            .property("to", number("Of a filter: the character behind those that are wrong."))
            .required("pointer")
            .required("code")
            .required("detail")
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for ProblemError {}

impl ProblemError {
    /// Something that is wrong and breaks no rule about tasks.
    pub fn new(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
            fault: None,
            span: None,
        }
    }

    /// With the part of the text that is wrong.
    #[must_use]
    pub fn of_span(self, span: Span) -> Self {
        Self {
            span: Some(span),
            ..self
        }
    }
}

impl From<Fault> for ProblemError {
    fn from(fault: Fault) -> Self {
        let Fault { pointer, kind } = fault;
        Self {
            pointer,
            code: kind.code().to_owned(),
            detail: kind.sentence(Wording::API),
            fault: Some(kind),
            span: None,
        }
    }
}
