//! What Wireshark is offered. A daemon that does not answer at once is left out: Wireshark waits for this list when it
//! starts.

use std::time::Duration;

use capture_client::{
    TaskQuery,
    contexts::{Contexts, LOCAL},
};
use capture_engine::interfaces;
use capture_task::task::TaskRecord;
use futures_util::future::join_all;
use nix::unistd::geteuid;
use tokio::time::timeout;

use super::source::{Source, What, client};
use crate::{
    client::{Client, block_on},
    error::{Error, Result},
};

/// How long daemons have to answer, all of them together.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Most running tasks that are offered of a daemon.
const MOST_TASKS: usize = 20;

/// Where to read more.
const HELP: &str =
    "https://github.com/capture-agent/capture-agent/blob/main/docs/how-to/watch-live.md";

/// One line of the list.
struct Offer {
    source: Source,
    display: String,
}

/// The answer to `--extcap-interfaces`.
pub(super) fn interfaces() -> String {
    let mut text = format!(
        "extcap {{version={}}}{{help={HELP}}}{{display=capture-agent}}\n",
        env!("CARGO_PKG_VERSION")
    );
    let contexts = Contexts::load().unwrap_or_else(|error| {
        log::warn!("{error}");
        Contexts::default()
    });
    let names = [LOCAL]
        .into_iter()
        .chain(contexts.contexts.keys().map(String::as_str));
    let offers = block_on(async { Ok(join_all(names.map(of_context)).await) });
    for Offer { source, display } in offers.unwrap_or_default().into_iter().flatten() {
        text.push_str(&format!(
            "interface {{value={}}}{{display={}}}\n",
            source.value(),
            plain(&display)
        ));
    }
    text
}

/// Whether a daemon answers.
pub(super) fn answers(client: &Client) -> bool {
    block_on(async {
        let asked = timeout(PATIENCE, client.get::<serde_json::Value>("/session")).await;
        Ok(asked.is_ok_and(|answer| answer.is_ok()))
    })
    .unwrap_or(false)
}

async fn of_context(context: &str) -> Vec<Offer> {
    let asked = async {
        let client = client(context)?.unattended(PATIENCE);
        let found = timeout(PATIENCE, of_daemon(&client, context)).await;
        found.map_err(|_| Error::runtime("it has not answered in time"))?
    };
    match asked.await {
        Ok(offers) => offers,
        Err(error) if context == LOCAL && geteuid().is_root() => {
            log::debug!("{error}");
            of_this_host()
        }
        Err(error) => {
            log::debug!("{context}: {error}");
            Vec::new()
        }
    }
}

async fn of_daemon(client: &Client, context: &str) -> Result<Vec<Offer>> {
    let place = match context {
        LOCAL => String::new(),
        context => format!("{context} "),
    };
    let found = client.interfaces().await?;
    let running = TaskQuery {
        states: Some("running".to_owned()),
        ..TaskQuery::default()
    };
    let tasks = client.tasks(&running, MOST_TASKS).await?;
    let interface = |name: &str, what: String| Offer {
        source: Source::new(context, What::Interface(name.to_owned())),
        display: format!("{place}{name}{what}"),
    };
    let capturable = found.iter().filter(|interface| interface.capturable);
    let mut offers: Vec<_> = capturable
        .map(|found| {
            let address = found.addresses.first();
            interface(
                &found.name,
                address.map_or_else(String::new, |it| format!(", {it}")),
            )
        })
        .collect();
    offers.push(interface("any", ", all interfaces".to_owned()));
    offers.extend(tasks.iter().map(|task| Offer {
        source: Source::new(context, What::Task(task.id.clone())),
        display: format!("{place}task {}", name_of(task)),
    }));
    Ok(offers)
}

fn name_of(task: &TaskRecord) -> String {
    format!("{} on {}", task.name, task.spec.interfaces.join(","))
}

/// For `run`, as root.
fn of_this_host() -> Vec<Offer> {
    let entries = interfaces::list().unwrap_or_default().into_iter();
    let names = entries.map(|entry| entry.name).chain(["any".to_owned()]);
    let offers = names.map(|name| Offer {
        display: name.clone(),
        source: Source::new(LOCAL, What::Interface(name)),
    });
    offers.collect()
}

/// Without what has a meaning in this list.
fn plain(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() && !"{}".contains(c);
    text.chars().filter(|c| is_plain(*c)).collect()
}
