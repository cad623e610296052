//! The tokens of the API over TCP, made and revoked in the daemon's database, which the daemon may have
//! open at the same time. The secret of a token is shown when it is made, and never again.

use std::{sync::Arc, time::Duration};

use capture_daemon::{
    access::{Account, Actor, Role},
    clock::SystemClock,
    config::Config,
    store::{NewToken, Store, TokenInfo},
};
use capture_task::{
    plan::{Keyword as _, parse_keyword, quote, seconds},
    task::{Quantity, rfc3339},
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    args::{DatabaseArgs, FormArgs, OutputForm, TokenCommand, TokenCreateArgs, TokenRevokeArgs},
    listing::{finished, json_line, plain_table},
    print, say, words,
};
use crate::cli::{
    error::{Error, Result},
    exit::Exit,
};

/// Executes one of the commands.
pub(super) fn execute(command: TokenCommand) -> Result<Exit> {
    match command {
        TokenCommand::Create(args) => create(args),
        TokenCommand::List(args) => list(&args),
        TokenCommand::Revoke(args) => revoke(&args),
    }
}

/// The database that the daemon's configuration names.
pub(super) fn open(args: &DatabaseArgs) -> Result<Store> {
    let config = Config::load(args.config.as_deref())?;
    Ok(Store::open_existing(
        &config.paths.database,
        Arc::new(SystemClock),
    )?)
}

fn create(args: TokenCreateArgs) -> Result<Exit> {
    let TokenCreateArgs {
        name,
        role,
        account,
        expires,
        database,
    } = args;
    let mut problems = Vec::new();
    let role = parse_keyword::<Role>(&role)
        .map_err(|kind| problems.push(format!("--role: {}", kind.sentence(words::OPTIONS))))
        .ok();
    let account = account.map(|account| {
        Account::new(&account).ok_or_else(|| {
            problems.push(format!(
                "--account: {} is no account; write 1 to 64 letters, digits, `.`, `_`, `-` or `@`",
                quote(&account)
            ));
        })
    });
    let expires_at = expires.map(|text| {
        time_of(&text).map_err(|problem| problems.push(format!("--expires: {problem}")))
    });
    let (Some(role), Ok(account), Ok(expires_at)) =
        (role, account.transpose(), expires_at.transpose())
    else {
        return Err(Error::usage(problems.join("\n")));
    };
    let new = NewToken {
        name,
        role,
        account,
        expires_at,
    };
    let (info, secret) = open(&database)?.token_create(&new, &Actor::command())?;
    let FormArgs { output: form } = database.form;
    if form == OutputForm::Json {
        let mut value = json!(info);
        value["secret"] = json!(secret.reveal());
        print(&json_line(&value)?)?;
        return Ok(Exit::Ok);
    }
    print(format!("{}\n", secret.reveal()).as_bytes())?;
    say(&format!(
        "this is the secret of token {} ({}); keep it, as it is not shown again",
        info.name,
        info.role.keyword()
    ));
    Ok(Exit::Ok)
}

/// A time, or one so long from now.
fn time_of(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let from_now = seconds(&Quantity::Text(text.to_owned()))
        .ok()
        .and_then(|seconds| {
            Timestamp::now()
                .checked_add(Duration::from_secs(seconds))
                .ok()
        });
    from_now.ok_or_else(|| {
        format!(
            "{} is no time; write one as in \"2026-03-01T08:00:00Z\", or from now, as in \"12h\" or \"90d\"",
            quote(text)
        )
    })
}

fn list(args: &DatabaseArgs) -> Result<Exit> {
    let tokens = open(args)?.token_list(&Actor::command())?;
    match args.form.output {
        OutputForm::Json => print(&json_line(&tokens)?)?,
        OutputForm::Table => print(table(&tokens).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn table(tokens: &[TokenInfo]) -> String {
    let mut table = plain_table();
    table.set_header(["NAME", "ROLE", "ACCOUNT", "CREATED", "STATE", "ID"]);
    let now = Timestamp::now();
    for token in tokens {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", rfc3339(at)),
            (None, Some(at)) if at <= now => format!("over since {}", rfc3339(at)),
            (None, Some(at)) => format!("until {}", rfc3339(at)),
            (None, None) => "in use".to_owned(),
        };
        table.add_row([
            token.name.clone(),
            token.role.keyword().to_owned(),
            token.account.to_string(),
            rfc3339(token.created_at),
            state,
            token.id.to_string(),
        ]);
    }
    finished(table)
}

fn revoke(args: &TokenRevokeArgs) -> Result<Exit> {
    let TokenRevokeArgs { token, database } = args;
    let info = open(database)?.token_revoke(token, &Actor::command())?;
    match database.form.output {
        OutputForm::Json => print(&json_line(&info)?)?,
        OutputForm::Table => {
            print(format!("token {} {} is revoked\n", info.name, info.id).as_bytes())?;
        }
    }
    Ok(Exit::Ok)
}
