//! Which task somebody means: by its ID, by the end or the beginning of one, or by its name.

use std::fmt::Write as _;

use capture_task::{
    ago_of,
    error::ErrorKind,
    plan::{Keyword as _, quote, quoted},
    printable, short_id, short_length,
    task::TaskRecord,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use ulid::Ulid;

use super::Client;
use crate::error::{Error, Result};

/// Least characters of an ID: fewer are more likely a slip than an ID.
const SHORTEST: usize = 4;

/// Most tasks of one answer.
const PAGE: usize = 1000;

/// Most tasks that are looked at for one that is meant, and most that an error names.
const MOST_MEANT: usize = 1000;
const MOST_NAMED: usize = 4;

/// A page of tasks.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(deserialize_with = "readable")]
    tasks: Vec<TaskRecord>,
    next_cursor: Option<String>,
}

/// The tasks that this version can read: one of a newer daemon's kind hides none of the others.
fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TaskRecord>, D::Error> {
    let tasks = Vec::<Value>::deserialize(deserializer)?;
    let tasks = tasks.into_iter().filter_map(|task| {
        TaskRecord::deserialize(&task)
            .inspect_err(|error| {
                let id = printable(task["id"].as_str().unwrap_or("?"));
                let name = printable(task["name"].as_str().unwrap_or("?"));
                log::warn!("task {id} ({name}) is left out: the daemon may be newer than this program; {error}");
            })
            .ok()
    });
    Ok(tasks.collect())
}

/// Which tasks to list.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    /// States, with commas between.
    pub states: Option<String>,
    /// A pattern of names.
    pub name: Option<String>,
    /// Beginning or end of an ID.
    pub id: Option<String>,
    /// Created then or later, RFC 3339.
    pub since: Option<String>,
}

/// Which of several tasks of a name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// The only one that has not ended.
    Unended,
    /// The newest.
    Newest,
}

