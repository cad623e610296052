//! Events of the audit log: an action, its object, its outcome.

use capture_task::printable;
use jiff::Timestamp;

use crate::access::Caller;

/// Most characters of a text that comes from outside.
const MAX_CHARACTERS: usize = 256;

/// What was done, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A task was asked for.
    TaskCreate,
    /// A filter was tried without a task; the object says where and which.
    Probe,
    /// A task that an earlier daemon had begun was taken up again.
    TaskResume,
    /// The end of a task was asked for.
    TaskStop,
    /// A task was removed.
    TaskDelete,
    /// A file was opened for download.
    FileDownload,
    /// What was found in the files, with packets of them, was fetched as a page.
    ReportDownload,
    /// A note about a packet was written or removed.
    NoteWrite,
    /// Packets of a task were looked at, by somebody who did not look before.
    PacketsOpen,
    /// They were chosen from by a filter; the object says which.
    PacketsFilter,
    /// The bytes of a stream were looked at, by somebody who did not look before, or saved.
    PacketsStream,
    /// Packets were saved as a file of their own.
    PacketsExport,
    /// The files of two tasks were compared.
    TaskCompare,
    /// Files were removed as their time was over.
    FileExpire,
    /// Files were removed as others had no room.
    FileEvict,
    /// A token was made.
    TokenCreate,
    /// The tokens were listed.
    TokenList,
    /// A token was revoked.
    TokenRevoke,
    /// A link to a task was made.
    ShareCreate,
    /// A link was taken back.
    ShareRevoke,
    /// A link was used.
    ShareUse,
    /// A token was exchanged for a session of a browser.
    SessionCreate,
    /// Such a session was ended.
    SessionEnd,
    /// The audit log was read.
    AuditList,
    /// The audit log was verified.
    AuditVerify,
    /// The database was copied; the object is the copy.
    Backup,
    /// Something was asked for that needs rights; the object says what.
    Access,
    /// The configuration was read again.
    ConfigReload,
}

impl Action {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskCreate => "task.create",
            Self::TaskResume => "task.resume",
            Self::Probe => "probe",
            Self::TaskStop => "task.stop",
            Self::TaskDelete => "task.delete",
            Self::FileDownload => "file.download",
            Self::ReportDownload => "report.download",
            Self::NoteWrite => "note.write",
            Self::PacketsOpen => "packets.open",
            Self::PacketsFilter => "packets.filter",
            Self::PacketsStream => "packets.stream",
            Self::PacketsExport => "packets.export",
            Self::TaskCompare => "task.compare",
            Self::FileExpire => "file.expire",
            Self::FileEvict => "file.evict",
            Self::TokenCreate => "token.create",
            Self::TokenList => "token.list",
            Self::TokenRevoke => "token.revoke",
            Self::ShareCreate => "share.create",
            Self::ShareRevoke => "share.revoke",
            Self::ShareUse => "share.use",
            Self::SessionCreate => "session.create",
            Self::SessionEnd => "session.end",
            Self::AuditList => "audit.list",
            Self::AuditVerify => "audit.verify",
            Self::Backup => "backup",
            Self::Access => "access",
            Self::ConfigReload => "config.reload",
        }
    }
}

/// What came of it. Reasons are short, and never hold payload or secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It was done.
    Done,
    /// It was done so often again, in parts or as a whole, shortly after a line that says so.
    DoneAgain(u64),
    /// It was not allowed; why.
    Refused(&'a str),
    /// It was allowed and did not succeed; why.
    Failed(&'a str),
}

impl Outcome<'_> {
    pub(super) fn text(self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::DoneAgain(times) => format!("done: {times} more times"),
            Self::Refused(why) => format!("refused: {}", shortened(why)),
            Self::Failed(why) => format!("failed: {}", shortened(why)),
        }
    }
}

/// Something for the log.
#[derive(Clone, Copy, Debug)]
pub struct AuditEvent<'a> {
    /// What was done.
    pub action: Action,
    /// To what: the ID of a task or token, a path; cut after 256 characters, control characters escaped.
    pub object: &'a str,
    /// What came of it.
    pub outcome: Outcome<'a>,
}

impl<'a> AuditEvent<'a> {
    /// Something that was done.
    pub fn done(action: Action, object: &'a str) -> Self {
        Self {
            action,
            object,
            outcome: Outcome::Done,
        }
    }
}

/// An event of the past whose line waits in memory.
#[derive(Clone, Debug)]
pub(super) struct LateLine {
    pub(super) at: Timestamp,
    pub(super) caller: Caller,
    pub(super) action: Action,
    pub(super) object: String,
    pub(super) outcome: String,
}

/// A text that is printable, and not endless.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARACTERS) {
        None => printable(text),
        Some((end, _)) => printable(&text[..end]) + "…",
    }
}
