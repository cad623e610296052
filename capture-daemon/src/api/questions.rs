//! Questions about packets, as a query asks them: what the calls of a task have in common with those of a share.

use capture_inspector::view::{
    ConversationOrder, MAX_BUCKETS, MOST_COLUMNS, MOST_ROWS, Question, StreamSide, ViewFault,
    ViewRequest, is_field,
};
use jiff::Timestamp;
use utoipa::IntoParams;

use super::{extract::Query, problem::Result, tasks::to_problem};
use crate::tasks::TaskError;

/// Rows of an answer to somebody who does not say how many.
const USUAL_ROWS: u32 = 100;

/// Segments of an answer, by default and at most.
const USUAL_SEGMENTS: u32 = 100;
pub(super) const MOST_SEGMENTS: u32 = 1000;

/// Conversations of an answer, by default and at most.
const USUAL_CONVERSATIONS: u32 = 100;
const MOST_CONVERSATIONS: u32 = 1000;

/// Buckets of an answer to somebody who does not say how many.
const USUAL_BUCKETS: u32 = 300;

/// The packet that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "what the document says of `PacketNumber`")]
pub(super) struct OfPacket {
    /// `number` of the packet
    n: u64,
}

/// The file to look at.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what the document says of what `in_file` reads")]
pub(super) struct InFile {
    /// `index` of the only file to look at; numbers are then those in it
    file: Option<u64>,
}

/// The packets that pass.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what the document says of what `filtered` reads")]
pub(super) struct Filtered {
    /// A display filter of at most 4,096 bytes: only packets that pass
    filter: Option<String>,
}

/// Rows of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what the document says of what `rows` reads")]
pub(super) struct RowsQuery {
    /// How many packets that pass come before the first row; negative, from the end
    from: Option<i64>,
    /// Most rows, 100 by default
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Names of at most 16 fields, joined by commas, of which rows have cells
    columns: Option<String>,
}

/// A moment.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what the document says of what `at` reads")]
pub(super) struct AtQuery {
    /// The time (RFC 3339)
    time: String,
}

/// A packet to look for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what the document says of what `position` reads")]
pub(super) struct PositionQuery {
    /// Number of the packet
    number: u64,
}

/// A part of a stream.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what the document says of what `stream` reads")]
pub(super) struct StreamQuery {
    /// Whose bytes; `both` by default
    #[param(pattern = "^(both|client|server)$")]
    side: Option<String>,
    /// `next` of the part before
    from: Option<u64>,
    /// Most segments, 100 by default
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of conversations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "what the document says of what `conversations` reads"
)]
pub(super) struct ConversationsQuery {
    /// What comes first; `bytes` by default
    sort: Option<ConversationOrder>,
    /// Most conversations, 100 by default
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before
    #[param(pattern = "^[0-9]+$")]
    cursor: Option<String>,
}

/// A span of time, and its parts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what the document says of what `series` reads")]
pub(super) struct SeriesQuery {
    /// Most buckets, 300 by default
    #[param(minimum = 1, maximum = 2000)]
    buckets: Option<u32>,
    /// Only packets of this time (RFC 3339) or later
    from: Option<String>,
    /// Only packets before this time
    until: Option<String>,
}

