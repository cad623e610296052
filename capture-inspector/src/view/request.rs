//! What a view is asked, and why it cannot answer.

use serde::{Deserialize, Serialize};

use super::{conversations::ConversationOrder, export_state::ExportState, stream::StreamSide};

/// A question about the packets of a capture.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ViewRequest {
    /// Index of the only file that is looked at; then numbers are those in it.
    pub file: Option<u64>,
    /// A display filter: only packets that pass are counted and shown. Empty lets all pass.
    pub filter: String,
    /// What is asked.
    pub question: Question,
}

/// What is asked of the packets that pass.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Some of them, a row each: [`Rows`](super::Rows).
    Rows {
        /// How many before the first row; negative, from the end.
        from: i64,
        /// Most rows.
        limit: u32,
        /// Names of fields of which each row has a cell.
        columns: Vec<String>,
    },
    /// Where the first one is that has this number or a higher one: [`Position`](super::Position).
    PositionOfNumber(u64),
    /// Where the first one is that is not earlier, in nanoseconds since 1970: [`Position`](super::Position).
    PositionOfTime(u64),
    /// All of the one with this number: [`Detail`](super::Detail).
    Packet(u64),
    /// The one with this number and those of its conversation before it: [`Context`](super::Context).
    Context(u64),
    /// Bytes of the stream that the one with a number is of, whatever passes: [`StreamPart`](super::StreamPart).
    Stream {
        /// Number of the packet.
        number: u64,
        /// Only what this side sent.
        side: Option<StreamSide>,
        /// How many segments before the first one.
        from: u64,
        /// Most segments.
        limit: u32,
    },
    /// Their conversations: [`Conversations`](super::Conversations).
    Conversations {
        /// What comes first.
        order: ConversationOrder,
        /// How many before the first one.
        from: u64,
        /// Most conversations.
        limit: u32,
    },
    /// How many there were when: [`PacketSeries`](super::PacketSeries).
    Series {
        /// Most buckets.
        buckets: u32,
        /// Only packets that are not earlier, in nanoseconds since 1970.
        from_ns: Option<u64>,
        /// Only packets that are earlier.
        until_ns: Option<u64>,
    },
    /// A part of them as a pcapng file: [`ExportPart`](super::ExportPart).
    Export {
        /// As the part before it says; the default begins.
        state: ExportState,
        /// Only packets of this number or a higher one.
        from_number: u64,
        /// Only packets of this number or a lower one.
        until_number: u64,
    },
}

/// Why there is no answer to a question.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ViewFault {
    /// The text is no filter.
    Filter {
        /// The characters that are wrong, counted from 0.
        from: usize,
        /// The character behind them.
        to: usize,
        /// What is wrong.
        detail: String,
    },
    /// There is no field of this name.
    Column(String),
    /// There is no packet of this number, or not yet.
    NoPacket,
    /// The packet is of no stream: it has neither TCP nor UDP.
    NoStream,
    /// The packets cannot be exported; why.
    NotExported(String),
    /// There is no file of this index.
    NoFile,
}
