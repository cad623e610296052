//! Engines of others: found and tried before anything is read.

use std::{fs, path::PathBuf, thread};

use capture_engine::procfs::status_mask;
use capture_inspector::{Analysis, EngineError, EngineKind, Engines, Input};
use capture_task::{Cause, printable};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

use crate::{
    args::{AnalyzeArgs, EngineName},
    error::{Error, ErrorKind, Result},
};

/// The engines that are asked for, with the files that they are to look at.
pub(super) fn find(args: &AnalyzeArgs, inputs: &mut [Input]) -> Result<Option<Engines>> {
    let kinds: Vec<_> = args.engine.iter().map(|name| kind(*name)).collect();
    if kinds.is_empty() {
        return Ok(None);
    }
    if args.engine_rules.is_some() && !kinds.contains(&EngineKind::Suricata) {
        let message = "--engine-rules: only `--engine suricata` has rules";
        return Err(Error::usage(message));
    }
    let mut engines = Engines::find(&kinds, args.engine_rules.as_deref()).map_err(error)?;
    if !engines.missing().is_empty() {
        let missing = engines.missing().join(", ");
        log::warn!("engines run without {missing}, which this machine does not allow");
    }
    clean_up_at_signals(engines.scratch_directory().to_owned())?;
    engines.take(inputs).map_err(error)?;
    Ok(Some(engines))
}

/// No copy of a capture stays behind when this is ended; its engine goes with it.
fn clean_up_at_signals(scratch: PathBuf) -> Result<()> {
    let mut numbers = vec![SIGINT, SIGTERM];
    // As nohup wants it.
    let ignored = status_mask("SigIgn").unwrap_or(0);
    if ignored & (1 << (SIGHUP - 1)) == 0 {
        numbers.push(SIGHUP);
    }
    let signals = Signals::new(numbers);
    let mut signals =
        signals.map_err(|error| Error::runtime(format!("signals: {}", Cause(&error))))?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // The engine may still write: then it fails, and is tried again.
            let mut tries = 0..5;
            while tries.next().is_some() && fs::remove_dir_all(&scratch).is_err() {}
            let _ = low_level::emulate_default_handler(signal);
        }
    });
    Ok(())
}

/// An error where an engine did not come to its end, after the rest was shown.
pub(super) fn refuse_failure(analysis: &Analysis) -> Result<()> {
    let mut engines = analysis.engines.iter();
    match engines.find_map(|engine| engine.error.as_ref()) {
        Some(error) => Err(Error::runtime(printable(error))),
        None => Ok(()),
    }
}

fn kind(name: EngineName) -> EngineKind {
    match name {
        EngineName::Suricata => EngineKind::Suricata,
        EngineName::Ndpi => EngineKind::Ndpi,
    }
}

fn error(error: EngineError) -> Error {
    let kind = match &error {
        EngineError::Missing { .. } | EngineError::Unconfined { .. } => ErrorKind::Missing,
        EngineError::Rules(io) if io.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Runtime,
    };
    Error::new(kind, error.to_string())
}