impl Client {
    /// The newest tasks, at most so many, newest first.
    pub async fn tasks(&self, query: &TaskQuery, most: usize) -> Result<Vec<TaskRecord>> {
        let mut tasks = Vec::new();
        let mut cursor = None;
        while tasks.len() < most {
            let page = self.page(query, most - tasks.len(), cursor).await?;
            tasks.extend(page.tasks);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        tasks.truncate(most);
        Ok(tasks)
    }

    async fn page(&self, query: &TaskQuery, most: usize, cursor: Option<String>) -> Result<Page> {
        let TaskQuery {
            states,
            name,
            id,
            since,
        } = query;
        let mut path = format!("/tasks?limit={}", most.min(PAGE));
        for (parameter, value) in [
            ("state", states),
            ("name", name),
            ("id", id),
            ("since", since),
            ("cursor", &cursor),
        ] {
            if let Some(value) = value {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                let _ = write!(path, "&{parameter}={value}");
            }
        }
        self.get(&path).await
    }

    /// The task that is meant.
    ///
    /// # Errors
    /// There is none, or it may be one of several.
    pub async fn find(&self, text: &str, meant: Meant) -> Result<Found> {
        if Ulid::from_string(text).is_ok() {
            let id = text.to_ascii_uppercase();
            return Ok(Found { id, note: None });
        }
        let mut found = Vec::new();
        if !text.is_empty() {
            let query = TaskQuery {
                name: Some(literal(text)),
                ..TaskQuery::default()
            };
            found = self.tasks(&query, MOST_MEANT).await?;
        }
        if is_part_of_id(text) {
            let query = TaskQuery {
                id: Some(text.to_owned()),
                ..TaskQuery::default()
            };
            let by_id = self.tasks(&query, MOST_MEANT).await?;
            let known: Vec<_> = found.iter().map(|task| task.id.clone()).collect();
            found.extend(by_id.into_iter().filter(|task| !known.contains(&task.id)));
        }
        choose(text, meant, &found)
    }
}

/// A pattern that is about this text alone.
fn literal(text: &str) -> String {
    let special = |char: char| matches!(char, '*' | '?' | '\\');
    let chars = text.chars();
    chars
        .flat_map(|char| special(char).then_some('\\').into_iter().chain([char]))
        .collect()
}

fn is_part_of_id(text: &str) -> bool {
    (SHORTEST..=ulid::ULID_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The task that is meant.
#[derive(Debug)]
pub struct Found {
    /// Its ID.
    pub id: String,
    /// Which one it is, where the name has several: a line for whoever asked.
    pub note: Option<String>,
}

/// The one that is meant of tasks that have this name, or an ID that begins or ends so.
fn choose(text: &str, meant: Meant, found: &[TaskRecord]) -> Result<Found> {
    let mut tasks: Vec<_> = found.iter().collect();
    // ULIDs are in the order of time.
    tasks.sort_by(|one, other| other.id.cmp(&one.id));
    let unended: Vec<_> = tasks
        .iter()
        .filter(|task| !task.state.is_final())
        .copied()
        .collect();
    if meant == Meant::Unended && !unended.is_empty() {
        tasks = unended;
    }
    let Some(newest) = tasks.first() else {
        return Err(none(text));
    };
    let id = newest.id.clone();
    let others = tasks.len() - 1;
    if others == 0 {
        return Ok(Found { id, note: None });
    }
    let have_name = tasks.iter().all(|task| task.name == text);
    // Nobody knows which of several running ones is to end.
    if !have_name || meant == Meant::Unended && !newest.state.is_final() {
        return Err(several(text, &tasks));
    }
    let length = short_length(tasks.iter().map(|task| task.id.as_str()));
    let note = format!(
        "{} is {}, the newest of {} tasks of this name ({}); `capture-agent task list --name {}` shows all",
        quote(text),
        short_id(&id, length),
        tasks.len(),
        task_words(newest),
        quoted(&literal(text)),
    );
    Ok(Found {
        id,
        note: Some(note),
    })
}

fn task_words(task: &TaskRecord) -> String {
    format!(
        "{}, created {}",
        task.state.keyword(),
        ago_of(&task.created_at)
    )
}

fn none(text: &str) -> Error {
    let hint = match is_part_of_id(text) {
        true => "or an ID that begins or ends so",
        false => "and it is no part of an ID, which has at least 4 letters and digits",
    };
    Error::new(
        ErrorKind::NotFound,
        format!(
            "no task has the name {}, {hint}; `capture-agent task list` shows all",
            quote(text)
        ),
    )
}

fn several(text: &str, tasks: &[&TaskRecord]) -> Error {
    let length = short_length(tasks.iter().map(|task| task.id.as_str()));
    let named = tasks.iter().take(MOST_NAMED).map(|task| {
        format!(
            "{} ({}, {})",
            short_id(&task.id, length),
            printable(&task.name),
            task_words(task)
        )
    });
    let mut named: Vec<_> = named.collect();
    let more = tasks.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    Error::new(
        ErrorKind::Usage,
        format!(
            "{} may be any of {} tasks; give the ID of one: {}",
            quote(text),
            tasks.len(),
            named.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const IDS: [&str; 3] = [
        "01M84KVPQ7BPADDYJBK1P0YEY6",
        "01M84KVPQ8BPADDYJBK1P0YXY6",
        "01M84KVPQ9BPADDYJBK1P0ZEY6",
    ];

    fn task(id: &str, name: &str, state: &str) -> TaskRecord {
        let zero = json!({
            "matched": 0, "captured": 0, "bytes": 0, "oversize_discarded": 0, "over_limit": 0,
            "dropped": {"ring": 0, "queue": 0, "write": 0, "copy": 0}
        });
        let record = json!({
            "id": id, "name": name, "spec": {}, "state": state, "stop_reason": null, "error": null,
            "created_at": "2026-03-01T10:00:00Z", "started_at": null, "ended_at": null,
            "expires_at": null, "counters": zero, "verdict": null, "files": [],
        });
        serde_json::from_value(record).expect("a record")
    }

    #[test]
    fn a_task_of_a_newer_daemon_hides_no_other() {
        let known = task(IDS[0], "web", "completed");
        let known = serde_json::to_value(known).expect("a record");
        let mut later = known.clone();
        later["state"] = json!("paused");
        let page = json!({"tasks": [later, known], "next_cursor": null});
        let page: Page = serde_json::from_value(page).expect("a page");
        assert_eq!(page.tasks.len(), 1);
        assert_eq!(page.tasks[0].id, IDS[0]);
    }

    fn of(meant: Meant, tasks: &[TaskRecord]) -> Result<(String, bool)> {
        let chosen = choose("web", meant, tasks)?;
        Ok((chosen.id, chosen.note.is_some()))
    }

    #[test]
    fn a_name_means_the_newest_and_for_an_end_the_one_that_goes_on() {
        let states = |states: [&str; 3]| {
            let tasks = IDS.iter().zip(states);
            tasks
                .map(|(id, state)| task(id, "web", state))
                .collect::<Vec<_>>()
        };
        let one_runs = states(["completed", "running", "failed"]);
        assert_eq!(
            of(Meant::Newest, &one_runs).expect("one"),
            (IDS[2].to_owned(), true)
        );
        assert_eq!(
            of(Meant::Unended, &one_runs).expect("one"),
            (IDS[1].to_owned(), false)
        );
        // What ended stays so.
        let none_runs = states(["completed", "completed", "failed"]);
        assert_eq!(
            of(Meant::Unended, &none_runs).expect("one"),
            (IDS[2].to_owned(), true)
        );
        let two_run = states(["pending", "running", "failed"]);
        let error = of(Meant::Unended, &two_run).expect_err("two");
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error.to_string().contains("0YXY6 (web, running, created "),
            "{error}"
        );
        assert_eq!(
            of(Meant::Newest, &two_run[..1]).expect("one"),
            (IDS[0].to_owned(), false)
        );
        assert_eq!(
            of(Meant::Newest, &[]).expect_err("none").kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn parts_of_ids_mean_one() {
        let tasks = [
            task(IDS[0], "web", "completed"),
            task(IDS[1], "dns", "completed"),
        ];
        let error = choose("01M8", Meant::Newest, &tasks).expect_err("two");
        assert_eq!(error.kind(), ErrorKind::Usage);
        // A name that is also the end of another's ID.
        assert!(choose("web", Meant::Newest, &tasks).is_err());
        let one = choose("0YEY6", Meant::Newest, &tasks[..1]).expect("one");
        assert_eq!((one.id.as_str(), one.note), (IDS[0], None));
    }

    #[test]
    fn names_are_no_patterns() {
        assert_eq!(literal(r"a*b?c\"), r"a\*b\?c\\");
        assert!(is_part_of_id("0yey6") && !is_part_of_id("01M") && !is_part_of_id("a-bcd"));
    }
}
