//! FIFOs among the outputs of a foreground capture: each is opened before anything is attached, when it has a
//! reader. Signals and the task's duration end the wait.

use std::time::{Duration, Instant};

use capture_engine::signals::Request;
use capture_file::Target;
use tokio::time::sleep;

use super::signals::Signals;
use crate::{
    error::{Error, Result},
    report::duration_text,
    say,
    task_request::TaskRequest,
};

/// Interval between two attempts to open a FIFO. No event tells of a reader but open(2), which would wait for it.
const RETRY: Duration = Duration::from_millis(20);

/// Opens the FIFOs that tasks write to, each once it is read.
///
/// # Errors
/// A signal came, or a task's duration was over, before there was a reader; the FIFO cannot be opened.
pub(super) async fn wait_for_readers(
    tasks: &mut [TaskRequest],
    signals: &mut Signals,
) -> Result<()> {
    let began = Instant::now();
    for task in tasks {
        // What cannot be rotated is refused by the output.
        if task.plan.rotate.is_some() {
            continue;
        }
        let Some(target) = &mut task.target else {
            continue;
        };
        let mut is_told = false;
        while !target.connect()? {
            let name = name_of(target);
            if !is_told {
                say(&format!("waiting for a reader of {name}"));
                is_told = true;
            }
            let limit = task.plan.duration;
            if let Some(limit) = limit.filter(|limit| began.elapsed() >= *limit) {
                return Err(Error::runtime(format!(
                    "nobody has opened {name} for reading within {}; nothing was captured",
                    duration_text(limit)
                )));
            }
            tokio::select! {
                () = signals.stop.received() => {
                    return Err(Error::runtime(format!(
                        "ended by a signal before there was a reader of {name}; nothing was captured"
                    )));
                }
                // All that there is to say is said again.
                request = signals.requests.received() => is_told = request == Request::Flush,
                () = sleep(RETRY) => {}
            }
        }
    }
    Ok(())
}

fn name_of(target: &Target) -> String {
    match target {
        Target::File(path) => path.display().to_string(),
        Target::Open(open) => open.name().display().to_string(),
        Target::Stdout => "standard output".to_owned(),
    }
}
