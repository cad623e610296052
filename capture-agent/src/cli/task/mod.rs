//! The commands about a daemon's tasks: each asks it once or twice, and prints what comes. `watch`
//! follows a task, `download` fetches its files, `tables` is what people see.

mod download;
mod download_file;
mod tables;
mod watch;

use capture_task::{
    plan::parse_keyword,
    printable,
    task::{State, TaskRecord},
};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::{
    args::{
        CreateArgs, DeleteArgs, FormArgs, ListArgs, OneTask, OnlyRun, OutputForm, SeveralTasks,
        TaskCommand, WatchArgs,
    },
    client::{Client, Header, block_on},
    listing::json_line,
    print, report_error,
    request::spec_of,
    words,
};
use crate::cli::{
    error::{Error, ErrorKind, Result},
    exit::Exit,
};

/// Executes one of them.
pub(super) fn execute(command: TaskCommand) -> Result<Exit> {
    match command {
        TaskCommand::Create(args) => create(*args),
        TaskCommand::List(args) => list(args),
        TaskCommand::Show(args) => show(args),
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
    let mut body = serde_json::to_value(spec_of(task))
        .map_err(|error| Error::runtime(format!("writing JSON: {error}")))?;
    if let Some(start_at) = start_at {
        body["start_at"] = Value::String(start_at);
    }
    let headers: Vec<_> = idempotency_key
        .map(key_header)
        .transpose()?
        .into_iter()
        .collect();
    let path = if dry_run {
        "/tasks?dry_run=true"
    } else {
        "/tasks"
    };
    let client = Client::new(socket.socket);
    block_on(async {
        let body = body.to_string().into_bytes();
        let answer = client.ask(Method::POST, path, headers, Some(body)).await?;
        if dry_run {
            let valid: Value = client.value(answer).await?;
            say_form(form, "valid", &valid)?;
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

/// Says why options of `run` are none of `task create`.
fn refuse(only_run: &OnlyRun) -> Result<()> {
    let OnlyRun {
        write,
        tasks,
        netns,
        ring_size,
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

fn list(args: ListArgs) -> Result<Exit> {
    let ListArgs {
        state,
        limit,
        form: FormArgs { output: form },
        socket,
    } = args;
    // It becomes a part of the path, so it is one of the words.
    let state = state.map(|word| {
        parse_keyword::<State>(&word)
            .map(|_| word)
            .map_err(|kind| Error::usage(format!("--state: {}", kind.sentence(words::OPTIONS))))
    });
    let state = state.transpose()?;
    let client = Client::new(socket.socket);
    let tasks = block_on(client.tasks(state.as_deref(), limit as usize))?;
    match form {
        OutputForm::Json => print(&json_line(&tasks)?)?,
        OutputForm::Table => print(tables::list(&tasks).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn show(args: OneTask) -> Result<Exit> {
    let OneTask { task, form, socket } = args;
    let client = Client::new(socket.socket);
    let record = block_on(async { client.task(&client.find(&task).await?).await })?;
    match form.output {
        OutputForm::Json => print(&json_line(&record)?)?,
        OutputForm::Table => print(tables::task(&record).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn follow(args: WatchArgs) -> Result<Exit> {
    let WatchArgs {
        one: OneTask { task, form, socket },
        quiet,
    } = args;
    let client = Client::new(socket.socket);
    block_on(async {
        let id = client.find(&task).await?;
        watch::watch(&client, &id, quiet, form.output).await
    })
}

fn stop(args: SeveralTasks) -> Result<Exit> {
    let form = args.form.output;
    each(args, async |client, id| {
        let path = format!("/tasks/{id}/stop");
        let answer = client.ask(Method::POST, &path, Vec::new(), None).await?;
        let record: TaskRecord = client.value(answer).await?;
        let text = format!("{} is {}", record.id, tables::state(&record));
        say_form(form, &text, &record)
    })
}

fn delete(args: DeleteArgs) -> Result<Exit> {
    let DeleteArgs { tasks, force } = args;
    let form = tasks.form.output;
    let force = if force { "?force=true" } else { "" };
    each(tasks, async |client, id| {
        let path = format!("/tasks/{id}{force}");
        client.ask(Method::DELETE, &path, Vec::new(), None).await?;
        let text = format!("{id} is deleted");
        say_form(form, &text, &json!({"id": id, "deleted": true}))
    })
}

/// Does something to each of several tasks. What fails for one is said and keeps none of the others from it; the
/// exit code is the highest of all.
fn each(args: SeveralTasks, act: impl AsyncFn(&Client, &str) -> Result<()>) -> Result<Exit> {
    let SeveralTasks {
        tasks,
        form: _,
        socket,
    } = args;
    let client = Client::new(socket.socket);
    let mut faults = Faults {
        of_several: tasks.len() > 1,
        worst: Exit::Ok,
    };
    block_on(async {
        // All of them first: with the first one gone, what is meant by the second could be another.
        let mut found: Vec<(String, String)> = Vec::new();
        for meant in tasks {
            match client.find(&meant).await {
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

/// What went wrong with some of several tasks.
struct Faults {
    of_several: bool,
    worst: Exit,
}

impl Faults {
    /// Says what went wrong with one; a daemon that is not there is an error about all.
    fn note(&mut self, meant: &str, mut error: Error) -> Result<()> {
        if error.kind == ErrorKind::Unreachable {
            return Err(error);
        }
        if self.of_several {
            error.message = format!("{}: {}", printable(meant), error.message);
        }
        self.worst = self.worst.max(report_error(error));
        Ok(())
    }
}

/// One line for people, or one JSON value.
fn say_form(form: OutputForm, text: &str, value: &impl serde::Serialize) -> Result<()> {
    match form {
        OutputForm::Json => print(&json_line(value)?),
        OutputForm::Table => print(format!("{text}\n").as_bytes()),
    }
}
