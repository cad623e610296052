//! `task apply`: the tasks of a file, by name, become tasks of the daemon. What is there already and equal stays as it is,
//! so that the same file may be applied again at any time.

use std::{collections::BTreeMap, path::Path, time::Duration};

use capture_task::{
    plan::{InterfaceSelection, JsonTask, Plan, RequestOrigin, quote},
    printable,
    task::{State, TaskRecord, TaskSpec},
};
use http::Method;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::{faults::Faults, tables, watch};
use crate::{
    args::{ApplyArgs, OutputForm},
    client::{Client, TaskQuery, block_on},
    error::{Error, Result},
    exit::Exit,
    listing::json_line,
    print, tasks_file,
};

/// How often it is looked whether a task that is replaced has ended, and for how long.
const LOOK: Duration = Duration::from_millis(100);
const MOST_LOOKS: usize = 700;

/// A task of the file.
struct Desired {
    name: String,
    spec: TaskSpec,
    plan: Plan,
    start_at: Option<String>,
}

/// What is, or would be, done for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Created,
    Unchanged,
    Changed,
}

/// What becomes of a task of the file.
#[derive(Debug, Serialize)]
struct Applied {
    name: String,
    action: Action,
    /// Of the task that is there now; none in a dry run that would create one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The task in whose place it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
    /// The fields that are not as they were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
    /// With `--wait`: where it was at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// Executes `task apply`.
pub(super) fn apply(args: ApplyArgs) -> Result<Exit> {
    let ApplyArgs {
        file,
        replace,
        dry_run,
        wait,
        output: form,
        socket,
    } = args;
    let desired = read(&file)?;
    let client = socket.client()?;
    block_on(async {
        let present = unended(&client).await?;
        // All are tried before the first one is created, so that a file with a fault changes nothing.
        let mut steps = Vec::new();
        let mut faults = Faults::new(desired.len());
        for task in &desired {
            match step(&client, task, &present, replace).await {
                Ok(step) => steps.push((task, step)),
                Err(error) => faults.note(&task.name, error)?,
            }
        }
        if faults.worst != Exit::Ok {
            return Ok(faults.worst);
        }
        let mut done = Vec::new();
        for (task, mut applied) in steps {
            if !dry_run && let Err(error) = carry_out(&client, task, &mut applied).await {
                faults.note(&task.name, error)?;
                continue;
            }
            if form == OutputForm::Table {
                print(line(&applied, dry_run).as_bytes())?;
            }
            done.push(applied);
        }
        let mut exit = faults.worst;
        if wait {
            for applied in &mut done {
                let Some(id) = &applied.id else { continue };
                exit = exit.max(watch::wait(&client, id, true, OutputForm::Table).await?);
                let state = client.task(id).await?.state;
                applied.state = Some(state);
                if form == OutputForm::Table {
                    let name = printable(&applied.name);
                    print(
                        format!("{name}: {}\n", tables::state(&client.task(id).await?)).as_bytes(),
                    )?;
                }
            }
        }
        if form == OutputForm::Json {
            print(&json_line(&done)?)?;
        }
        Ok(exit)
    })
}

/// The tasks of a file; the error names every fault, one on each line.
fn read(file: &Path) -> Result<Vec<Desired>> {
    let mut problems = Vec::new();
    let mut names = BTreeMap::new();
    let mut desired = Vec::new();
    for (index, task) in tasks_file::values("--file", file)?.into_iter().enumerate() {
        let place = format!("tasks[{index}]");
        let Value::Object(fields) = task else {
            problems.push(tasks_file::no_table(&place));
            continue;
        };
        let Some(task) = one(fields, &place, &mut problems) else {
            continue;
        };
        if let Some(first) = names.insert(task.name.clone(), index) {
            problems.push(format!(
                "{place}.name: tasks[{first}] has the name {} already; tasks are told apart by their names",
                quote(&task.name)
            ));
        }
        desired.push(task);
    }
    match problems.is_empty() {
        true => Ok(desired),
        false => Err(Error::usage(problems.join("\n"))),
    }
}

fn one(mut fields: Map<String, Value>, place: &str, problems: &mut Vec<String>) -> Option<Desired> {
    let before = problems.len();
    if fields.remove("write").is_some() {
        problems.push(format!(
            "{place}.write: the daemon keeps the files itself; fetch them by `capture-agent task download`"
        ));
    }
    let start_at = fields.remove("start_at").and_then(|time| {
        let text = match &time {
            Value::String(text) => Some(text.as_str()),
            // A time of TOML without quotes.
            Value::Object(time) => time.values().next().and_then(Value::as_str),
            _ => None,
        };
        let time = text.and_then(|text| text.parse::<Timestamp>().ok());
        if time.is_none() {
            problems.push(format!(
                "{place}.start_at: write a time as in \"2026-03-01T08:00:00Z\""
            ));
        }
        time.map(|time| time.to_string())
    });
    let JsonTask { spec, plan, faults } =
        JsonTask::read(fields, &["start_at"], RequestOrigin::Daemon);
    problems.extend(
        faults
            .iter()
            .map(|fault| tasks_file::in_place(place, fault)),
    );
    if problems.len() > before {
        return None;
    }
    let plan = plan?;
    Some(Desired {
        name: plan.name.clone(),
        spec,
        plan,
        start_at,
    })
}

/// The daemon's tasks that have not ended, and will not soon.
async fn unended(client: &Client) -> Result<Vec<TaskRecord>> {
    let query = TaskQuery {
        states: Some("pending,running".to_owned()),
        ..TaskQuery::default()
    };
    Ok(client.tasks(&query, usize::MAX).await?)
}

/// What is to be done for a task, which the daemon would take.
async fn step(
    client: &Client,
    task: &Desired,
    present: &[TaskRecord],
    replace: bool,
) -> Result<Applied> {
    let same_name: Vec<_> = present
        .iter()
        .filter(|record| record.name == task.name)
        .collect();
    let mut applied = Applied {
        name: task.name.clone(),
        action: Action::Unchanged,
        id: None,
        replaced: None,
        changed: Vec::new(),
        state: None,
    };
    if let Some(record) = same_name.iter().find(|record| is_equal(task, record)) {
        applied.id = Some(record.id.clone());
        return Ok(applied);
    }
    match same_name.as_slice() {
        [] => applied.action = Action::Created,
        [record] if replace => {
            applied.action = Action::Changed;
            applied.replaced = Some(record.id.clone());
            applied.changed = differences(task, record);
        }
        [record] => {
            return Err(Error::conflict(format!(
                "{} is {} with another {}; --replace stops it and creates it anew",
                record.id,
                tables::state(record),
                differences(task, record).join(", ")
            )));
        }
        several => {
            return Err(Error::conflict(format!(
                "{} tasks of this name have not ended, and none is as the file says; stop those that are not meant",
                several.len()
            )));
        }
    }
    let path = "/tasks?dry_run=true";
    let body = Some(task.body()?);
    client.ask(Method::POST, path, Vec::new(), body).await?;
    Ok(applied)
}

/// Does it.
async fn carry_out(client: &Client, task: &Desired, applied: &mut Applied) -> Result<()> {
    if applied.action == Action::Unchanged {
        return Ok(());
    }
    if let Some(old) = &applied.replaced {
        let path = format!("/tasks/{old}/stop");
        client.ask(Method::POST, &path, Vec::new(), None).await?;
        let mut looks = 0;
        while !client.task(old).await?.state.is_final() {
            if looks == MOST_LOOKS {
                return Err(Error::runtime(format!(
                    "task {old} does not end; nothing was created in its place"
                )));
            }
            looks += 1;
            sleep(LOOK).await;
        }
    }
    let body = Some(task.body()?);
    let answer = client.ask(Method::POST, "/tasks", Vec::new(), body).await?;
    let record: TaskRecord = client.value(answer).await?;
    applied.id = Some(record.id);
    Ok(())
}

impl Desired {
    fn body(&self) -> Result<Vec<u8>> {
        let mut body = serde_json::to_value(&self.spec)
            .map_err(|error| Error::runtime(format!("writing JSON: {error}")))?;
        if let Some(time) = &self.start_at {
            body["start_at"] = json!(time);
        }
        Ok(body.to_string().into_bytes())
    }
}

/// Whether a task does what the file says, however each is written.
fn is_equal(task: &Desired, record: &TaskRecord) -> bool {
    let plan = Plan::resolve(&record.spec, RequestOrigin::Daemon).ok();
    plan.is_some_and(|plan| comparable(plan) == comparable(task.plan.clone()))
        && starts_so(task.start_at.as_deref(), record.start_at.as_deref())
}

/// The order of interfaces means nothing.
fn comparable(mut plan: Plan) -> Plan {
    if let InterfaceSelection::Named(names) = &mut plan.interfaces {
        names.sort_unstable();
    }
    plan
}

/// Whether a start is the one that is wanted. One in the past was at once.
fn starts_so(wanted: Option<&str>, is: Option<&str>) -> bool {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let (wanted, is) = (wanted.and_then(time), is.and_then(time));
    // The daemon keeps milliseconds.
    let milliseconds = |time: Timestamp| time.as_millisecond();
    wanted.map(milliseconds) == is.map(milliseconds)
        || is.is_none() && wanted.is_some_and(|wanted| wanted <= Timestamp::now())
}

/// The fields in which they differ, as the API names them.
fn differences(task: &Desired, record: &TaskRecord) -> Vec<String> {
    let object = |spec: &TaskSpec| match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (new, old) = (object(&task.spec), object(&record.spec));
    let resolved = |fields: Map<String, Value>| {
        let read = JsonTask::read(fields, &[], RequestOrigin::Daemon);
        read.plan.map(comparable)
    };
    let before = resolved(old.clone());
    let mut fields: Vec<_> = old.keys().chain(new.keys()).cloned().collect();
    fields.sort_unstable();
    fields.dedup();
    fields.retain(|field| {
        let mut mixed = old.clone();
        match new.get(field) {
            Some(value) => mixed.insert(field.clone(), value.clone()),
            None => mixed.remove(field),
        };
        old.get(field) != new.get(field) && resolved(mixed) != before
    });
    if !starts_so(task.start_at.as_deref(), record.start_at.as_deref()) {
        fields.push("start_at".to_owned());
    }
    fields
}

fn line(applied: &Applied, dry_run: bool) -> String {
    let name = printable(&applied.name);
    let id = applied.id.as_deref().unwrap_or_default();
    let changed = applied.changed.join(", ");
    match (applied.action, dry_run, &applied.replaced) {
        (Action::Unchanged, ..) => format!("{name}: unchanged, {id}\n"),
        (Action::Created, true, _) => format!("{name}: would be created\n"),
        (Action::Created, false, _) => format!("{name}: created, {id}\n"),
        (Action::Changed, true, old) => format!(
            "{name}: would be changed ({changed}), in place of {}\n",
            old.as_deref().unwrap_or_default()
        ),
        (Action::Changed, false, old) => format!(
            "{name}: changed ({changed}), {id} in place of {}\n",
            old.as_deref().unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(task: Value) -> Desired {
        let Value::Object(fields) = task else {
            panic!("{task} is no object")
        };
        let mut problems = Vec::new();
        let task = one(fields, "tasks[0]", &mut problems);
        task.unwrap_or_else(|| panic!("{problems:?}"))
    }

    fn record(spec: Value, start_at: Option<&str>) -> TaskRecord {
        let mut record = json!({
            "id": "01M84KVPQ7BPADDYJBK1P0YEY6", "name": spec["name"], "spec": spec, "state": "running",
            "stop_reason": null, "error": null, "created_at": "2026-01-01T00:00:00.000Z",
            "started_at": null, "ended_at": null, "expires_at": null, "verdict": null, "files": [],
            "counters": capture_task::task::Counters::default(),
        });
        if let Some(time) = start_at {
            record["start_at"] = json!(time);
        }
        serde_json::from_value(record).expect("a record")
    }

    #[test]
    fn what_means_the_same_is_equal() {
        let file = json!({"name": "web", "interfaces": ["b", "a"], "ports": ["443", 80], "duration": "1m"});
        let same = json!({"name": "web", "interfaces": ["a", "b"], "ports": [80, 443], "max_file_bytes": "1GiB"});
        let record = record(same, None);
        assert!(is_equal(&desired(file.clone()), &record));
        for (field, value) in [
            ("duration", json!("2m")),
            ("ports", json!([80])),
            ("ip", json!("10.0.0.1")),
            ("start_at", json!("2999-01-01T00:00:00Z")),
        ] {
            let mut other = file.clone();
            other[field] = value;
            let other = desired(other);
            assert!(!is_equal(&other, &record), "{field}");
            assert_eq!(differences(&other, &record), [field]);
        }
        // At once, by now.
        let mut past = file;
        past["start_at"] = json!("2020-01-01T00:00:00Z");
        assert!(is_equal(&desired(past), &record));
    }

    #[test]
    fn starts_are_times() {
        assert!(starts_so(
            Some("2999-01-01T01:00:00+01:00"),
            Some("2999-01-01T00:00:00.000Z")
        ));
        assert!(!starts_so(None, Some("2999-01-01T00:00:00.000Z")));
        assert!(!starts_so(Some("2999-01-01T00:00:00Z"), None));
    }

    #[test]
    fn all_faults_of_a_file_are_said_with_their_places() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("tasks.toml");
        let text = "[[tasks]]\nname = \"a\"\ninterfaces = [\"eth0\"]\nstart_at = 2999-01-01T00:00:00Z\n\
                    [[tasks]]\ninterfaces = [\"eth0\"]\nwrite = \"a.pcap\"\n\
                    [[tasks]]\nname = \"a\"\ninterfaces = [\"eth0\"]\nstart_at = 5\nports = [70000]\n\
                    [[tasks]]\nname = \"a\"\ninterfaces = [\"eth0\"]\n";
        std::fs::write(&path, text).expect("a file");
        let error = read(&path).map(|tasks| tasks.len()).expect_err("faults");
        let lines: Vec<_> = error.message.lines().collect();
        let places = lines
            .iter()
            .map(|line| line.split(':').next().unwrap_or_default());
        let places: Vec<_> = places.collect();
        assert_eq!(
            places,
            [
                "tasks[1].write",
                "tasks[1].name",
                "tasks[2].start_at",
                "tasks[2].ports[0]",
                "tasks[3].name"
            ],
            "{error}"
        );
    }
}
