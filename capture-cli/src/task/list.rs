//! `task list`: a row a task, newest first.

use capture_task::{
    about_text, bytes_text,
    interruption::gaps_text,
    plan::{Keyword as _, Plan, RequestOrigin, parse_keyword},
    short_id,
    task::{State, TaskRecord, rfc3339},
};
use jiff::{Timestamp, Zoned};

use crate::{
    args::{FormArgs, ListArgs, OutputForm, WidthArgs},
    client::{TaskQuery, block_on},
    error::{Error, Result},
    exit::Exit,
    listing::json_line,
    print,
    report::reason_word,
    say,
    table::{Column, Screen, Table, Tone, Users, count_or_dash},
    words,
};

/// Up to so many tasks that are not shown are counted.
const MOST_COUNTED: usize = 100;

const ID: Column = Column::new("ID");
const NAME: Column = Column::new("NAME").cut(8);
const STATE: Column = Column::new("STATE").cut(20);
const PACKETS: Column = Column::new("PACKETS").right().rank(1);
const SIZE: Column = Column::new("SIZE").right().rank(3);
const CREATED: Column = Column::new("CREATED").rank(2);
const BY: Column = Column::new("BY").cut(6).rank(5);

/// Executes `task list`.
pub(super) fn list(args: ListArgs) -> Result<Exit> {
    let ListArgs {
        state,
        name,
        since,
        limit,
        all,
        quiet,
        width: WidthArgs { no_trunc },
        form: FormArgs { output: form },
        socket,
    } = args;
    let query = TaskQuery {
        states: state.as_deref().map(states).transpose()?,
        name,
        since: since.as_deref().map(since_of).transpose()?,
        id: None,
    };
    let most = if all { usize::MAX } else { limit as usize };
    let client = socket.client()?;
    let asked = most.saturating_add(MOST_COUNTED + 1);
    let mut tasks = block_on(async { Ok(client.tasks(&query, asked).await?) })?;
    let more = tasks.len().saturating_sub(most);
    tasks.truncate(most);
    match form {
        _ if quiet => {
            let ids = tasks.iter().map(|task| format!("{}\n", task.id));
            print(ids.collect::<String>().as_bytes())?;
        }
        OutputForm::Json => print(&json_line(&tasks)?)?,
        OutputForm::Table => {
            let screen = Screen::of_stdout(no_trunc);
            print(table(&tasks, &screen, Users::of(client.is_here())).as_bytes())?;
        }
    }
    match more {
        0 => {}
        1..=MOST_COUNTED => say(&format!("{more} more: --all")),
        _ => say(&format!("more than {MOST_COUNTED} more: --all")),
    }
    Ok(Exit::Ok)
}

/// States as the API takes them.
fn states(text: &str) -> Result<String> {
    let states = text.split(',').map(|word| {
        parse_keyword::<State>(word.trim())
            .map(|state| state.keyword())
            .map_err(|kind| Error::usage(format!("--state: {}", kind.sentence(words::OPTIONS))))
    });
    Ok(states.collect::<Result<Vec<_>>>()?.join(","))
}

fn since_of(text: &str) -> Result<String> {
    let time = capture_task::times::parse_past(text, &Zoned::now());
    time.map(rfc3339).ok_or_else(|| {
        Error::usage(
            "--since: write an age as in \"2h\" or \"7d\", or a time as in \"06:00\", \"yesterday\", \"2026-03-01 22:00\"",
        )
    })
}

