//! Packets as Wireshark shows them, where it is installed and switched on.

use std::{sync::Arc, time::Duration};

use base64ct::{Base64, Encoding as _};
use capture_inspector::{
    Wireshark,
    view::{Context, Question, ViewRequest},
};
use capture_store::TaskId;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{error::TaskError, inner::Inner, look};
use crate::{error::Error, views::Viewed};

/// Longest wait for a turn.
const TURN: Duration = Duration::from_secs(5);

/// Packets that it takes apart at once; it takes 150 MiB for each.
const MOST_AT_ONCE: usize = 2;

impl Inner {
    /// Whether packets can be shown by it.
    pub(super) fn has_wireshark(&self) -> bool {
        self.config().console.wireshark && Wireshark::find().is_some()
    }
}

/// All of one packet, its tree by Wireshark.
pub(super) async fn show(
    inner: &Arc<Inner>,
    id: TaskId,
    file: Option<u64>,
    number: u64,
) -> Result<Value, TaskError> {
    let no = |code, detail: String| TaskError::NoView { code, detail };
    let not_here = |detail| TaskError::NotShown {
        code: "wireshark_missing",
        detail,
    };
    if !inner.config().console.wireshark {
        let why =
            "Wireshark is switched off; `console.wireshark` in the configuration switches it on";
        return Err(not_here(why.to_owned()));
    }
    let found = spawn_blocking(Wireshark::find).await.ok().flatten();
    let wireshark = found.ok_or_else(|| not_here(Wireshark::missing()))?;
    let mut detail: Value = ask(inner, id, file, Question::Packet(number)).await?;
    let context: Context = ask(inner, id, file, Question::Context(number)).await?;
    let capture = Base64::decode_vec(&context.data)
        .map_err(|error| Error::runtime(format!("an answer about packets: {error}")))?;
    let turn = timeout(TURN, inner.wireshark.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(no(
            "view_busy",
            "Wireshark takes other packets apart now; ask again".to_owned(),
        ));
    };
    let tree = spawn_blocking(move || wireshark.tree(&capture, &context.numbers)).await;
    let tree = tree.map_err(|error| Error::runtime(format!("the daemon is ending: {error}")))?;
    let tree = tree.map_err(|error| no("wireshark_failed", error.to_string()))?;
    detail["tree"] = json!(tree);
    detail["decoder"] = json!(wireshark.name());
    Ok(detail)
}

async fn ask<T: DeserializeOwned>(
    inner: &Arc<Inner>,
    id: TaskId,
    file: Option<u64>,
    question: Question,
) -> Result<T, TaskError> {
    let request = ViewRequest {
        file,
        filter: String::new(),
        question,
    };
    let answer = look::ask(inner, Viewed::files(id), move |inspector| {
        inspector.view(request)
    })
    .await?;
    read(answer.map_err(TaskError::View)?.get())
}

fn read<T: DeserializeOwned>(answer: &str) -> Result<T, TaskError> {
    serde_json::from_str(answer)
        .map_err(|error| Error::runtime(format!("an answer about packets: {error}")).into())
}

/// Turns to ask it.
pub(super) fn turns() -> Semaphore {
    Semaphore::new(MOST_AT_ONCE)
}
