//! `analyze`: says what is wrong in capture files, which are one capture together. Each is read once, from front to back,
//! and so may be a pipe.

mod engines;
mod input;
mod output;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use capture_analysis::{Finding, Severity};
use capture_inspector::{Analysis, Unreadable, cited_packets};

use super::{
    args::{AnalysisForm, AnalyzeArgs, FailOn},
    listing::json_line,
    print,
    print::parsed_filter,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
    table::use_color,
};

/// Analyzes files, prints what there is to say, and tells by the exit code whether a finding is bad enough. Of a
/// damaged file all that was read before the damage is analyzed.
pub(super) fn analyze(args: &AnalyzeArgs) -> Result<Exit> {
    let filter = args.display_filter.as_deref().map(parsed_filter);
    let filter = filter.transpose()?;
    let mut inputs = input::open_all(&args.files)?;
    if let Some(path) = &args.write {
        output::refuse_input(path, args.files.iter().chain(&args.compare))?;
    }
    let mut baseline = input::open_all(&args.compare)?;
    let engines = engines::find(args, &mut inputs)?;
    let analysis = match (filter, baseline.is_empty()) {
        (Some(filter), _) => capture_inspector::analyze_chosen(&mut inputs, filter),
        (None, true) => capture_inspector::analyze(&mut inputs),
        (None, false) => capture_inspector::compare(&mut inputs, &mut baseline),
    };
    let mut analysis = analysis.map_err(unreadable)?;
    if let Some(engines) = engines {
        engines.run(&mut analysis);
    }
    let bytes = match args.output {
        AnalysisForm::Json => json_line(&analysis)?,
        AnalysisForm::Table => {
            let color = args.write.is_none() && use_color();
            table::text(&analysis, color).into_bytes()
        }
        AnalysisForm::Html => {
            let cited = cited_packets(&mut inputs, &analysis);
            capture_inspector::html(&analysis, &cited).into_bytes()
        }
    };
    match &args.write {
        Some(path) if path.as_os_str() != "-" => output::write(path, &bytes)?,
        _ => print(&bytes)?,
    }
    refuse_damage(&analysis)?;
    engines::refuse_failure(&analysis)?;
    Ok(exit(&analysis.report.findings, args.fail_on))
}

/// What these files say.
pub(super) fn of_files(paths: &[PathBuf]) -> Result<Analysis> {
    capture_inspector::analyze(&mut input::open_all(paths)?).map_err(unreadable)
}

/// The answer as text for people.
pub(super) fn text(analysis: &Analysis) -> String {
    table::text(analysis, use_color())
}

fn unreadable(unreadable: Unreadable) -> Error {
    Error::runtime(unreadable.to_string())
}

/// The exit code: whether a finding is as bad as was asked for.
pub(super) fn exit(findings: &[Finding], fail_on: Option<FailOn>) -> Exit {
    let worst = findings.iter().map(|it| it.severity).max();
    let limit = fail_on.map(|limit| match limit {
        FailOn::Warn => Severity::Warn,
        FailOn::High => Severity::High,
    });
    match limit {
        Some(limit) if worst >= Some(limit) => Exit::Finding,
        _ => Exit::Ok,
    }
}

/// An error where files are damaged, after what could be read of them was shown.
fn refuse_damage(analysis: &Analysis) -> Result<()> {
    let baseline = analysis.comparison.iter().flat_map(|it| &it.baseline.files);
    let files = analysis.files.iter().chain(baseline);
    let mut damaged = files.filter_map(|file| Some((file, file.damage.as_ref()?)));
    let Some((file, damage)) = damaged.next() else {
        return Ok(());
    };
    let name = &file.name;
    let mut message = match file.packets {
        0 => format!("{name} is left out: {damage}"),
        _ => format!("{name} is damaged, and was analyzed up to there: {damage}"),
    };
    let others = damaged.count();
    if others > 0 {
        message.push_str(&format!("; and {others} more files"));
    }
    Err(Error::runtime(message))
}
