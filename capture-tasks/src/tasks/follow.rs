//! Follows the packets of tasks for all who watch: one question for each task and filter, twice a second at most,
//! and one answer that everybody gets.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use capture_inspector::view::{Question, ViewRequest};
use capture_store::TaskId;
use serde::Deserialize;
use tokio::time::sleep;

use super::{error::TaskError, inner::Inner, look};
use crate::{
    followers::{Followed, MOST_FOLLOWED, PacketNews, PacketStream},
    views::Viewed,
};

/// Time between two answers.
const INTERVAL: Duration = Duration::from_millis(500);

/// Rows of an answer, the newest.
const ROWS: u32 = 50;

/// What is looked at in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Outline {
    packets: u64,
    matched: u64,
    searched: u64,
    complete: bool,
    growing: bool,
}

/// Follows the packets of a task that pass a filter. Must be called within a runtime.
pub(super) fn follow(
    inner: &Arc<Inner>,
    id: TaskId,
    filter: &str,
) -> Result<PacketStream, TaskError> {
    let key = (id, filter.trim().to_owned());
    match inner.followers.join(&key) {
        Some((stream, true)) => {
            tokio::spawn(tell(Arc::downgrade(inner), key));
            Ok(stream)
        }
        Some((stream, false)) => Ok(stream),
        None => Err(TaskError::NoView {
            code: "view_busy",
            detail: format!("{MOST_FOLLOWED} tasks and filters are followed now; ask again"),
        }),
    }
}

/// Tells what comes for as long as somebody listens.
async fn tell(inner: Weak<Inner>, key: Followed) {
    let mut last = None;
    while let Some(inner) = inner.upgrade() {
        if !inner.followers.has_listeners(&key) {
            return;
        }
        let news = match ask(&inner, &key).await {
            Ok((outline, text)) => {
                let is_news = last != Some(outline);
                last = Some(outline);
                if is_news {
                    inner.followers.send(&key, PacketNews::Packets(text));
                }
                match outline.growing || !outline.complete {
                    true => None,
                    false => Some(PacketNews::End),
                }
            }
            Err(error) => Some(failed(error)),
        };
        if let Some(news) = news {
            // Those who have not taken the last answer yet should get it.
            sleep(INTERVAL).await;
            inner.followers.end(&key, news);
            return;
        }
        drop(inner);
        sleep(INTERVAL).await;
    }
}

async fn ask(
    inner: &Arc<Inner>,
    (id, filter): &Followed,
) -> Result<(Outline, Arc<str>), TaskError> {
    let request = ViewRequest {
        file: None,
        filter: filter.clone(),
        question: Question::Rows {
            from: -i64::from(ROWS),
            limit: ROWS,
            columns: Vec::new(),
        },
    };
    let answer = look::ask(inner, Viewed::files(*id), move |inspector| {
        inspector.view(request)
    })
    .await?;
    let answer = answer.map_err(TaskError::View)?;
    let outline = serde_json::from_str(answer.get()).map_err(|error| {
        crate::error::Error::runtime(format!("an answer about packets: {error}"))
    })?;
    Ok((outline, answer.get().into()))
}

fn failed(error: TaskError) -> PacketNews {
    let (code, detail) = match error {
        TaskError::NoView { code, detail } => (code, detail),
        TaskError::NotFound => ("not_found", "the task is gone".to_owned()),
        TaskError::FilesRemoved => (
            "files_removed",
            "the task's files are removed: their time was over, or others needed the room"
                .to_owned(),
        ),
        TaskError::Broken(error) | TaskError::NoSpace(error) => {
            log::warn!("packets that are followed: {error}");
            ("view_failed", "the packets cannot be shown".to_owned())
        }
        _ => ("view_failed", "the packets cannot be shown".to_owned()),
    };
    PacketNews::Failed { code, detail }
}
