//! Which task somebody means: by its whole ID, by the beginning of it, or by its name.

use capture_task::{plan::quote, task::TaskRecord};
use serde::Deserialize;
use ulid::Ulid;

use super::Client;
use crate::cli::error::{Error, Result};

/// Least characters of an ID: fewer are more likely a slip than an ID.
const SHORTEST: usize = 4;

/// Tasks of one answer.
const PAGE: u32 = 100;

/// A page of tasks.
#[derive(Debug, Deserialize)]
struct Page {
    tasks: Vec<TaskRecord>,
    next_cursor: Option<String>,
}

impl Client {
    /// The newest tasks, at most so many, newest first.
    pub(in crate::cli) async fn tasks(
        &self,
        state: Option<&str>,
        most: usize,
    ) -> Result<Vec<TaskRecord>> {
        let mut tasks = Vec::new();
        let mut cursor = None;
        while tasks.len() < most {
            let page = self.page(state, cursor.as_deref()).await?;
            tasks.extend(page.tasks);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        tasks.truncate(most);
        Ok(tasks)
    }

    async fn page(&self, state: Option<&str>, cursor: Option<&str>) -> Result<Page> {
        let mut path = format!("/tasks?limit={PAGE}");
        for (name, value) in [("state", state), ("cursor", cursor)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={value}"));
            }
        }
        self.get(&path).await
    }

    /// The ID of the task that is meant.
    ///
    /// # Errors
    /// There is none, or it may be one of several.
    pub(in crate::cli) async fn find(&self, meant: &str) -> Result<String> {
        if Ulid::from_string(meant).is_ok() {
            return Ok(meant.to_ascii_uppercase());
        }
        let tasks = self.tasks(None, usize::MAX).await?;
        let names = tasks
            .iter()
            .map(|task| (task.id.as_str(), task.name.as_str()));
        choose(meant, names)
    }
}

/// The one task whose name is `meant`, or whose ID begins with it.
fn choose<'a>(meant: &str, tasks: impl Iterator<Item = (&'a str, &'a str)>) -> Result<String> {
    let beginning = meant.to_ascii_uppercase();
    let may_be_id = meant.len() >= SHORTEST;
    let found: Vec<_> = tasks
        .filter(|(id, name)| *name == meant || may_be_id && id.starts_with(&beginning))
        .collect();
    match found.as_slice() {
        [(id, _)] => Ok((*id).to_owned()),
        [] => Err(Error::not_found(format!(
            "no task has the name {meant}, or an ID that begins so; `capture-agent task list` shows all",
            meant = quote(meant)
        ))),
        several => {
            const SHOWN: usize = 3;
            let mut shown: Vec<_> = several.iter().take(SHOWN).map(|(id, _)| *id).collect();
            if several.len() > SHOWN {
                shown.push("…");
            }
            Err(Error::usage(format!(
                "{} may be any of {} tasks ({}); give more of the ID",
                quote(meant),
                several.len(),
                shown.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::ErrorKind;

    #[test]
    fn by_name_and_by_the_beginning_of_the_id() {
        let tasks = [
            ("01M84KVPQ7BPADDYJBK1P0YEY6", "web"),
            ("01M84KVPQ8BPADDYJBK1P0YEY6", "dns"),
            ("01M84KVPQ9BPADDYJBK1P0YEY6", "dns"),
            ("01N84KVPQ9BPADDYJBK1P0YEY6", "01M84"),
        ];
        let of = |meant: &str| choose(meant, tasks.into_iter());
        assert_eq!(of("web").expect("one"), tasks[0].0);
        assert_eq!(of("01m84kvpq8").expect("one"), tasks[1].0);
        for (meant, kind) in [
            ("dns", ErrorKind::Usage),
            ("01M84KVP", ErrorKind::Usage),
            // A name and the beginning of others.
            ("01M84", ErrorKind::Usage),
            ("01N", ErrorKind::NotFound),
            ("", ErrorKind::NotFound),
            ("we", ErrorKind::NotFound),
        ] {
            assert_eq!(of(meant).expect_err(meant).kind, kind, "{meant}");
        }
    }
}
