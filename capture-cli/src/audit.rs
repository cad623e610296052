//! The daemon's audit log, read from its database.

use capture_store::{AuditFilter, AuditLine, Chain, access::Actor};
use capture_task::{printable, short_id, short_length, task::rfc3339};
use jiff::Timestamp;
use serde_json::json;
use ulid::Ulid;

use super::{
    args::{AuditCommand, AuditListArgs, AuditVerifyArgs, BackupArgs, OutputForm, WidthArgs},
    listing::json_line,
    print,
    token::open,
};
use crate::{
    error::Result,
    exit::Exit,
    table::{Column, Screen, Table, Tone, Users},
};

const COLUMNS: [Column; 7] = [
    Column::new("NUMBER").right().rank(1),
    Column::new("TIME"),
    Column::new("WHO").cut(6),
    Column::new("FROM").rank(2),
    Column::new("WHAT"),
    Column::new("OBJECT").cut(8),
    Column::new("OUTCOME").cut(10),
];

/// Executes one of the commands.
pub(super) fn execute(command: AuditCommand) -> Result<Exit> {
    match command {
        AuditCommand::List(args) => list(&args),
        AuditCommand::Verify(args) => verify(&args),
    }
}

fn list(args: &AuditListArgs) -> Result<Exit> {
    let AuditListArgs {
        limit,
        before,
        width: WidthArgs { no_trunc },
        database,
    } = args;
    let filter = AuditFilter {
        limit: *limit,
        before: *before,
        ..AuditFilter::default()
    };
    let lines = open(database)?.audit_list(&filter, &Actor::command())?;
    match database.form.output {
        OutputForm::Json => print(&json_line(&lines)?)?,
        OutputForm::Table => print(table(&lines, &Screen::of_stdout(*no_trunc)).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn table(lines: &[AuditLine], screen: &Screen) -> String {
    let mut table = Table::new(COLUMNS);
    let mut users = Users::of(true);
    for line in lines {
        let (at, who, object) = match screen.width {
            Some(_) => (
                at_screen(line.at, screen),
                users.name(&short_ids(&line.who)),
                short_ids(&line.object),
            ),
            None => (rfc3339(line.at), line.who.clone(), line.object.clone()),
        };
        table.row([
            line.seq.to_string(),
            at,
            who,
            line.from.clone(),
            line.action.clone(),
            object,
            line.outcome.clone(),
        ]);
        if !line.outcome.starts_with("done") {
            table.tone(6, Tone::Bad);
        }
    }
    table.text(screen)
}

/// Local time to the second, with the year where it is another one.
fn at_screen(at: Timestamp, screen: &Screen) -> String {
    let at = at.to_zoned(screen.now.time_zone().clone());
    let form = match at.year() == screen.now.year() {
        true => "%b %d %H:%M:%S",
        false => "%Y-%m-%d %H:%M",
    };
    at.strftime(form).to_string()
}

/// The IDs within a text by their ends.
fn short_ids(text: &str) -> String {
    let is_part = |char: char| !char.is_ascii_alphanumeric();
    let parts = text.split_inclusive(is_part).map(|part| {
        let id = part.trim_end_matches(is_part);
        match Ulid::from_string(id) {
            Ok(_) => short_id(part, short_length([].into_iter()) + part.len() - id.len()),
            Err(_) => part,
        }
    });
    parts.collect()
}

/// Copies the database, and prints the name of the copy.
pub(super) fn backup(args: &BackupArgs) -> Result<Exit> {
    let BackupArgs { file, database } = args;
    open(database)?.backup(file, &Actor::command())?;
    let shown = file.display();
    match database.form.output {
        OutputForm::Json => print(&json_line(&json!({ "file": shown.to_string() }))?)?,
        OutputForm::Table => print(format!("{}\n", printable(&shown.to_string())).as_bytes())?,
    }
    Ok(Exit::Ok)
}

/// A broken chain is what the command was asked to find, and a failure of what it was asked about.
fn verify(args: &AuditVerifyArgs) -> Result<Exit> {
    let AuditVerifyArgs { anchor, database } = args;
    let chain = open(database)?.audit_verify_by(*anchor, &Actor::command())?;
    let (text, exit) = match &chain {
        Chain::Verified { lines, head } => (
            format!("{lines} lines, each as it was written; the last one's hash is {head}\n"),
            Exit::Ok,
        ),
        Chain::BrokenAt { seq, why } => (format!("BROKEN at line {seq}: {why}\n"), Exit::Runtime),
    };
    match database.form.output {
        OutputForm::Json => print(&json_line(&chain)?)?,
        OutputForm::Table => print(text.as_bytes())?,
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::golden;

    fn line(seq: i64, at: &str, who: &str, action: &str, object: &str, outcome: &str) -> AuditLine {
        AuditLine {
            seq,
            at: at.parse().expect("a time"),
            who: who.to_owned(),
            from: "socket pid 1234567".to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            outcome: outcome.to_owned(),
            previous: [0; 32],
            hash: [0; 32],
        }
    }

    #[test]
    fn screens_of_many_widths() {
        let lines = [
            line(
                120,
                "2026-03-01T10:59:01Z",
                "uid 0",
                "task.create",
                "01M8KTZV402MDG02K9P503W781",
                "done",
            ),
            line(
                119,
                "2026-03-01T10:58:01Z",
                "token ci 01M8KTZV402MDG02K9P503W781",
                "file.download",
                "01M8KTZV402MDG02K9P503W781/12",
                "refused: not allowed",
            ),
            line(
                1,
                "2025-03-01T10:58:01Z",
                "daemon",
                "daemon.start",
                "",
                "done: 3 more times",
            ),
        ];
        for width in [60, 80, 100, 200] {
            golden(
                &format!("audit-{width}.txt"),
                &table(&lines, &Screen::test(Some(width))),
            );
        }
        golden("audit-pipe.txt", &table(&lines, &Screen::test(None)));
    }
}
