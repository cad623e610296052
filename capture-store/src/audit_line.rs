//! A line of the audit log, as it is stored.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use serde::Serialize;

use super::values::{self, time};

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Number, from 1, without gaps.
    pub seq: i64,
    /// When.
    #[serde(serialize_with = "values::as_rfc3339")]
    pub at: Timestamp,
    /// Who: `uid 1000`, `token NAME ID`, `daemon`, `unknown`.
    pub who: String,
    /// From where: `socket pid 123`, `tcp ADDRESS:PORT`, `command`, `internal`.
    pub from: String,
    /// `task.create` and so on.
    pub action: String,
    /// To what.
    pub object: String,
    /// `done`, `done: N more times`, `refused: WHY`, `failed: WHY`.
    pub outcome: String,
    /// Hash of the line before, in lower-case hexadecimal; zeros before the first.
    #[serde(serialize_with = "as_hex")]
    pub previous: [u8; 32],
    /// Hash of this line.
    #[serde(serialize_with = "as_hex")]
    pub hash: [u8; 32],
}

/// Number and hash of the last line.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<(i64, Hash)> {
    connection
        .prepare_cached("SELECT seq, hash FROM audit_head")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

pub(super) fn read_line(row: &Row<'_>) -> rusqlite::Result<AuditLine> {
    Ok(AuditLine {
        seq: row.get(0)?,
        at: time(row.get(1)?)?,
        who: row.get(2)?,
        from: row.get(3)?,
        action: row.get(4)?,
        object: row.get(5)?,
        outcome: row.get(6)?,
        previous: row.get(7)?,
        hash: row.get(8)?,
    })
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_hex<S: serde::Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(hash))
}
