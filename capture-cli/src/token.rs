//! The tokens of the API over TCP, made and revoked in the daemon's database, which the daemon may have
//! open at the same time. The secret of a token is shown when it is made, and never again.

use std::{sync::Arc, time::Duration};

use capture_store::{
    NewToken, Store, TokenInfo,
    access::{Account, Actor, Role},
    clock::SystemClock,
};
use capture_task::{
    plan::{Keyword as _, parse_keyword, quote, seconds},
    task::{Quantity, rfc3339},
};
use capture_tasks::config::Config;
use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::{
    args::{
        DatabaseArgs, FormArgs, OutputForm, TokenCommand, TokenCreateArgs, TokenListArgs,
        TokenRevokeArgs, WidthArgs,
    },
    listing::json_line,
    print, say, words,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
    table::{Column, Screen, Table, Tone},
};

const COLUMNS: [Column; 7] = [
    Column::new("NAME").cut(20),
    Column::new("ROLE"),
    Column::new("ACCOUNT").cut(12).rank(2),
    Column::new("CREATED").rank(3),
    Column::new("USED").rank(1),
    Column::new("STATE"),
    Column::new("ID").rank(4),
];

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
    if let Some(time) = capture_task::times::parse(text, &Zoned::now()) {
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

fn list(args: &TokenListArgs) -> Result<Exit> {
    let TokenListArgs {
        width: WidthArgs { no_trunc },
        database,
    } = args;
    let tokens = open(database)?.token_list(&Actor::command())?;
    match database.form.output {
        OutputForm::Json => print(&json_line(&tokens)?)?,
        OutputForm::Table => print(table(&tokens, &Screen::of_stdout(*no_trunc)).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn table(tokens: &[TokenInfo], screen: &Screen) -> String {
    let mut table = Table::new(COLUMNS);
    let now = screen.now.timestamp();
    for token in tokens {
        let to_come = |at: Timestamp| match screen.width {
            Some(_) => capture_task::times::near(at, &screen.now),
            None => rfc3339(at),
        };
        let (state, is_over) = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => (format!("revoked {}", screen.age(at)), true),
            (None, Some(at)) if at <= now => (format!("expired {}", screen.age(at)), true),
            (None, Some(at)) => (format!("until {}", to_come(at)), false),
            (None, None) => ("in use".to_owned(), false),
        };
        table.row([
            token.name.clone(),
            token.role.keyword().to_owned(),
            token.account.to_string(),
            screen.age(token.created_at),
            token
                .used_at
                .map_or_else(|| "never".to_owned(), |at| screen.age(at)),
            state,
            token.id.to_string(),
        ]);
        if is_over {
            table.tone(5, Tone::Bad);
        }
    }
    table.text(screen)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::golden;

    #[test]
    fn screens_of_many_widths() {
        let at = |text: &str| Some(text.parse::<Timestamp>().expect("a time"));
        let token = |name: &str, role, account: &str, expires_at, revoked_at| TokenInfo {
            id: "01M8KTZV402MDG02K9P503W781".parse().expect("an ID"),
            name: name.to_owned(),
            role,
            account: Account::new(account).expect("an account"),
            created_at: at("2026-02-27T10:00:00Z").expect("a time"),
            expires_at,
            revoked_at,
            used_at: at("2026-03-01T10:58:00Z").filter(|_| name != "old"),
        };
        let tokens = [
            token("ci", Role::Operator, "ci", at("2026-03-02T05:00:00Z"), None),
            token("view", Role::Viewer, "operations.of.the.night", None, None),
            token(
                "a.name.as.long.as.a.token.can.have@example.org",
                Role::Admin,
                "x",
                None,
                at("2026-03-01T10:00:00Z"),
            ),
            token("old", Role::Admin, "x", at("2026-02-28T11:00:00Z"), None),
        ];
        for width in [60, 80, 100, 200] {
            golden(
                &format!("tokens-{width}.txt"),
                &table(&tokens, &Screen::test(Some(width))),
            );
        }
        golden("tokens-pipe.txt", &table(&tokens, &Screen::test(None)));
    }
}
