//! What is said when all tasks have ended: tables, findings or JSON, and the exit code.

use capture_inspector::Analysis;
use capture_task::task::{FileRecord, State};
use serde::Serialize;

use super::{
    super::{
        analyze, args::OutputForm, listing::json_line, print, report, request::RunOptions, say,
    },
    analysis::{AnalyzedRecord, analyze_files},
    record::final_record,
    task::{Phase, Task},
};
use crate::{error::Result, exit::Exit};

/// The summary of several tasks.
#[derive(Serialize)]
struct Summary {
    tasks: Vec<AnalyzedRecord>,
}

/// Says what became of the tasks.
pub(super) fn report(tasks: Vec<Task>, options: &RunOptions, has_stdout: bool) -> Result<Exit> {
    let ends: Vec<_> = tasks
        .into_iter()
        .filter_map(|task| match task.phase {
            Phase::Ended(end) => Some((task.label, task.record, *end)),
            Phase::Running | Phase::Closing(_) => None,
        })
        .collect();
    if options.form == OutputForm::Table && !options.quiet {
        let table = match ends.as_slice() {
            [(_, _, end)] if !options.from_file => report::closing_table(&end.ended, end.elapsed),
            _ => report::compact_table(
                ends.iter()
                    .map(|(_, record, end)| (record.name.as_str(), &end.ended)),
            ),
        };
        say(table.trim_end());
    } else {
        for (label, _, end) in &ends {
            if end.ended.counters.dropped.total() > 0 {
                let verdict = end.ended.counters.verdict();
                say(&format!("capture-agent: {label}{verdict}"));
            }
        }
    }
    let mut exits: Vec<_> = ends
        .iter()
        .map(|(_, _, end)| match end.ended.stop_reason.final_state() {
            State::Failed => Exit::Runtime,
            _ => Exit::Ok,
        })
        .collect();
    let mut records = Vec::new();
    for (label, record, end) in ends {
        let analysis = match options.analyze {
            true => analyzed(&label, &end.ended.files, options, &mut exits),
            false => None,
        };
        // Of the digests of its files, which take a while, JSON alone has use.
        let record = match options.form {
            OutputForm::Json => final_record(record, end.ended),
            OutputForm::Table => record,
        };
        records.push(AnalyzedRecord { record, analysis });
    }
    show(records, options, has_stdout)?;
    Ok(worst(&exits))
}

/// What the files of a task say, if they can be read.
fn analyzed(
    label: &str,
    files: &[FileRecord],
    options: &RunOptions,
    exits: &mut Vec<Exit>,
) -> Option<Analysis> {
    match analyze_files(files) {
        Ok(analysis) => {
            exits.push(analyze::exit(&analysis.report.findings, options.fail_on));
            Some(analysis)
        }
        Err(error) => {
            say(&format!("capture-agent: {label}not analyzed: {error}"));
            exits.push(Exit::Runtime);
            None
        }
    }
}

/// The findings, or all in JSON, on standard output unless the capture has it.
fn show(mut records: Vec<AnalyzedRecord>, options: &RunOptions, has_stdout: bool) -> Result<()> {
    if options.form == OutputForm::Table {
        for AnalyzedRecord { record, analysis } in &records {
            let Some(analysis) = analysis else { continue };
            let heading = match options.from_file {
                true => format!("\n{}\n", record.name.escape_debug()),
                false => "\n".to_owned(),
            };
            print(format!("{heading}{}", analyze::text(analysis)).as_bytes())?;
        }
        return Ok(());
    }
    let line = match options.from_file {
        true => json_line(&Summary { tasks: records })?,
        false => json_line(&records.remove(0))?,
    };
    match has_stdout {
        true => say(String::from_utf8_lossy(&line).trim_end()),
        false => print(&line)?,
    }
    Ok(())
}

/// A failure outweighs a finding.
fn worst(exits: &[Exit]) -> Exit {
    match exits.contains(&Exit::Runtime) {
        true => Exit::Runtime,
        false => exits.iter().copied().max().unwrap_or(Exit::Ok),
    }
}