/// Which names are wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "what the document says of what `KnownFields` reads"
)]
pub(super) struct FieldsQuery {
    /// How the names begin
    prefix: Option<String>,
    /// Most fields, 50 by default
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// Rows of a list.
pub(super) fn rows(query: &mut Query) -> Question {
    let from = query.take("from", "a whole number", |text| text.parse().ok());
    let limit = query.take("limit", "a number from 1 to 500", |text| {
        let limit = text.parse().ok();
        limit.filter(|limit| (1..=MOST_ROWS).contains(limit))
    });
    let columns = query.take("columns", "names of at most 16 fields", |text| {
        let columns: Vec<_> = text.split(',').map(ToOwned::to_owned).collect();
        (columns.len() <= MOST_COLUMNS).then_some(columns)
    });
    Question::Rows {
        from: from.unwrap_or(0),
        limit: limit.unwrap_or(USUAL_ROWS),
        columns: columns.unwrap_or_default(),
    }
}

/// Refuses columns of fields that there are not.
pub(super) fn check_columns(request: &ViewRequest) -> Result<()> {
    let Question::Rows { columns, .. } = &request.question else {
        return Ok(());
    };
    match columns.iter().find(|name| !is_field(name)) {
        None => Ok(()),
        Some(name) => Err(to_problem(TaskError::View(ViewFault::Column(name.clone())))),
    }
}

/// Where the first packet of a time is.
pub(super) fn at(query: &mut Query) -> Question {
    let time = query.needs("time", "a time such as 2026-03-01T08:00:00Z", nanoseconds);
    Question::PositionOfTime(time.unwrap_or(0))
}

/// Where a packet is.
pub(super) fn position(query: &mut Query) -> Question {
    let number = query.needs("number", "the number of a packet", |text| text.parse().ok());
    Question::PositionOfNumber(number.unwrap_or(0))
}

/// A part of a packet's stream.
pub(super) fn stream(query: &mut Query, number: u64) -> Question {
    let side = query.take("side", "`both`, `client` or `server`", |text| match text {
        "both" => Some(None),
        "client" => Some(Some(StreamSide::Client)),
        "server" => Some(Some(StreamSide::Server)),
        _ => None,
    });
    let from = query.take("from", "`next` of a part", |text| text.parse().ok());
    let limit = query.take("limit", "a number from 1 to 1000", |text| {
        let limit = text.parse().ok();
        limit.filter(|limit| (1..=MOST_SEGMENTS).contains(limit))
    });
    Question::Stream {
        number,
        side: side.flatten(),
        from: from.unwrap_or(0),
        limit: limit.unwrap_or(USUAL_SEGMENTS),
    }
}

/// A page of conversations.
pub(super) fn conversations(query: &mut Query) -> Question {
    let expected = "`bytes`, `packets`, `start` or `duration`";
    let order = query.take("sort", expected, |text| match text {
        "bytes" => Some(ConversationOrder::Bytes),
        "packets" => Some(ConversationOrder::Packets),
        "start" => Some(ConversationOrder::Start),
        "duration" => Some(ConversationOrder::Duration),
        _ => None,
    });
    let limit = query.take("limit", "a number from 1 to 1000", |text| {
        let limit = text.parse().ok();
        limit.filter(|limit| (1..=MOST_CONVERSATIONS).contains(limit))
    });
    let from = query.take("cursor", "`next_cursor` of a page", |text| {
        text.parse().ok()
    });
    Question::Conversations {
        order: order.unwrap_or_default(),
        from: from.unwrap_or(0),
        limit: limit.unwrap_or(USUAL_CONVERSATIONS),
    }
}

/// Packets by time.
pub(super) fn series(query: &mut Query) -> Question {
    let buckets = query.take("buckets", "a number from 1 to 2000", |text| {
        let buckets = text.parse().ok();
        buckets.filter(|buckets| (1..=MAX_BUCKETS as u32).contains(buckets))
    });
    let expected = "a time such as 2026-03-01T08:00:00Z";
    let from_ns = query.take("from", expected, nanoseconds);
    let until_ns = query.take("until", expected, nanoseconds);
    Question::Series {
        buckets: buckets.unwrap_or(USUAL_BUCKETS),
        from_ns,
        until_ns,
    }
}

/// A time in nanoseconds since 1970; earlier ones are that.
fn nanoseconds(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    Some(u64::try_from(time.as_nanosecond()).unwrap_or(0))
}

/// Of the packets of all files that pass a filter.
pub(super) fn filtered(query: &mut Query, question: Question) -> ViewRequest {
    let filter = query.take("filter", "a filter", |text| Some(text.to_owned()));
    ViewRequest {
        file: None,
        filter: filter.unwrap_or_default(),
        question,
    }
}

/// The same of one file, where the query names one.
pub(super) fn asked(query: &mut Query, question: Question) -> ViewRequest {
    let file = in_file(query);
    ViewRequest {
        file,
        ..filtered(query, question)
    }
}

/// The only file to look at.
pub(super) fn in_file(query: &mut Query) -> Option<u64> {
    query.take("file", "the index of a file", |text| text.parse().ok())
}
