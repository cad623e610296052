//! `quota`: how many tasks may still be created today.

use serde::Deserialize;
use serde_json::Value;

use super::{
    args::{OutputForm, QuotaArgs},
    client::{Client, block_on},
    listing::{finished, json_line, plain_table},
    print,
};
use crate::cli::{
    error::{Error, Result},
    exit::Exit,
};

/// The quota as the daemon says it.
#[derive(Debug, Deserialize)]
struct Quota {
    account: String,
    edition: String,
    limit: Option<u32>,
    used: u32,
    remaining: Option<u32>,
    resets_at: String,
}

/// Executes `quota`.
pub(super) fn show(args: QuotaArgs) -> Result<Exit> {
    let QuotaArgs { form, socket } = args;
    let client = Client::new(socket.socket);
    let value: Value = block_on(client.get("/quota"))?;
    if form.output == OutputForm::Json {
        print(&json_line(&value)?)?;
        return Ok(Exit::Ok);
    }
    let quota = serde_json::from_value(value).map_err(|error| {
        Error::runtime(format!(
            "the daemon's quota is not as this version knows it: {error}"
        ))
    })?;
    print(table(&quota).as_bytes())?;
    Ok(Exit::Ok)
}

fn table(quota: &Quota) -> String {
    let number =
        |number: Option<u32>| number.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let mut table = plain_table();
    table.set_header(["ACCOUNT", "EDITION", "A DAY", "USED", "LEFT", "NEXT DAY"]);
    table.add_row([
        quota.account.clone(),
        quota.edition.clone(),
        number(quota.limit),
        quota.used.to_string(),
        number(quota.remaining),
        quota.resets_at.clone(),
    ]);
    finished(table)
}
