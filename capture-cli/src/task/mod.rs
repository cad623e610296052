//! The commands about a daemon's tasks: each asks it once or twice, and prints what comes. `watch`
//! follows a task, `apply` makes those of a file, `download` fetches its files,
//! `findings` shows what is wrong in them, `preview` what a dry run says, `list` shows many; `tables` is
//! what people see of one.

mod apply;
mod download;
mod faults;
mod findings;
mod list;
mod preview;
mod tables;
mod watch;

use capture_task::{
    task::{TaskRecord, TaskSpec, rfc3339},
    wait_text,
};
use http::{HeaderName, HeaderValue, Method};
use jiff::Zoned;
use serde::Deserialize as _;
use serde_json::{Value, json};

use self::faults::Faults;
use super::{
    args::{
        CreateArgs, DeleteArgs, OneTask, OnlyRun, OutputForm, SeveralTasks, StopArgs, TaskCommand,
        WatchArgs,
    },
    client::{Client, Header, Meant, block_on, find},
    default_interface,
    listing::json_line,
    print,
    quota::{Quota, use_text},
    request::spec_of,
    say,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
    table::Users,
};

/// Executes one of them.
pub(super) fn execute(command: TaskCommand) -> Result<Exit> {
    match command {
        TaskCommand::Create(args) => create(*args),
        TaskCommand::Apply(args) => apply::apply(args),
        TaskCommand::List(args) => list::list(args),
        TaskCommand::Show(args) => show(args),
        TaskCommand::Findings(args) => findings::show(args),
        TaskCommand::Watch(args) => follow(args),
        TaskCommand::Stop(args) => stop(args),
        TaskCommand::Delete(args) => delete(args),
        TaskCommand::Download(args) => download::download(args),
    }
}

fn create(args: CreateArgs) -> Result<Exit> {
    let CreateArgs {
        task,
        start_at,
        dry_run,
        wait,
        idempotency_key,
        quiet,
        output: form,
        socket,
        only_run,
    } = args;
    refuse(&only_run)?;
    let mut problems = Vec::new();
    let Some(mut spec) = spec_of(task, &mut problems) else {
        return Err(Error::usage(problems.join("\n")));
    };
    // Always a key, so that whoever does not hear of the answer can ask for it again.
    let key = idempotency_key.unwrap_or_else(|| ulid::Ulid::new().to_string());
    let header = key_header(key.clone())?;
    let (path, headers) = match dry_run {
        true => ("/tasks?dry_run=true", Vec::new()),
        false => ("/tasks", vec![header]),
    };
    let client = socket.client()?;
    block_on(async {
        if spec.interfaces.is_empty() {
            spec.interfaces = vec![default_interface::of_daemon(&client).await?];
        }
        let body = body_of(&spec, start_at)?;
        let answer = tokio::select! {
            answer = client.ask(Method::POST, path, headers, Some(body)) => answer?,
            Ok(()) = tokio::signal::ctrl_c() => return Err(Error::runtime(unheard(dry_run, &key))),
        };
        if dry_run {
            let told: Value = client.value(answer).await?;
            match form {
                OutputForm::Json => print(&json_line(&told)?)?,
                OutputForm::Table => print(preview::text(told)?.as_bytes())?,
            }
            return Ok(Exit::Ok);
        }
        let record: TaskRecord = client.value(answer).await?;
        if !wait || form == OutputForm::Table {
            say_form(form, &record.id, &record)?;
        }
        if !wait {
            return Ok(Exit::Ok);
        }
        watch::wait(&client, &record.id, quiet, form).await
    })
}

/// A task for the daemon.
fn body_of(spec: &TaskSpec, start_at: Option<String>) -> Result<Vec<u8>> {
    let mut body = serde_json::to_value(spec)
        .map_err(|error| Error::runtime(format!("writing JSON: {error}")))?;
    if let Some(text) = start_at {
        body["start_at"] = Value::String(start_of(text));
    }
    Ok(body.to_string().into_bytes())
}

/// What is known where Ctrl-C came before the answer.
fn unheard(dry_run: bool, key: &str) -> String {
    match dry_run {
        true => "not waiting any longer; no task is created".to_owned(),
        false => format!(
            "not waiting any longer; the task may be created all the same, and the same command with `--idempotency-key {key}` \
             gives its ID"
        ),
    }
}

/// The time of a start for the daemon, which refuses what is none.
fn start_of(text: String) -> String {
    let now = Zoned::now();
    let Some(time) = capture_task::times::parse(&text, &now) else {
        return text;
    };
    let seconds = time.duration_since(now.timestamp()).as_secs();
    let written = rfc3339(time);
    match u64::try_from(seconds) {
        // A start at once, give or take the time until it is asked for.
        _ if seconds.abs() < 2 => {}
        Ok(seconds) => say(&format!("starts {written}, in {}", wait_text(seconds))),
        // A time long past is refused by the daemon.
        Err(_) if seconds < -3600 => {}
        Err(_) => say(&format!(
            "--start-at: {written} was {} ago; the task starts at once",
            wait_text(seconds.unsigned_abs())
        )),
    }
    written
}

