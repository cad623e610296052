//! What a view answers beside rows and packets.

use serde::Serialize;
use utoipa::ToSchema;

use super::row::Row;

/// Some of the packets of a task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rows {
    /// Packets so far. It grows while a task runs, and while its files are read for the first time.
    pub packets: u64,
    /// Those of them that pass the filter, as far as they were searched.
    pub matched: u64,
    /// Packets that the filter has looked at.
    pub searched: u64,
    /// Whether the files were read, and the filter has looked, to the end. If not, ask again: meanwhile it goes on.
    pub complete: bool,
    /// Whether the task runs, and more packets may come.
    pub growing: bool,
    /// How many packets that pass are before the first row.
    pub from: u64,
    /// When the first packet was captured.
    #[schema(required = true, pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")]
    pub first_time: Option<String>,
    /// When the last one was.
    #[schema(required = true, pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")]
    pub last_time: Option<String>,
    /// Why not all of a file can be read.
    #[schema(required = true)]
    pub damage: Option<String>,
    /// The packets in their order. There may be fewer than were asked for, as an answer has at most 2 MiB.
    pub rows: Vec<Row>,
}

/// A place in the list of packets.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Position {
    /// How many packets that pass are before it; all, where there is none.
    pub position: u64,
    /// Whether all packets were looked at that it depends on. If not, ask again.
    pub complete: bool,
}