/// Tasks in rows.
fn table(tasks: &[TaskRecord], screen: &Screen, mut users: Users) -> String {
    // What was lost is worth more than what was kept, and where nothing was the column says nothing.
    let is_lossy = tasks.iter().any(|task| task.counters.dropped.total() > 0);
    let lost = Column::new("LOST").right();
    let lost = if is_lossy { lost } else { lost.rank(4) };
    let mut table = Table::new([ID, NAME, STATE, PACKETS, lost, SIZE, CREATED, BY]);
    let length = screen.id_length(tasks.iter().map(|task| task.id.as_str()));
    for task in tasks {
        let begun = task.started_at.is_some();
        let size = task.files.iter().map(|file| file.size).sum();
        let lost = match task.counters.dropped.total() {
            0 if task.state.is_final() && task.verdict.is_none() && begun => "?".to_owned(),
            lost => count_or_dash(begun.then_some(lost)),
        };
        table.row([
            short_id(&task.id, length).to_owned(),
            task.name.clone(),
            state_text(task, &screen.now),
            count_or_dash(begun.then_some(task.counters.captured)),
            lost,
            if begun {
                bytes_text(size)
            } else {
                count_or_dash(None)
            },
            screen.age_of(&task.created_at),
            task.created_by
                .as_deref()
                .map_or_else(|| count_or_dash(None), |who| users.name(who)),
        ]);
        match task.state {
            State::Running => table.tone(2, Tone::Good),
            State::Failed => table.tone(2, Tone::Bad),
            _ => {}
        }
        if task.counters.dropped.total() > 0 {
            table.tone(4, Tone::Bad);
        }
    }
    table.text(screen)
}

