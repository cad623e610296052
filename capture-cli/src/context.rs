//! `context`: daemons by name, so that commands need no URL.

use std::{env, path::PathBuf};

use capture_client::{
    Client,
    contexts::{Context, Contexts, LOCAL},
};
use serde::Serialize;

use super::{
    args::{ContextCommand, ContextCreateArgs, FormArgs, OutputForm},
    listing::json_line,
    print, say,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
    table::{Column, Screen, Table},
};

/// A context as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    /// Whether commands use it that name no daemon.
    current: bool,
}

/// Executes one of the commands.
pub(super) fn execute(command: ContextCommand) -> Result<Exit> {
    match command {
        ContextCommand::Create(args) => create(args)?,
        ContextCommand::List(FormArgs { output: form }) => {
            let contexts = Contexts::load()?;
            let shown = all(&contexts);
            match form {
                OutputForm::Json => print(&json_line(&shown)?)?,
                OutputForm::Table => print(table(&shown).as_bytes())?,
            }
        }
        ContextCommand::Use(args) => {
            Contexts::change(|contexts| contexts.use_by_default(&args.name))?;
            say(&format!("context {} is used from now on", args.name));
            warn_of_environment();
        }
        ContextCommand::Show(args) => {
            let contexts = Contexts::load()?;
            let name = args.name.as_deref().unwrap_or(contexts.current());
            if name != LOCAL {
                contexts.named(name)?;
            }
            let mut shown = all(&contexts);
            shown.retain(|shown| shown.name == name);
            let [shown] = shown.as_slice() else {
                return Err(Error::runtime(format!("context {name} is there twice")));
            };
            match args.form.output {
                OutputForm::Json => print(&json_line(shown)?)?,
                OutputForm::Table => print(text(shown).as_bytes())?,
            }
        }
        ContextCommand::Remove(args) => {
            let was_current = Contexts::change(|contexts| {
                let removed = args.names.iter().map(|name| contexts.remove(name));
                let removed: Vec<_> = removed.collect::<Result<_, _>>()?;
                Ok(removed.contains(&true))
            })?;
            if was_current {
                say("the daemon of this host is used from now on");
            }
        }
    }
    Ok(Exit::Ok)
}

fn create(args: ContextCreateArgs) -> Result<()> {
    let ContextCreateArgs {
        name,
        url,
        token_file,
        ca,
        use_it,
    } = args;
    // They are meant from whichever directory a later command is typed in.
    let absolute = |path: Option<PathBuf>| {
        let path = path.map(std::path::absolute).transpose();
        path.map_err(|error| Error::usage(format!("a file's name: {error}")))
    };
    let context = Context {
        url,
        token_file: absolute(token_file)?,
        ca: absolute(ca)?,
    };
    Client::of_context(&context)?.check_files()?;
    Contexts::change(|contexts| {
        contexts.create(&name, context)?;
        match use_it {
            true => contexts.use_by_default(&name),
            false => Ok(()),
        }
    })?;
    match use_it {
        true => {
            say(&format!("context {name} is used from now on"));
            warn_of_environment();
        }
        false => say(&format!(
            "context {name} is there; use it by --context {name}"
        )),
    }
    Ok(())
}

/// Says what goes before the context in use.
fn warn_of_environment() {
    let before = [
        ("CAPTURE_AGENT_URL", env::var_os("CAPTURE_AGENT_URL")),
        ("CAPTURE_AGENT_SOCKET", env::var_os("CAPTURE_AGENT_SOCKET")),
        (
            "CAPTURE_AGENT_CONTEXT",
            env::var_os("CAPTURE_AGENT_CONTEXT"),
        ),
    ];
    for (name, value) in before {
        if value.is_some_and(|value| !value.is_empty()) {
            say(&format!("{name} is set in this shell, and goes before it"));
        }
    }
}

/// All of them, the one of this host first.
fn all(contexts: &Contexts) -> Vec<Shown> {
    let current = contexts.current();
    let local = Shown {
        name: LOCAL.to_owned(),
        url: Client::local().address().url(),
        token_file: None,
        ca: None,
        current: current == LOCAL,
    };
    let named = contexts.contexts.iter().map(|(name, context)| {
        let Context {
            url,
            token_file,
            ca,
        } = context.clone();
        Shown {
            name: name.clone(),
            url,
            token_file,
            ca,
            current: name == current,
        }
    });
    [local].into_iter().chain(named).collect()
}

fn table(shown: &[Shown]) -> String {
    let mut table = Table::new([
        Column::new(""),
        Column::new("NAME").cut(8),
        Column::new("URL").cut(20),
        Column::new("TOKEN FILE").cut(10).rank(1),
    ]);
    for context in shown {
        let token_file = context.token_file.as_ref();
        table.row([
            if context.current { "*" } else { "" }.to_owned(),
            context.name.clone(),
            context.url.clone(),
            token_file.map_or_else(String::new, |path| path.display().to_string()),
        ]);
    }
    table.text(&Screen::of_stdout(false))
}

fn text(shown: &Shown) -> String {
    let path = |path: &Option<PathBuf>| {
        let path = path.as_ref();
        path.map_or_else(|| "-".to_owned(), |path| path.display().to_string())
    };
    let in_use = if shown.current { "yes" } else { "no" };
    format!(
        "name        {}\nurl         {}\ntoken file  {}\nca          {}\nin use      {in_use}\n",
        shown.name,
        shown.url,
        path(&shown.token_file),
        path(&shown.ca)
    )
}