/// Says why options of `run` are none of `task create`.
fn refuse(only_run: &OnlyRun) -> Result<()> {
    let OnlyRun {
        write,
        tasks,
        netns,
        ring_size,
        keep_free,
    } = only_run;
    let reasons = [
        (
            write.is_some(),
            "--write: the daemon keeps the files itself; fetch them by `capture-agent task download`",
        ),
        (
            tasks.is_some(),
            "--tasks: a file of tasks is for `run`; create the tasks one by one",
        ),
        (
            netns.is_some(),
            "--netns: the daemon captures in its own network namespace; use `run`, or start a daemon in that one",
        ),
        (
            ring_size.is_some(),
            "--ring-size: all tasks of the daemon share its rings; set `capture.ring_size` in its configuration",
        ),
        (
            keep_free.is_some(),
            "--keep-free: the daemon leaves the disk as free as `capture.keep_free` in its configuration says",
        ),
    ];
    let given = reasons.iter().filter(|(is_given, _)| *is_given);
    let lines: Vec<_> = given.map(|(_, reason)| *reason).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(Error::usage(lines.join("\n")))
}

fn key_header(key: String) -> Result<Header> {
    let is_visible =
        (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(&key).ok().filter(|_| is_visible);
    let value = value.ok_or_else(|| {
        Error::usage("--idempotency-key: it is 1 to 255 visible ASCII characters, without spaces")
    })?;
    Ok((HeaderName::from_static("idempotency-key"), value))
}

fn show(args: OneTask) -> Result<Exit> {
    let OneTask { task, form, socket } = args;
    let client = socket.client()?;
    let record = block_on(async {
        let id = find(&client, &task, Meant::Newest).await?;
        Ok(client.task(&id).await?)
    })?;
    match form.output {
        OutputForm::Json => print(&json_line(&record)?)?,
        OutputForm::Table => {
            // Where there are none, the task is all there is to show.
            let path = format!("/tasks/{}/findings", record.id);
            let found = block_on(async { Ok(client.get::<Value>(&path).await?) }).ok();
            let found = found.and_then(|report| findings::Report::deserialize(report).ok());
            let quota = block_on(async { Ok(client.get::<Quota>("/quota").await?) }).ok();
            let quota = quota.filter(|quota| Some(&quota.account) == record.account.as_ref());
            let now = Zoned::now();
            let mut users = Users::of(client.is_here());
            let beside = tables::Beside {
                created_by: record.created_by.as_deref().map(|who| users.name(who)),
                findings: found.map(|report| findings::verdict(&report)),
                quota: quota.map(|quota| use_text(&quota, now.timestamp())),
            };
            print(tables::task(&record, beside, &now).as_bytes())?;
        }
    }
    Ok(Exit::Ok)
}

fn follow(args: WatchArgs) -> Result<Exit> {
    let WatchArgs {
        one: OneTask { task, form, socket },
        quiet,
    } = args;
    let client = socket.client()?;
    block_on(async {
        let id = find(&client, &task, Meant::Unended).await?;
        watch::watch(&client, &id, quiet, form.output).await
    })
}

fn stop(args: StopArgs) -> Result<Exit> {
    let StopArgs { tasks, no_wait } = args;
    let form = tasks.form.output;
    each(tasks, Meant::Unended, async |client, id| {
        let path = format!("/tasks/{id}/stop");
        let answer = client.ask(Method::POST, &path, Vec::new(), None).await?;
        let mut record: TaskRecord = client.value(answer).await?;
        if !no_wait && !record.state.is_final() {
            record = watch::end_of(client, id).await?;
        }
        say_form(form, &tables::stopped(&record), &record)
    })
}

fn delete(args: DeleteArgs) -> Result<Exit> {
    let DeleteArgs { tasks, force } = args;
    let form = tasks.form.output;
    let force = if force { "?force=true" } else { "" };
    each(tasks, Meant::Newest, async |client, id| {
        let path = format!("/tasks/{id}{force}");
        client.ask(Method::DELETE, &path, Vec::new(), None).await?;
        let text = format!("{id} is deleted");
        say_form(form, &text, &json!({"id": id, "deleted": true}))
    })
}

/// Does something to each of several tasks. What fails for one is said and keeps none of the others from it; the
/// exit code is the highest of all.
fn each(
    args: SeveralTasks,
    which: Meant,
    act: impl AsyncFn(&Client, &str) -> Result<()>,
) -> Result<Exit> {
    let SeveralTasks {
        tasks,
        form: _,
        socket,
    } = args;
    let client = socket.client()?;
    let mut faults = Faults::new(tasks.len());
    block_on(async {
        // All of them first: with the first one gone, what is meant by the second could be another.
        let mut found: Vec<(String, String)> = Vec::new();
        for meant in tasks {
            match find(&client, &meant, which).await {
                Ok(id) if found.iter().any(|(_, known)| *known == id) => {}
                Ok(id) => found.push((meant, id)),
                Err(error) => faults.note(&meant, error)?,
            }
        }
        for (meant, id) in found {
            if let Err(error) = act(&client, &id).await {
                faults.note(&meant, error)?;
            }
        }
        Ok(faults.worst)
    })
}

/// One line for people, or one JSON value.
fn say_form(form: OutputForm, text: &str, value: &impl serde::Serialize) -> Result<()> {
    match form {
        OutputForm::Json => print(&json_line(value)?),
        OutputForm::Table => print(format!("{text}\n").as_bytes()),
    }
}
