//! The API of the real daemon, call by call as the contract has them: what each answers, every end that a
//! task can come to, every error with all its fields, and TLS. Each answer is also held to the OpenAPI
//! document that the daemon serves (`Daemon::ask`), and each task to the shape of a record.

mod calls;
mod ends;
mod errors;
mod events;
mod files;
mod tls;

use std::process::Command;

use capture_tests::output;

/// What a body is.
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A time as `date` knows it: `1 second`, `tomorrow`; in the form of the API, whose times can be compared as text.
fn time(words: &str) -> String {
    let time = output(Command::new("date").args(["-u", "-d", words, "+%FT%T.%3NZ"]));
    time.trim().to_owned()
}

/// A whole ID of no task.
const NO_TASK: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
