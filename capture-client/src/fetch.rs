//! Getting the bytes of a file of a task: whole, or behind those that are here already, and checked by SHA-256 where the
//! file does not change any more.

use std::io::{self, Write};

use capture_task::{
    Cause, bytes_text,
    error::ErrorKind,
    task::{FileRecord, TaskRecord},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::body::Incoming;

use crate::{
    Client, Header,
    digest::{Digest, Fetched},
    error::{Error, Result},
    part::Part,
};

/// Bytes of a growing file that are fetched again, to see that it is the same file.
const OVERLAP: u64 = 4096;

/// Files of one task, from one daemon.
pub struct Source<'a> {
    /// The daemon.
    pub client: &'a Client,
    /// The task.
    pub task: &'a TaskRecord,
    /// What is to be left out; nothing where it is empty. Such a copy is made as it is sent: it has no ranges, and no digest
    /// that somebody knows before.
    pub query: String,
}

/// An answer that begins at a byte of the file.
struct Answer {
    headers: HeaderMap,
    body: Incoming,
    is_part: bool,
}

impl Source<'_> {
    /// Whether what broke off can be gone on with.
    pub fn has_ranges(&self) -> bool {
        self.query.is_empty()
    }

    /// To standard output, or to what is open. `None` where the reader had enough.
    pub async fn stream(
        &self,
        file: &FileRecord,
        mut to: impl Write,
        name: &str,
    ) -> Result<Option<Fetched>> {
        let answer = self.open(file, Vec::new()).await?;
        let (headers, mut body) = (answer.headers, answer.body);
        let mut digest = Digest::default();
        let failed = |error: io::Error| {
            Error::new(
                ErrorKind::Runtime,
                format!("writing to {name}: {}", Cause(&error)),
            )
        };
        while let Some(bytes) = self.client.next_bytes(&mut body).await? {
            digest.take(&bytes);
            match to.write_all(&bytes) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
                written => written.map_err(failed)?,
            }
        }
        match to.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
            flushed => flushed.map_err(failed)?,
        }
        let fetched = digest.finish();
        match self.expected(file, &headers) {
            Some(expected) if expected != fetched.sha256 => Err(differs(name, &fetched, &expected)),
            _ => Ok(Some(fetched)),
        }
    }

    /// Into a file, behind what it has. One whose beginning turns out to be of another file is begun anew.
    ///
    /// # Errors
    /// What came so far stays in `part` if it can be gone on with, and is gone if it is not the file.
    pub async fn fill(&self, file: &FileRecord, part: &mut Part) -> Result<Fetched> {
        let had = part.size();
        let (fetched, headers) = self.fill_once(file, part).await.map_err(|error| {
            if !part.keeps() {
                return error;
            }
            Error::new(
                error.kind(),
                format!(
                    "{error}; {} has {} so far, and --resume goes on with it",
                    part.path().display(),
                    bytes_text(part.size())
                ),
            )
        })?;
        let Some(expected) = self.expected(file, &headers) else {
            return Ok(fetched);
        };
        if fetched.sha256 == expected {
            return Ok(fetched);
        }
        part.restart()?;
        if had == 0 {
            return Err(differs(
                "the download, which is removed,",
                &fetched,
                &expected,
            ));
        }
        let (fetched, _) = self.fill_once(file, part).await?;
        if fetched.sha256 == expected {
            return Ok(fetched);
        }
        part.restart()?;
        Err(differs(
            "the download, which is removed,",
            &fetched,
            &expected,
        ))
    }

    async fn fill_once(&self, file: &FileRecord, part: &mut Part) -> Result<(Fetched, HeaderMap)> {
        if part.size() > 0 && file.sha256.is_some() && part.size() == file.size {
            // All of it is here.
            return Ok((part.digest()?.finish(), HeaderMap::new()));
        }
        let (headers, mut body, mut overlap) = match self.rest(file, part).await? {
            Some(rest) => rest,
            None => {
                part.restart()?;
                let answer = self.open(file, Vec::new()).await?;
                (answer.headers, answer.body, Vec::new())
            }
        };
        let mut digest = part.digest()?;
        while let Some(bytes) = self.client.next_bytes(&mut body).await? {
            let known = overlap.len().min(bytes.len());
            if overlap[..known] != bytes[..known] {
                part.restart()?;
                return Box::pin(self.fill_once(file, part)).await;
            }
            overlap.drain(..known);
            digest.take(&bytes[known..]);
            part.write(&bytes[known..])?;
        }
        Ok((digest.finish(), headers))
    }

    /// What follows what is here, and the bytes of that which come again. `None` where it is not of this file.
    async fn rest(
        &self,
        file: &FileRecord,
        part: &mut Part,
    ) -> Result<Option<(HeaderMap, Incoming, Vec<u8>)>> {
        let len = part.size();
        if len == 0 || !self.has_ranges() {
            return Ok(None);
        }
        // A finished file is known by its digest; one that grows, by some of its bytes.
        let (tag, again) = match &file.sha256 {
            Some(sha256) => (Some(format!("\"{sha256}\"")), 0),
            None => (None, len.min(OVERLAP)),
        };
        let overlap = part.end(again)?;
        let range = format!("bytes={}-", len - again);
        let mut headers = vec![(header::RANGE, value(&range)?)];
        if let Some(tag) = tag {
            headers.push((header::IF_RANGE, value(&tag)?));
        }
        match self.open(file, headers).await {
            Ok(answer) if answer.is_part => Ok(Some((answer.headers, answer.body, overlap))),
            Ok(_) => Ok(None),
            Err(Error::Refused { status, .. }) if status == StatusCode::RANGE_NOT_SATISFIABLE => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn open(&self, file: &FileRecord, headers: Vec<Header>) -> Result<Answer> {
        let query = &self.query;
        let path = format!("/tasks/{}/files/{}{query}", self.task.id, file.index);
        let answer = self.client.ask(Method::GET, &path, headers, None).await?;
        let (parts, body) = answer.into_parts();
        Ok(Answer {
            headers: parts.headers,
            body,
            is_part: parts.status == StatusCode::PARTIAL_CONTENT,
        })
    }

    /// The digest that the file has: what the answer says, or else the record, as the file may have been finished between
    /// the two.
    fn expected(&self, file: &FileRecord, headers: &HeaderMap) -> Option<String> {
        if !self.has_ranges() {
            return None;
        }
        let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.map(|tag| tag.trim_matches('"'));
        let is_sha256 =
            |tag: &&str| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let tag = tag.filter(is_sha256).map(str::to_owned);
        tag.or_else(|| file.sha256.clone())
    }
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Runtime, format!("{text}: {error}")))
}

fn differs(what: &str, fetched: &Fetched, expected: &str) -> Error {
    Error::new(
        ErrorKind::Runtime,
        format!(
            "{what} is not the file that was written: its SHA-256 is {}, and not {expected}; the daemon's disk may be failing",
            fetched.sha256
        ),
    )
}
