//! The daemon as a client sees it: HTTP/1.1, one connection a request.
//!
//! [`Location`] says which daemon is meant, also by the user's [`contexts`]; an [`Address`] is its Unix socket, HTTPS
//! (`tcp`, `tls`, `token`), or the socket of another host by `ssh`. `connect_error` says why a socket cannot be reached
//! `peer` whether its owner may be trusted, and `error` keeps what the daemon refuses; `sse` reads its stream of events, `follow` files that grow; `fetch` gets a
//! file into a `part` of it; `resolve_id` tells which task somebody means, and `interfaces` where there is something to
//! capture.

mod address;
mod connect_error;
pub mod contexts;
mod digest;
mod error;
mod fetch;
mod follow;
mod interfaces;
mod location;
mod part;
mod peer;
mod resolve_id;
pub mod services;
mod sse;
mod ssh;
mod tcp;
mod tls;
mod token;

use std::{fmt, io, path::PathBuf, sync::OnceLock, time::Duration};

use bytes::Bytes;
use capture_task::{error::ErrorKind, task::TaskRecord};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    sync::OnceCell,
    time::timeout,
};

pub use self::{
    address::Address,
    digest::Fetched,
    error::{Error, Result},
    fetch::Source,
    interfaces::Interface,
    location::Location,
    part::{Part, here_already, take_up},
    resolve_id::{Found, Meant, TaskQuery},
    sse::{Events, SseEvent},
};
use self::{address::in_brackets, ssh::Tunnel, tcp::CONNECT_TIMEOUT, tls::Tls};

/// How long the daemon may take to begin an answer, or to go on with one. Its events come with a sign of
/// life every fifteen seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Most bytes of an answer that is kept in memory.
const LONGEST: usize = 64 << 20;

/// The code of an answer to a request without a token.
const TOKEN_MISSING: &str = "token_missing";

/// A header of a request.
pub type Header = (HeaderName, HeaderValue);

/// Both directions of a connection to a daemon.
pub type Connection = Box<dyn Stream>;

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A daemon.
pub struct Client {
    address: Address,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    /// Where nobody is there to be asked: how long it may take until it is connected to.
    deadline: Option<Duration>,
    tls: OnceLock<Tls>,
    tunnel: OnceCell<Tunnel>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.address).finish()
    }
}

