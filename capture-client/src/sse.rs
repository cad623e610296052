//! The stream of events (WHATWG HTML, section 9.2), as much of it as the daemon sends: each event has
//! a name and one line of JSON. The IDs to resume from are not kept: who listens again also asks again how
//! things are.

use http::Method;
use hyper::body::Incoming;

use super::Client;
use crate::error::Result;

/// Most bytes of an event; a stream with longer ones is not read on.
const LONGEST: usize = 16 << 20;

/// One event: its name, and its line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its name.
    pub name: String,
    /// Its line of JSON.
    pub data: String,
}

/// The events of a daemon from now on.
#[derive(Debug)]
pub struct Events<'a> {
    client: &'a Client,
    body: Incoming,
    reader: SseParser,
}

impl<'a> Events<'a> {
    /// Opens the stream. Events from before are not in it.
    ///
    /// # Errors
    /// The daemon is not there, or refuses.
    pub async fn listen(client: &'a Client) -> Result<Self> {
        let response = client.ask(Method::GET, "/events", Vec::new(), None).await?;
        Ok(Self {
            client,
            body: response.into_body(),
            reader: SseParser::default(),
        })
    }

    /// Waits for the next one; `None` where the daemon ends the stream.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn next(&mut self) -> Result<Option<SseEvent>> {
        loop {
            if let Some(event) = self.reader.next() {
                return Ok(Some(event));
            }
            match self.client.next_bytes(&mut self.body).await? {
                Some(bytes) if self.reader.bytes.len() + bytes.len() <= LONGEST => {
                    self.reader.bytes.extend_from_slice(&bytes);
                }
                _ => return Ok(None),
            }
        }
    }
}

/// Makes events of bytes, wherever these are cut.
#[derive(Debug, Default)]
struct SseParser {
    bytes: Vec<u8>,
    event: SseEvent,
}

impl SseParser {
    fn next(&mut self) -> Option<SseEvent> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                // An empty line ends an event, a comment is a sign of life.
                "" if line.is_empty() => {
                    let event = std::mem::take(&mut self.event);
                    if !event.data.is_empty() {
                        return Some(event);
                    }
                }
                "event" => value.clone_into(&mut self.event.name),
                "data" => self.event.data.push_str(value),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_wherever_they_are_cut() {
        let text = "retry: 1000\n\nevent: task\nid: e-1\ndata: {\"a\": 1}\n\n:\n\nevent: stats\ndata: {}\n\n";
        for size in 1..text.len() {
            let mut reader = SseParser::default();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                reader.bytes.extend_from_slice(piece);
                events.extend(std::iter::from_fn(|| reader.next()));
            }
            let events: Vec<_> = events
                .iter()
                .map(|event| (event.name.as_str(), event.data.as_str()))
                .collect();
            assert_eq!(events, [("task", "{\"a\": 1}"), ("stats", "{}")], "{size}");
        }
    }
}
