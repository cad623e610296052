//! The engine, started with the first task: an idle daemon has no programs in the kernel, no rings and no reader
//! thread.

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use capture_engine::{Engine, EngineOptions, TaskHandle, loader::StartLoader};
use capture_task::{plan::Hook, task::FileRecord};

use super::task_table::Figures;
use crate::error::Result;

/// An engine that may not have been started.
pub(super) struct LazyEngine {
    options: EngineOptions,
    loader: Option<StartLoader>,
    engine: OnceLock<Arc<Engine>>,
    starting: Mutex<()>,
}

impl LazyEngine {
    /// An engine that is not started. Without a loader this process loads the programs itself.
    pub(super) fn new(ring_size: u64, loader: Option<StartLoader>) -> Self {
        Self {
            options: EngineOptions { ring_size },
            loader,
            engine: OnceLock::new(),
            starting: Mutex::new(()),
        }
    }

    /// What loads the kernel programs, if this process does not.
    pub(super) fn loader(&self) -> Option<&StartLoader> {
        self.loader.as_ref()
    }

    /// The engine, if it was started; never waits.
    pub(super) fn get(&self) -> Option<&Arc<Engine>> {
        self.engine.get()
    }

    /// The engine, started where it was not; after a failure the next call tries again.
    pub(super) fn start(&self) -> Result<&Arc<Engine>> {
        let _one = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Arc::new(Engine::start_by(
            self.options,
            self.loader.as_ref().map(|loader| (loader, &Hook::ALL[..])),
        )?);
        log::info!("the engine has started");
        Ok(self.engine.get_or_init(|| engine))
    }
}

/// The figures of a task that the engine has.
pub(super) fn figures_of(engine: &Engine, task: TaskHandle) -> Option<Figures> {
    let (counters, files) = engine.figures(task)?;
    Some((counters, named(files)))
}

/// Files by their names in the directory, as records have them.
pub(super) fn named(mut files: Vec<FileRecord>) -> Vec<FileRecord> {
    for file in &mut files {
        if let Some(name) = Path::new(&file.name).file_name() {
            file.name = name.to_string_lossy().into_owned();
        }
    }
    files
}