/// The state in words: how far it is, when it starts, or why it ended.
pub(super) fn state_text(task: &TaskRecord, now: &Zoned) -> String {
    let time = |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok();
    match (task.state, task.stop_reason) {
        (State::Pending, _) => match time(&task.start_at).filter(|at| *at > now.timestamp()) {
            Some(at) => format!("waits, starts {}", capture_task::times::near(at, now)),
            None => "waits".to_owned(),
        },
        (State::Running, _) if task.open_interruption().is_some() => {
            "interrupted, waits to go on".to_owned()
        }
        (State::Running, _) => {
            let Some(started) = time(&task.started_at) else {
                return "running".to_owned();
            };
            let passed = now.timestamp().duration_since(started).as_secs();
            let passed = about_text(u64::try_from(passed).unwrap_or_default());
            let plan = Plan::resolve(&task.spec, RequestOrigin::Daemon).ok();
            match plan.and_then(|plan| plan.duration) {
                Some(limit) => format!("running {passed} of {}", about_text(limit.as_secs())),
                None => format!("running {passed}"),
            }
        }
        (State::Completed, Some(reason)) => {
            let gaps =
                gaps_text(&task.interruptions).map_or_else(String::new, |gaps| format!(", {gaps}"));
            format!("completed ({}{gaps})", reason_word(reason))
        }
        (State::Failed, Some(reason)) => format!("FAILED ({})", reason_word(reason)),
        (State::Failed, None) => "FAILED".to_owned(),
        (state, _) => state.keyword().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::golden::golden;

    /// Seconds before noon, the present time of the tests, as RFC 3339.
    fn ago(seconds: i64) -> Value {
        let noon = Timestamp::from_second(1_772_362_800).expect("a time");
        json!(rfc3339(noon - jiff::SignedDuration::from_secs(seconds)))
    }

    fn task(end: &str, name: &str, fields: Value) -> TaskRecord {
        let mut record = json!({
            "id": format!("01M8KTZV402MDG02K9P5{end}"), "name": name,
            "spec": {"name": name, "interfaces": ["eth0"], "duration": "20s"},
            "state": "completed", "stop_reason": "duration", "error": null,
            "created_at": ago(300), "started_at": ago(299), "ended_at": ago(279), "expires_at": null,
            "counters": {
                "matched": 419, "captured": 419, "bytes": 50_000, "oversize_discarded": 0, "over_limit": 0,
                "dropped": {"ring": 0, "queue": 0, "write": 0, "copy": 0}
            },
            "verdict": "complete", "created_by": "uid 0", "account": "local",
            "files": [{"index": 0, "name": "capture.pcapng", "size": 54_800, "packets": 419, "complete": true, "sha256": null}],
        });
        let all = record.as_object_mut().expect("an object");
        all.extend(fields.as_object().expect("an object").clone());
        serde_json::from_value(record).expect("a record")
    }

    fn tasks() -> Vec<TaskRecord> {
        let lossy = json!({
            "matched": 9_120_419, "captured": 9_120_407, "bytes": 50_000, "oversize_discarded": 0, "over_limit": 0,
            "dropped": {"ring": 12, "queue": 0, "write": 0, "copy": 0}
        });
        vec![
            task(
                "03W781",
                "sched",
                json!({
                    "state": "pending", "stop_reason": null, "started_at": null, "ended_at": null, "verdict": null,
                    "start_at": ago(-12_120), "files": [], "created_by": "token ci"
                }),
            ),
            task(
                "03DW3F",
                "web",
                json!({
                    "state": "running", "stop_reason": null, "started_at": ago(12), "created_at": ago(13),
                    "ended_at": null, "verdict": null
                }),
            ),
            task(
                "0WMYHN",
                "inv 4711: slow login of branch office Zürich",
                json!({"created_at": ago(500)}),
            ),
            task(
                "00AMRJ",
                "crash",
                json!({
                    "state": "failed", "stop_reason": "interrupted", "verdict": null, "created_at": ago(9000)
                }),
            ),
            task(
                "00QZ7K",
                "漢字 nightly",
                json!({
                    "stop_reason": "max_file_bytes", "verdict": "lost 12 of 9120419", "counters": lossy,
                    "created_at": ago(600_000), "created_by": "uid 4294967290"
                }),
            ),
        ]
    }

    #[test]
    fn gaps_are_not_hidden() {
        let now = Zoned::now();
        let gap = |until: Value| json!({"from": ago(9), "until": until, "cause": "shutdown"});
        let of = |change: Value| state_text(&task("0WMYHN", "web", change), &now);
        let over = gap(json!(ago(5)));
        assert_eq!(
            of(json!({"stop_reason": "duration", "interruptions": [over]})),
            "completed (duration, 1 gap)"
        );
        assert_eq!(
            of(json!({"stop_reason": "user", "interruptions": [over, over]})),
            "completed (stopped, 2 gaps)"
        );
        assert_eq!(
            of(
                json!({"state": "running", "stop_reason": null, "interruptions": [gap(Value::Null)]})
            ),
            "interrupted, waits to go on"
        );
    }

    #[test]
    fn screens_of_many_widths() {
        for width in [60, 80, 100, 200] {
            golden(
                &format!("list-{width}.txt"),
                &table(&tasks(), &Screen::test(Some(width)), Users::of(true)),
            );
        }
        golden(
            "list-pipe.txt",
            &table(&tasks(), &Screen::test(None), Users::of(true)),
        );
        // Without losses the column of them is not worth the room.
        golden(
            "list-60-complete.txt",
            &table(&tasks()[..4], &Screen::test(Some(60)), Users::of(true)),
        );
    }

    #[test]
    fn a_task_is_a_row_that_fits() {
        for width in 60..=200 {
            let text = table(&tasks(), &Screen::test(Some(width)), Users::of(true));
            assert_eq!(text.lines().count(), 6, "{text}");
            for (line, task) in text.lines().skip(1).zip(tasks()) {
                assert!(line.width() <= width, "{width}: {line}");
                assert!(task.id.ends_with(&line[..6]), "{line}");
            }
        }
        assert_eq!(
            table(&[], &Screen::test(Some(80)), Users::of(true))
                .lines()
                .count(),
            1
        );
    }

    #[test]
    fn states_and_times_of_people() {
        assert_eq!(
            states("Running, pending").expect("states"),
            "running,pending"
        );
        assert!(states("lost").is_err());
        assert!(since_of("2h").is_ok() && since_of("soon").is_err());
    }
}
