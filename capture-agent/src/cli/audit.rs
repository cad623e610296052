//! The daemon's audit log, read from its database.

use capture_daemon::{
    access::Actor,
    store::{AuditFilter, AuditLine, Chain},
};
use capture_task::task::rfc3339;

use super::{
    args::{AuditCommand, AuditListArgs, DatabaseArgs, OutputForm},
    listing::{finished, json_line, plain_table},
    print,
    token::open,
};
use crate::cli::{error::Result, exit::Exit};

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
        database,
    } = args;
    let filter = AuditFilter {
        limit: *limit,
        before: *before,
    };
    let lines = open(database)?.audit_list(filter, &Actor::command())?;
    match database.form.output {
        OutputForm::Json => print(&json_line(&lines)?)?,
        OutputForm::Table => print(table(&lines).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn table(lines: &[AuditLine]) -> String {
    let mut table = plain_table();
    table.set_header(["NUMBER", "TIME", "WHO", "FROM", "WHAT", "OBJECT", "OUTCOME"]);
    for line in lines {
        table.add_row([
            line.seq.to_string(),
            rfc3339(line.at),
            line.who.clone(),
            line.from.clone(),
            line.action.clone(),
            line.object.clone(),
            line.outcome.clone(),
        ]);
    }
    finished(table)
}

/// A broken chain is what the command was asked to find, and a failure of what it was asked about.
fn verify(args: &DatabaseArgs) -> Result<Exit> {
    let chain = open(args)?.audit_verify(&Actor::command())?;
    let (text, exit) = match &chain {
        Chain::Verified { lines, head } => (
            format!("{lines} lines, each as it was written; the last one's hash is {head}\n"),
            Exit::Ok,
        ),
        Chain::BrokenAt { seq, why } => (format!("BROKEN at line {seq}: {why}\n"), Exit::Runtime),
    };
    match args.form.output {
        OutputForm::Json => print(&json_line(&chain)?)?,
        OutputForm::Table => print(text.as_bytes())?,
    }
    Ok(exit)
}
