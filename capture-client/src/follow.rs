//! The files of a task while they grow: a task that runs gives a file up to its last whole packet, and a range of bytes gets
//! what has come since.

use std::{io, time::Duration};

use capture_task::{Cause, error::ErrorKind, task::TaskRecord};
use http::{HeaderValue, Method, StatusCode, header};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    time::sleep,
};

use super::Client;
use crate::error::{Error, Result};

/// How often it is looked for packets: at first, and where none come.
const LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_millis(400);

impl Client {
    /// Writes what a task has written and will write, file after file, until it ends. Gives the task as it is then, or
    /// nothing where the other end of a pipe goes away before.
    ///
    /// # Errors
    /// The daemon goes away or refuses, or writing fails.
    pub async fn follow(
        &self,
        id: &str,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Option<TaskRecord>> {
        let mut place: Option<Place> = None;
        let mut pause = LOOK;
        loop {
            if let Some(place) = &mut place {
                match place.pass_on(self, id, to).await? {
                    Passed::Some => {
                        pause = LOOK;
                        sleep(LOOK).await;
                        continue;
                    }
                    Passed::NobodyReads => return Ok(None),
                    Passed::Nothing => {}
                }
            }
            let record = self.task(id).await?;
            let next = match &place {
                None => record.files.iter().map(|file| file.index).min(),
                Some(place) => {
                    let later = record.files.iter().map(|file| file.index);
                    later.filter(|index| *index > place.index).min()
                }
            };
            let is_over = record.state.is_final();
            if let Some(place) = &mut place
                && (is_over || next.is_some())
            {
                // What came between the two looks.
                if place.pass_on(self, id, to).await? == Passed::NobodyReads {
                    return Ok(None);
                }
            }
            if let Some(index) = next {
                place = Some(Place { index, offset: 0 });
                continue;
            }
            if is_over {
                return Ok(Some(record));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}

/// How far the files of a task are passed on.
struct Place {
    index: u64,
    offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    Some,
    Nothing,
    NobodyReads,
}

impl Place {
    async fn pass_on(
        &mut self,
        client: &Client,
        id: &str,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Passed> {
        let path = format!("/tasks/{id}/files/{}", self.index);
        let range = HeaderValue::try_from(format!("bytes={}-", self.offset));
        let range = range.map_err(|error| failed(format!("a range: {error}")))?;
        let headers = vec![(header::RANGE, range)];
        let answer = match client.ask(Method::GET, &path, headers, None).await {
            Ok(answer) => answer,
            // Nothing has come yet.
            Err(Error::Refused {
                status: StatusCode::RANGE_NOT_SATISFIABLE,
                ..
            }) => return Ok(Passed::Nothing),
            Err(error) => return Err(error),
        };
        if self.offset > 0 && answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(failed("the daemon gives a part of a file as a whole one"));
        }
        let mut body = answer.into_body();
        let mut passed = Passed::Nothing;
        while let Some(bytes) = client.next_bytes(&mut body).await? {
            if let Err(error) = to.write_all(&bytes).await {
                return match error.kind() {
                    io::ErrorKind::BrokenPipe => Ok(Passed::NobodyReads),
                    _ => Err(failed(format!("writing: {}", Cause(&error)))),
                };
            }
            self.offset += bytes.len() as u64;
            passed = Passed::Some;
        }
        Ok(passed)
    }
}

fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Runtime, message)
}
