//! The daemon, for the commands that talk to it: [`capture_client`], run to its end on this thread.

use std::future::Future;

pub(super) use capture_client::{Client, Events, Header, Meant, SseEvent, TaskQuery};
use capture_task::Cause;

use super::{
    error::{Error, Result},
    say,
};

/// Runs what talks to the daemon to its end.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::runtime(format!("starting: {}", Cause(&error))))?;
    let done = runtime.block_on(future);
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    done
}

/// The ID of the task that somebody means. Where a name has several, says which one it is.
pub(super) async fn find(client: &Client, text: &str, meant: Meant) -> Result<String> {
    let found = client.find(text, meant).await?;
    if let Some(note) = found.note {
        say(&note);
    }
    Ok(found.id)
}
