//! An answer of server-sent events (WHATWG HTML, section 9.2), which goes on until one side closes it, the events are over, or
//! that is over by which the listener came in.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use http::{HeaderValue, header};
use tokio::time::{sleep, sleep_until};

use super::{state::Api, token_recheck::TokenRecheck};

/// A comment is sent after so long without an event, so that everybody on the way knows that the
/// connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where events come from.
pub(super) trait EventSource: Send + 'static {
    /// The next event, or a part of one, as text; `None` at the end. A call that is dropped loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// An answer of events, after `begin`.
pub(super) fn event_stream(
    api: Api,
    recheck: TokenRecheck,
    begin: Option<Bytes>,
    source: impl EventSource,
) -> Response {
    let listener = Listener {
        api,
        recheck,
        source,
    };
    let body = stream::unfold((listener, begin), async |(mut listener, begin)| {
        let bytes = match begin {
            Some(begin) => begin,
            None => listener.next().await?,
        };
        Some((Ok::<_, Infallible>(bytes), (listener, None)))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    // For a proxy in between: this is no page to be buffered.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One who listens.
struct Listener<S> {
    api: Api,
    recheck: TokenRecheck,
    source: S,
}

impl<S: EventSource> Listener<S> {
    /// What comes next, or a sign of life. `None` at the end: the server's, that of the events, or that of the token with
    /// which the listener came in.
    async fn next(&mut self) -> Option<Bytes> {
        let mut closing = self.api.closing.clone();
        let mut closed = pin!(async {
            let _ = closing.wait_for(|closing| *closing).await;
        });
        let mut silence = pin!(sleep(KEEP_ALIVE));
        loop {
            tokio::select! {
                biased;
                () = &mut closed => return None,
                () = sleep_until(self.recheck.next_check()) => {
                    if !self.recheck.is_valid().await {
                        return None;
                    }
                }
                bytes = self.source.next() => return bytes,
                () = &mut silence => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }
}