impl Client {
    /// The daemon at this address.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            token_file: None,
            ca: None,
            deadline: None,
            tls: OnceLock::new(),
            tunnel: OnceCell::new(),
        }
    }

    /// The daemon of this host.
    pub fn local() -> Self {
        Self::new(Address::Socket(address::SOCKET.into()))
    }

    /// The same with the file of a token, and with one of certificates in place of the system's. Only HTTPS takes them.
    #[must_use]
    pub fn with_files(mut self, token_file: Option<PathBuf>, ca: Option<PathBuf>) -> Self {
        self.token_file = token_file;
        self.ca = ca;
        self
    }

    /// The same where nobody is there to be asked: it is connected to within this time or not at all.
    #[must_use]
    pub fn unattended(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    /// Whether it is a daemon of this host, whose users are those of this process.
    pub fn is_here(&self) -> bool {
        matches!(self.address, Address::Socket(_))
    }

    /// Where the daemon is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The `Host` of requests, as the daemon expects it.
    fn host(&self) -> String {
        match &self.address {
            Address::Https { host, port } => format!("{}:{port}", in_brackets(host)),
            Address::Socket(_) | Address::Ssh { .. } => "localhost".to_owned(),
        }
    }

    /// The `Origin` of pages that are the daemon's own.
    pub fn origin(&self) -> String {
        let scheme = match &self.address {
            Address::Https { .. } => "https",
            Address::Socket(_) | Address::Ssh { .. } => "http",
        };
        format!("{scheme}://{}", self.host())
    }

    /// Sets the headers that each request to this daemon needs: `Host`, and the token.
    ///
    /// # Errors
    /// The token's file cannot be read, or is open to others.
    pub fn introduce(&self, headers: &mut HeaderMap) -> Result<()> {
        let host = HeaderValue::try_from(self.host());
        let host = host.map_err(|error| Error::usage(format!("{}: {error}", self.address)))?;
        headers.insert(header::HOST, host);
        if let (Address::Https { .. }, Some(path)) = (&self.address, &self.token_file) {
            headers.insert(header::AUTHORIZATION, token::bearer(path)?);
        }
        Ok(())
    }

    /// Checks the files of the token and of certificates, where there are any.
    ///
    /// # Errors
    /// One cannot be read, is open to others, or holds something else; or it belongs to another kind of address.
    pub fn check_files(&self) -> Result<()> {
        let Self {
            address,
            token_file,
            ca,
            ..
        } = self;
        match address {
            Address::Https { host, port } => {
                token_file.as_deref().map(token::bearer).transpose()?;
                ca.as_deref()
                    .map(|ca| Tls::new(host, *port, Some(ca)))
                    .transpose()?;
                Ok(())
            }
            _ if token_file.is_none() && ca.is_none() => Ok(()),
            _ => Err(Error::usage(format!(
                "a token file and certificates belong to a daemon at https://, and {address} needs none"
            ))),
        }
    }

    /// Connects to the daemon.
    ///
    /// # Errors
    /// It is not there, not the one that is meant, or does not let us in.
    pub async fn connect(&self) -> Result<Connection> {
        let within = self.deadline.unwrap_or(CONNECT_TIMEOUT);
        match &self.address {
            Address::Socket(path) => {
                let connecting = timeout(within, UnixStream::connect(path)).await;
                let stream = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                let stream = stream.map_err(|error| connect_error::error(path, &error))?;
                peer::check(path, &stream)?;
                Ok(Box::new(stream))
            }
            Address::Https { host, port } => {
                let tls = match self.tls.get() {
                    Some(tls) => tls,
                    None => {
                        let tls = Tls::new(host, *port, self.ca.as_deref())?;
                        self.tls.get_or_init(|| tls)
                    }
                };
                let stream = tcp::connect(host, *port, within).await?;
                let over = timeout(within, tls.over(stream)).await;
                let late = |_| {
                    Error::unreachable(format!(
                        "{} is connected to, and has not answered within {} s; is it another service's port?",
                        self.address,
                        within.as_secs_f32()
                    ))
                };
                Ok(Box::new(over.map_err(late)??))
            }
            Address::Ssh {
                user,
                host,
                port,
                socket,
            } => {
                let user = user.as_deref();
                let open = || Tunnel::open(user, host, *port, socket, self.deadline);
                let tunnel = self.tunnel.get_or_try_init(open).await?;
                Ok(Box::new(tunnel.connect().await?))
            }
        }
    }

    /// The JSON of a resource.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = self.ask(Method::GET, path, Vec::new(), None).await?;
        self.value(response).await
    }

    /// The text of a resource, of which those of monitoring have no prefix.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn text(&self, path: &str) -> Result<String> {
        let response = self.ask(Method::GET, path, Vec::new(), None).await?;
        let body = self.whole(response).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The record of a task.
    pub async fn task(&self, id: &str) -> Result<TaskRecord> {
        self.get(&format!("/tasks/{id}")).await
    }

    /// Asks, with a body of JSON where there is one. The answer is a good one.
    ///
    /// # Errors
    /// The daemon is not there, or refuses.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: Vec<Header>,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>> {
        let prefix = match path {
            "/metrics" | "/readyz" => "",
            _ => "/api/v1",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"));
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
        Err(self.refused(status, &body).await)
    }

    /// The JSON of an answer.
    pub async fn value<T: DeserializeOwned>(&self, response: Response<Incoming>) -> Result<T> {
        let body = self.whole(response).await?;
        let error = match serde_json::from_slice(&body) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let (address, own) = (&self.address, env!("CARGO_PKG_VERSION"));
        let message = match self.version().await {
            Some(version) if version != own => format!(
                "the daemon at {address} is of version {version}, and this program of {own}; install the same on both sides ({error})"
            ),
            _ => format!("{address} does not answer as a daemon of this version does: {error}"),
        };
        Err(Error::new(ErrorKind::Runtime, message))
    }

    /// The next bytes of an answer; `None` at its end.
    pub async fn next_bytes(&self, body: &mut Incoming) -> Result<Option<Bytes>> {
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

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        self.introduce(request.headers_mut())?;
        let stream = self.connect().await?;
        let answered = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Ends with the answer, at the latest with the runtime.
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        match timeout(REQUEST_TIMEOUT, answered).await {
            Err(_) => Err(self.too_slow()),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                // ssh takes a connection before it knows what is at the other end.
                let why = match self.tunnel.get() {
                    Some(tunnel) => tunnel.broken().await,
                    None => None,
                };
                Err(why.map_or_else(|| self.broken(&error), Error::unreachable))
            }
        }
    }

    /// The error for an answer that is not a good one.
    async fn refused(&self, status: StatusCode, body: &[u8]) -> Error {
        let error = Error::refused(status, body);
        let (Address::Https { .. }, Error::Refused { problem, .. }) = (&self.address, &error)
        else {
            return error;
        };
        let address = &self.address;
        let Some(problem) = problem else {
            return Error::new(
                ErrorKind::Runtime,
                format!(
                    "{address} answers {status}, and not as a daemon does; is it another service's port?"
                ),
            );
        };
        if status != StatusCode::UNAUTHORIZED {
            return error;
        }
        let is_missing = problem
            .errors
            .iter()
            .any(|error| error.code == TOKEN_MISSING);
        Error::unreachable(match &self.token_file {
            Some(path) if !is_missing => format!(
                "{address} does not take the token in {}: it is not known there, or is over; `capture-agent token create` there makes one",
                path.display()
            ),
            _ => format!(
                "{address} wants a token; make one there by `capture-agent token create`, and name its file by --token-file or CAPTURE_AGENT_TOKEN_FILE"
            ),
        })
    }

    /// The daemon's version, where it says one.
    async fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Answer {
            version: String,
        }
        let response = Box::pin(self.ask(Method::GET, "/version", Vec::new(), None))
            .await
            .ok()?;
        let body = self.whole(response).await.ok()?;
        serde_json::from_slice::<Answer>(&body)
            .ok()
            .map(|answer| answer.version)
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
        Error::unreachable(format!(
            "the daemon at {} has not answered for {seconds} s; its log may say why",
            self.address
        ))
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        let cause = error.source().map(|cause| format!(": {cause}"));
        Error::unreachable(format!(
            "the daemon at {} broke the connection off ({error}{}); it may have ended",
            self.address,
            cause.unwrap_or_default()
        ))
    }
}
