//! Compares the files of two tasks that have ended, by an inspector.

use capture_store::{
    TaskId,
    access::{Actor, Right},
};
use capture_task::task::FileRecord;
use serde_json::value::RawValue;

use super::{
    error::TaskError,
    inner::{Inner, lock},
};

impl Inner {
    /// What was found in the files of a task, and what differs from those of another one. One comparison is made at a
    /// time.
    pub(super) fn compare(
        &self,
        task: &TaskId,
        baseline: &TaskId,
        actor: &Actor,
    ) -> Result<Box<RawValue>, TaskError> {
        if !actor.may(Right::Inspect) {
            return Err(TaskError::Forbidden);
        }
        let [files, before] = [task, baseline].map(|id| self.files_to_analyze(id));
        let (files, before) = (files?, before?);
        let _one = lock(&self.page);
        let compared = self.compare_files((task, &files), (baseline, &before));
        compared.map_err(|detail| TaskError::NotAnalyzed {
            code: "analysis_failed",
            detail,
        })
    }

    fn compare_files(
        &self,
        (task, files): (&TaskId, &[FileRecord]),
        (baseline, before): (&TaskId, &[FileRecord]),
    ) -> Result<Box<RawValue>, String> {
        let mut inspector = self.with_files(task, files)?;
        for file in before {
            let name = &file.name;
            let opened = self.storage.open_file(baseline, file);
            let opened = opened.map_err(|error| format!("{name} cannot be opened: {error}"))?;
            let added = inspector.add_baseline(name, &opened);
            added.map_err(|error| error.to_string())?;
        }
        inspector.compare().map_err(|error| error.to_string())
    }
}
