//! Engines of others that are on this machine: they look at the same files, and what they say becomes findings.
//!
//! Each is started by this program in a confined process: it reads its rules and libraries, writes only into a scratch
//! directory that is gone afterwards, and has no network. What it says is not trusted: bounded, and escaped when shown.
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `program` | which engines there are, and where |
//! | `scratch` | files as the engine gets them |
//! | `launch`, `sandbox` | the process: outside, and before it becomes the engine |
//! | `suricata`, `ndpi` | how each is called, and what its output means |
//! | `sharkd` | Wireshark's view of one packet |
//! | `alerts` | one finding out of many alerts |
//! | `error` | why there is none |

mod alerts;
mod error;
mod launch;
mod ndpi;
mod program;
mod sandbox;
mod scratch;
mod sharkd;
mod suricata;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::{
    error::Error,
    program::EngineKind,
    sharkd::{Wireshark, WiresharkNode},
};
pub(crate) use self::{launch::ARGUMENT, sandbox::become_engine, sharkd::is_wireshark};
use self::{launch::Launcher, program::Program, scratch::Scratch};
use crate::{analysis::Analysis, engine_report::EngineReport, input::Input};

/// Engines that were found, and can be confined.
#[derive(Debug)]
pub struct Engines {
    engines: Vec<Found>,
    launcher: Launcher,
    rules: Option<PathBuf>,
}

#[derive(Debug)]
struct Found {
    program: Program,
    /// What it says when it is asked for its version.
    about: String,
}

impl Engines {
    /// Finds engines on `PATH`, and asks each for its version, which shows that it can be confined. `rules` is a file
    /// of rules in place of those that are installed.
    ///
    /// # Errors
    /// One is not there, or cannot be confined or started.
    pub fn find(kinds: &[EngineKind], rules: Option<&Path>) -> Result<Self, Error> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(&search, kinds, rules)
    }

    fn find_in(
        search: &std::ffi::OsStr,
        kinds: &[EngineKind],
        rules: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        let mut launcher = Launcher::new(Scratch::new().map_err(Error::Scratch)?);
        let rules = rules.map(std::fs::canonicalize).transpose();
        let mut engines = Vec::new();
        for kind in kinds {
            let program = Program::find(kind, search)?;
            let about = match kind {
                EngineKind::Suricata => suricata::about(&mut launcher, &program),
                EngineKind::Ndpi => ndpi::about(&mut launcher, &program),
            }?;
            engines.push(Found { program, about });
        }
        Ok(Self {
            engines,
            launcher,
            rules: rules.map_err(Error::Rules)?,
        })
    }

    /// The layers of their confinement that this machine does not have.
    pub fn missing(&self) -> &[String] {
        self.launcher.missing()
    }

    /// What is to go with the process, as copies of captures are in it.
    pub fn scratch_directory(&self) -> &Path {
        self.launcher.scratch.path()
    }

    /// Takes the files that they are to look at, before these are analyzed: a pipe can be read once only.
    ///
    /// # Errors
    /// A copy cannot be made.
    pub fn take(&mut self, inputs: &mut [Input]) -> Result<(), Error> {
        self.launcher.scratch.take(inputs).map_err(Error::Scratch)
    }

    /// Has them look at the files, and puts what they say into the answer.
    pub fn run(mut self, analysis: &mut Analysis) {
        for Found { program, about } in &self.engines {
            let (engine, findings) = match program.kind {
                EngineKind::Suricata => {
                    suricata::run(&mut self.launcher, program, about, self.rules.as_deref())
                }
                EngineKind::Ndpi => ndpi::run(&mut self.launcher, program, about),
            };
            add(analysis, engine, findings);
        }
    }
}

/// Adds findings, each behind the own ones of its severity.
fn add(analysis: &mut Analysis, engine: EngineReport, findings: Vec<capture_analysis::Finding>) {
    analysis.engines.push(engine);
    let all = &mut analysis.report.findings;
    all.extend(findings);
    // The sort is stable.
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
}
