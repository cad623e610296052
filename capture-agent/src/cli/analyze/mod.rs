//! `analyze`: says what is wrong in a capture file. The file is read once, from front to back, and so may be a pipe.

mod analysis;
mod feed;
mod table;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
};

use capture_analysis::Severity;
use capture_file::read;

use self::{
    analysis::{Analysis, AnalyzedFile},
    feed::Feed,
};
use super::{
    args::{AnalyzeArgs, FailOn, OutputForm},
    listing::{json_line, use_color},
    print,
};
use crate::cli::{
    error::{Error, Result},
    exit::Exit,
};

/// Analyzes a file, prints what there is to say, and tells by the exit code whether a finding is bad enough. Of a
/// damaged file all that was read before the damage is analyzed.
pub(super) fn analyze(args: &AnalyzeArgs) -> Result<Exit> {
    let name = args.file.display().to_string();
    let source: Box<dyn Read> = if args.file.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            let message = "standard input is a terminal; name a file, or send a capture into it";
            return Err(Error::usage(message));
        }
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(format!("{name} is not there")),
            _ => Error::runtime(format!("cannot open {name}: {error}")),
        })?;
        Box::new(file)
    };

    let mut reader = read::Reader::new(source);
    let mut feed = Feed::default();
    let damage = feed.all(&mut reader).err();
    if let Some(error) = &damage
        && reader.packets() == 0
    {
        return Err(Error::runtime(format!("{name}: {error}")));
    }
    let analysis = Analysis {
        files: vec![AnalyzedFile {
            name: name.clone(),
            packets: reader.packets(),
            damage: damage.as_ref().map(ToString::to_string),
        }],
        report: feed.finish(),
    };
    match args.form.output {
        OutputForm::Json => print(&json_line(&analysis)?)?,
        OutputForm::Table => print(table::text(&analysis, use_color()).as_bytes())?,
    }
    if let Some(error) = damage {
        let message = format!("{name} is damaged, and was analyzed up to there: {error}");
        return Err(Error::runtime(message));
    }
    let worst = analysis.report.findings.iter().map(|it| it.severity).max();
    let limit = args.fail_on.map(|limit| match limit {
        FailOn::Warn => Severity::Warn,
        FailOn::High => Severity::High,
    });
    match limit {
        Some(limit) if worst >= Some(limit) => Ok(Exit::Finding),
        _ => Ok(Exit::Ok),
    }
}
