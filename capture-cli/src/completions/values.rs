//! Values that completion offers: interfaces, namespaces, tasks, tokens, as they are at the moment. What cannot be
//! asked for is not offered; a tab key is no place for errors.

use std::{env, ffi::OsStr, path::PathBuf, sync::Arc, time::Duration};

use capture_client::services;
use capture_client::{
    Location,
    contexts::{Contexts, LOCAL},
};
use capture_engine::{interfaces, netns};
use capture_store::{Store, clock::SystemClock};
use capture_task::{ago_of, plan::Keyword as _, short_id, short_length, task::TaskRecord};
use capture_tasks::config::Config;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, ValueCompleter};
use tokio::time::timeout;

use crate::{
    client::{TaskQuery, block_on},
    error::Error,
};

/// How long a daemon may take to answer a tab key.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most tasks that are offered, the newest.
const MOST_TASKS: usize = 50;

/// Interfaces of the namespace that the line names, also behind a comma.
pub(crate) fn interfaces() -> ArgValueCompleter {
    offering_list(|| {
        if let Some(namespace) = typed("--netns") {
            netns::enter(&namespace).ok()?;
        }
        let entries = interfaces::list().ok()?;
        let names = entries.into_iter().map(|entry| {
            let help = entry.link_description();
            (entry.name, help)
        });
        let any = (
            "any".to_owned(),
            "all that are there, and that come".to_owned(),
        );
        Some(names.chain([any]).collect())
    })
}

/// Services by name, also behind a comma.
pub(crate) fn services() -> ArgValueCompleter {
    offering_list(|| {
        let usual = services::USUAL.iter();
        Some(
            usual
                .map(|(name, port)| ((*name).to_owned(), port.to_string()))
                .collect(),
        )
    })
}

/// Names of `ip netns`; a path where one is begun.
pub(crate) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        if current.as_encoded_bytes().contains(&b'/') {
            return clap_complete::engine::PathCompleter::any().complete(current);
        }
        let names = netns::named().into_iter().map(|name| (name, String::new()));
        matching(current, names.collect())
    })
}

/// Tasks of the daemon.
pub(crate) fn tasks() -> ArgValueCompleter {
    offering(|| Some(named(&newest_tasks()?)))
}

/// Tasks of the daemon that have not ended.
pub(crate) fn unended_tasks() -> ArgValueCompleter {
    offering(|| {
        let mut tasks = newest_tasks()?;
        tasks.retain(|task| !task.state.is_final());
        Some(named(&tasks))
    })
}

/// Contexts, and what each leads to.
pub(crate) fn contexts() -> ArgValueCompleter {
    offering(|| {
        let contexts = Contexts::load().ok()?.contexts.into_iter();
        let local = (LOCAL.to_owned(), "the daemon of this host".to_owned());
        let named = contexts.map(|(name, context)| (name, context.url));
        Some(named.chain([local]).collect())
    })
}

/// Tokens that are not revoked, for those who may open the database.
pub(crate) fn tokens() -> ArgValueCompleter {
    offering(|| {
        let config = Config::load(typed("--config").map(PathBuf::from).as_deref()).ok()?;
        let store = Store::open_existing(&config.paths.database, Arc::new(SystemClock)).ok()?;
        let tokens = store.unrevoked_tokens().ok()?.into_iter();
        let named = tokens.map(|token| (token.name, token.id.to_string()));
        Some(named.collect())
    })
}

fn newest_tasks() -> Option<Vec<TaskRecord>> {
    let location = Location {
        socket: typed("--socket").map(Into::into),
        url: typed("--url"),
        context: typed("--context"),
        token_file: typed("--token-file").map(Into::into),
        ca: typed("--ca").map(Into::into),
    };
    let client = location.client().ok()?.unattended(PATIENCE);
    let asked = block_on(async {
        let tasks = timeout(PATIENCE, client.tasks(&TaskQuery::default(), MOST_TASKS)).await;
        Ok(tasks.map_err(|_| Error::runtime("the daemon is slow"))??)
    });
    asked.ok()
}

/// A task by its name where no other has it, else by the end of its ID.
fn named(tasks: &[TaskRecord]) -> Vec<Value> {
    let length = short_length(tasks.iter().map(|task| task.id.as_str()));
    let of = |task: &TaskRecord| {
        let is_only = tasks.iter().filter(|other| other.name == task.name).count() == 1;
        let is_plain = task.name.chars().all(|c| c.is_ascii_graphic() && c != ':');
        let id = short_id(&task.id, length).to_owned();
        let about = format!(
            "{}, created {}",
            task.state.keyword(),
            ago_of(&task.created_at)
        );
        match is_only && is_plain && !task.name.starts_with('-') {
            true => (task.name.clone(), about),
            false => (id, format!("{}, {about}", task.name.escape_debug())),
        }
    };
    tasks.iter().map(of).collect()
}

/// What is offered, and a word about it.
type Value = (String, String);

fn offering(values: fn() -> Option<Vec<Value>>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| matching(current, values().unwrap_or_default()))
}

/// The same for a list with commas: what is in it is not offered again.
fn offering_list(values: fn() -> Option<Vec<Value>>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let Some(current) = current.to_str() else {
            return Vec::new();
        };
        let (before, last) = match current.rfind(',') {
            Some(comma) => current.split_at(comma + 1),
            None => ("", current),
        };
        let mut values = values().unwrap_or_default();
        values.retain(|(value, _)| !before.split(',').any(|given| given == value));
        let candidates = matching(OsStr::new(last), values).into_iter();
        candidates
            .map(|candidate| candidate.add_prefix(before))
            .collect()
    })
}

fn matching(current: &OsStr, values: Vec<Value>) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    let fitting = values
        .into_iter()
        .filter(|(value, _)| value.starts_with(&*begun));
    let candidates = fitting.map(|(value, help)| {
        let candidate = CompletionCandidate::new(value);
        match help.is_empty() {
            true => candidate,
            false => candidate.help(Some(help.into())),
        }
    });
    candidates.collect()
}

/// The value of an option that stands on the line, as `--option VALUE` or `--option=VALUE`.
fn typed(option: &str) -> Option<String> {
    value_of(
        option,
        env::args_os().map(|word| word.to_string_lossy().into_owned()),
    )
}

fn value_of(option: &str, words: impl Iterator<Item = String>) -> Option<String> {
    let mut words = words.skip_while(|word| word != "--").skip(1);
    while let Some(word) = words.next() {
        if word == option {
            return words.next().filter(|value| !value.is_empty());
        }
        if let Some(value) = word
            .strip_prefix(option)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_line_count() {
        let of = |line: &str| value_of("--netns", line.split(' ').map(str::to_owned));
        assert_eq!(of("x -- x run --netns blue -i").as_deref(), Some("blue"));
        assert_eq!(of("x -- x run --netns=blue -i").as_deref(), Some("blue"));
        assert_eq!(of("x --netns no -- x run -i"), None);
        assert_eq!(of("x -- x run --netns"), None);
    }
}
