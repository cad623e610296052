//! The packets of a task for people who look at them: rows of a list, and all of one packet, also while the task runs.
//!
//! A `View` lives in a process of its own and answers one question after the other, none for longer than a part of a
//! second. What it cannot finish in time goes on between the questions, and the answer says so.
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `content` | bytes of a file at any place |
//! | `indexed` | a file, and the places of its packets |
//! | `numbering` | numbers of streams |
//! | `capture` | the files of a task in order |
//! | `passing` | the packets that pass a filter |
//! | `ends`, `cell`, `row`, `detail` | what is said of a packet |
//! | `observed`, `conversations`, `series`, `stream`, `stream_part` | what is said of many |
//! | `survey`, `surveying` | how they are looked at |
//! | `note` | what people say of one |
//! | `export_state`, `export`, `context` | a choice of them as a file |
//! | `request`, `answer`, `checked` | questions and answers; whether a filter is one |
//! | `viewing` | the view |

mod answer;
pub(crate) mod capture;
mod cell;
mod checked;
mod content;
mod context;
mod conversations;
mod detail;
pub(crate) mod ends;
mod export;
mod export_state;
mod indexed;
mod note;
mod numbering;
mod observed;
mod passing;
mod request;
mod row;
mod series;
mod stream;
mod stream_part;
mod survey;
mod surveying;
#[cfg(test)]
mod tests;
mod viewing;

pub(crate) use self::viewing::View;
pub use self::{
    answer::{Position, Rows},
    checked::{KnownField, check_filter, is_field, known_fields},
    context::Context,
    conversations::{BothWays, ConversationOrder, Conversations, ViewConversation},
    detail::{Detail, Node},
    export_state::{ExportPart, ExportState},
    note::ViewNote,
    request::{Question, ViewFault, ViewRequest},
    row::Row,
    series::{MAX_BUCKETS, PacketSeries},
    stream::StreamSide,
    stream_part::{Segment, StreamBytes, StreamPart},
};

/// Most rows of an answer.
pub const MOST_ROWS: u32 = 500;

/// Most fields of which rows have cells.
pub const MOST_COLUMNS: usize = 16;
