//! The API of the real daemon, call by call as the contract has them: what each answers, every end that a
//! task can come to, every error with all its fields, and TLS. Each answer is also held to the OpenAPI
//! document that the daemon serves (`Daemon::ask`), and each task to the shape of a record.

mod calls;
mod ends;
mod errors;
mod events;
mod files;
mod tls;

use std::{process::Command, time::Duration};

use capture_tests::{
    netns::{HOST_IF, Lab, PEER_IF},
    output, traffic,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// What a body is.
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Numbered frames that a task on [`HOST_IF`] takes.
fn send(lab: &Lab, numbers: std::ops::Range<u32>) {
    let from = "10.0.0.2:4000".parse().expect("an address");
    let to = "10.0.0.1:9".parse().expect("an address");
    let frames = numbers.map(|number| traffic::udp_frame(from, to, number, 500));
    traffic::send(&lab.peer, PEER_IF, 20_000, frames);
}

/// A task of UDP on [`HOST_IF`] that lasts.
fn on_host(mut task: Value) -> Value {
    let usual =
        json!({"name": "a test", "interfaces": [HOST_IF], "protocol": "udp", "duration": "10m"});
    for (field, value) in usual.as_object().expect("an object") {
        if task.get(field).is_none() {
            task[field] = value.clone();
        }
    }
    task
}

/// A time as `date` knows it: `1 second`, `tomorrow`; in the form of the API, whose times can be compared as text.
fn time(words: &str) -> String {
    let time = output(Command::new("date").args(["-u", "-d", words, "+%FT%T.%3NZ"]));
    time.trim().to_owned()
}

/// A whole ID of no task.
const NO_TASK: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
