//! The daemon as a client sees it: HTTP/1.1 over its Unix socket, one connection a request. What the
//! daemon refuses becomes an error with the exit code of the contract (`problem`); `sse` reads its
//! stream of events; `resolve_id` tells which task somebody means.

mod connect_error;
mod problem;
mod resolve_id;
mod sse;

use std::{env, future::Future, io, path::PathBuf, time::Duration};

use bytes::Bytes;
use capture_task::task::TaskRecord;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};

pub(super) use self::sse::{Events, SseEvent};
use crate::cli::error::{Error, ErrorKind, Result};

/// Where the daemon listens unless somebody says otherwise.
const SOCKET: &str = "/run/capture-agent/api.sock";

/// How long the daemon may take to begin an answer, or to go on with one. Its events come with a sign of
/// life every fifteen seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Most bytes of an answer that is kept in memory.
const LONGEST: usize = 64 << 20;

/// A header of a request.
pub(super) type Header = (HeaderName, HeaderValue);

/// The daemon at a socket.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

/// Runs what talks to the daemon to its end.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::runtime(format!("starting: {error}")))?
        .block_on(future)
}

impl Client {
    /// The daemon at this socket, or at that of `CAPTURE_AGENT_SOCKET`, or at the usual one.
    pub(super) fn new(socket: Option<PathBuf>) -> Self {
        let from_environment = || {
            let socket = env::var_os("CAPTURE_AGENT_SOCKET").filter(|socket| !socket.is_empty());
            socket.map(PathBuf::from)
        };
        let socket = socket.or_else(from_environment);
        Self {
            socket: socket.unwrap_or_else(|| SOCKET.into()),
        }
    }

    /// The JSON of a resource.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = self.ask(Method::GET, path, Vec::new(), None).await?;
        self.value(response).await
    }

    /// The record of a task.
    pub(super) async fn task(&self, id: &str) -> Result<TaskRecord> {
        self.get(&format!("/tasks/{id}")).await
    }

    /// Asks, with a body of JSON where there is one. The answer is a good one.
    ///
    /// # Errors
    /// The daemon is not there, or refuses.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: Vec<Header>,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, "localhost");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let mut request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Error::usage(format!("{path} cannot be asked for: {error}")))?;
        request.headers_mut().extend(headers);
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.whole(response).await?;
        Err(problem::error(status, &body))
    }

    /// The JSON of an answer.
    pub(super) async fn value<T: DeserializeOwned>(
        &self,
        response: Response<Incoming>,
    ) -> Result<T> {
        let body = self.whole(response).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let socket = self.socket.display();
            Error::runtime(format!(
                "{socket} does not answer as a daemon of this version does: {error}"
            ))
        })
    }

    /// The next bytes of an answer; `None` at its end.
    pub(super) async fn next_bytes(&self, body: &mut Incoming) -> Result<Option<Bytes>> {
        loop {
            let frame = timeout(REQUEST_TIMEOUT, body.frame()).await;
            let frame = frame.map_err(|_| self.too_slow())?;
            match frame.transpose().map_err(|error| self.broken(&error))? {
                None => return Ok(None),
                Some(frame) => {
                    // What is no data are trailers.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let connecting = timeout(REQUEST_TIMEOUT, UnixStream::connect(&self.socket)).await;
        let stream = connecting
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| connect_error::error(&self.socket, &error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // Ends with the answer, at the latest with the runtime.
        tokio::spawn(connection);
        let answer = timeout(REQUEST_TIMEOUT, sender.send_request(request)).await;
        answer
            .map_err(|_| self.too_slow())?
            .map_err(|error| self.broken(&error))
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes> {
        let body = Limited::new(response.into_body(), LONGEST).collect();
        let body = timeout(REQUEST_TIMEOUT, body)
            .await
            .map_err(|_| self.too_slow())?
            .map_err(|error| self.broken(error.as_ref()))?;
        Ok(body.to_bytes())
    }

    fn too_slow(&self) -> Error {
        let seconds = REQUEST_TIMEOUT.as_secs();
        Error {
            kind: ErrorKind::Unreachable,
            message: format!(
                "the daemon at {} has not answered for {seconds} s; its log may say why",
                self.socket.display()
            ),
        }
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        let cause = error.source().map(|cause| format!(": {cause}"));
        Error {
            kind: ErrorKind::Unreachable,
            message: format!(
                "the daemon at {} broke the connection off ({error}{}); it may have ended",
                self.socket.display(),
                cause.unwrap_or_default()
            ),
        }
    }
}
