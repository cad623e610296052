//! Accepts connections and serves them by hyper. Each takes a permit of a pool and is identified by its peer; every
//! wait, and the size of the head, is bounded. The end waits for requests until a deadline.

use std::{
    convert::Infallible, io, net::SocketAddr, os::fd::AsFd as _, pin::pin, sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use capture_store::access::{Peer, Role};
use futures_util::FutureExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{
    auth::Source,
    connection_pool::{Bounds, PeerKey, Permit, Pool},
    plain_http,
    policy::Policies,
    problem::Problem,
    status_counts::StatusCounts,
};

/// How long a client may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For the head of a request, a new connection's first included, and so for a connection on which
    /// nothing is asked.
    pub(super) head: Duration,
    /// For a TLS handshake.
    pub(super) handshake: Duration,
    /// In which it takes nothing of an answer.
    pub(super) write_timeout: Duration,
    /// Connections of a listener.
    pub(super) bounds: Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            handshake: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            bounds: Bounds::default(),
        }
    }
}

/// Most bytes of a request's head. hyper answers 431 beyond.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Most headers of a request. hyper answers 431 beyond.
const MAX_HEADERS: usize = 64;

/// How long, and for how many bytes, a client that still sends is listened to after its last answer:
/// closing at once would reset the connection, and the client could lose the answer.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: u64 = 256 * 1024;

/// The answer to a connection for which there is no permit.
const POOL_IS_FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
content-type: application/problem+json\r\n\
cache-control: no-store\r\n\
content-length: 198\r\n\
retry-after: 1\r\n\
connection: close\r\n\r\n\
{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
\"detail\":\"too many requests are under way\",\
\"errors\":[{\"pointer\":\"\",\"code\":\"connections\",\"detail\":\"too many requests are under way\"}]}";

/// The listeners and all their connections.
#[derive(Debug)]
pub(super) struct Listening {
    loops: JoinSet<usize>,
    /// The deadline, once the end has begun: no new connections or requests, and those that are there are answered.
    stop: watch::Sender<Option<Instant>>,
}

/// What each connection needs.
#[derive(Clone)]
struct ServerState {
    router: Router,
    policies: Arc<Policies>,
    limits: Limits,
    pool: Arc<Pool>,
    answers: Arc<StatusCounts>,
    stop: watch::Receiver<Option<Instant>>,
}

impl Listening {
    /// Begins to accept connections.
    pub(super) fn start(
        unix: UnixListener,
        tcp: Vec<(TcpListener, Option<TlsAcceptor>)>,
        router: &Router,
        policies: &Arc<Policies>,
        answers: &Arc<StatusCounts>,
        limits: Limits,
    ) -> Self {
        let (stop, stopped) = watch::channel(None);
        let shared = || ServerState {
            router: router.clone(),
            policies: Arc::clone(policies),
            // The socket and TCP have pools of their own: the network never locks out the machine.
            pool: Pool::new(limits.bounds),
            answers: Arc::clone(answers),
            limits,
            stop: stopped.clone(),
        };
        let mut loops = JoinSet::new();
        let accept = async move || Ok(unix.accept().await?.0);
        loops.spawn(accept_all(accept, shared(), serve_unix));
        if !tcp.is_empty() {
            let shared = shared();
            for (listener, tls) in tcp {
                let serve = move |(stream, address), shared: &ServerState, connections: &mut _| {
                    serve_tcp(stream, address, tls.as_ref(), shared, connections);
                };
                let accept = async move || listener.accept().await;
                loops.spawn(accept_all(accept, shared.clone(), serve));
            }
        }
        Self { loops, stop }
    }

    /// Stops listening, has requests answered until `deadline`, and gives the number of connections
    /// that were cut off then.
    pub(super) async fn stop(mut self, deadline: Instant) -> usize {
        self.stop.send_replace(Some(deadline));
        let mut cut = 0;
        while let Some(ended) = self.loops.join_next().await {
            cut += ended.unwrap_or_default();
        }
        cut
    }
}

/// Accepts until the end, and then waits for the connections; gives the number of those that did not
/// end in time.
async fn accept_all<S>(
    accept: impl AsyncFn() -> io::Result<S>,
    mut shared: ServerState,
    serve: impl Fn(S, &ServerState, &mut JoinSet<()>),
) -> usize {
    let mut connections = JoinSet::new();
    let (mut refused, mut said) = (0_u64, None::<Instant>);
    let deadline = loop {
        tokio::select! {
            _ = shared.stop.changed() => {
                break shared.stop.borrow().unwrap_or_else(Instant::now);
            }
            Some(_) = connections.join_next() => {}
            accepted = accept() => match accepted {
                Ok(stream) => serve(stream, &shared, &mut connections),
                Err(error) => {
                    // Out of descriptors or memory: the connection waits in the kernel.
                    if !is_of_the_connection(&error) {
                        refused += 1;
                        if said.is_none_or(|said| said.elapsed() >= ACCEPT_LOG_INTERVAL) {
                            log::warn!("cannot accept a connection: {error} (tried {refused} times since the last such line)");
                            (refused, said) = (0, Some(Instant::now()));
                        }
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            },
        }
    };
    // It owns the listener.
    drop(accept);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout_at(deadline, all).await.is_ok() {
        return 0;
    }
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

/// How often it is logged that connections cannot be accepted.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A connection that went away before it was accepted is nothing to be slower for.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn serve_unix(stream: UnixStream, shared: &ServerState, connections: &mut JoinSet<()>) {
    let peer = match Peer::of(stream.as_fd()) {
        Ok(peer) => peer,
        Err(error) => {
            log::warn!("{error}");
            return;
        }
    };
    let role = shared.policies.current().access.role(&peer);
    let key = match role {
        Some(Role::Admin) => PeerKey::Owner(peer.uid),
        Some(_) => PeerKey::User(peer.uid),
        None => PeerKey::Outsiders,
    };
    let Some(permit) = shared.pool.admit(key) else {
        // Whether it takes this or not, it has to go.
        let _ = stream.try_write(POOL_IS_FULL);
        return;
    };
    let shared = shared.clone();
    connections.spawn(async move {
        let peer = Arc::new(peer);
        let actor = match role {
            None => None,
            Some(role) => {
                // A directory service may take its time.
                let named = Arc::clone(&peer);
                let named = tokio::task::spawn_blocking(move || named.actor(role));
                let named = tokio::select! {
                    named = named => named,
                    () = permit.evicted() => return,
                };
                let Ok(actor) = named else { return };
                Some(actor)
            }
        };
        serve(stream, Source::Unix { peer, actor }, permit, shared).await;
    });
}

fn serve_tcp(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<&TlsAcceptor>,
    shared: &ServerState,
    connections: &mut JoinSet<()>,
) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let Some(permit) = shared.pool.admit(PeerKey::of(address.ip())) else {
        if tls.is_none() {
            let _ = stream.try_write(POOL_IS_FULL);
        }
        return;
    };
    // An answer is written whole; there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let source = Source::Tcp { address, local };
    let shared = shared.clone();
    match tls.cloned() {
        None => {
            connections.spawn(serve(stream, source, permit, shared));
        }
        Some(tls) => {
            connections.spawn(async move {
                let shaking = async {
                    if plain_http::is_spoken(&stream).await {
                        plain_http::refuse(stream).await;
                        return Ok(None);
                    }
                    tls.accept(stream).await.map(Some)
                };
                let shaken = tokio::select! {
                    shaken = timeout(shared.limits.handshake, shaking) => shaken,
                    () = permit.evicted() => return,
                };
                match shaken {
                    Ok(Ok(None)) => log::debug!("{address} speaks HTTP where TLS is spoken"),
                    Ok(Ok(Some(stream))) => serve(stream, source, permit, shared).await,
                    Ok(Err(error)) => log::debug!("TLS with {address}: {error}"),
                    Err(_) => log::debug!("TLS with {address}: no handshake in time"),
                }
            });
        }
    }
}

/// Serves one connection to its end.
async fn serve<S>(stream: S, source: Source, permit: Permit, mut shared: ServerState)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (router, answers) = (shared.router.clone(), Arc::clone(&shared.answers));
    let service = service_fn(|request: Request<Incoming>| {
        let busy = permit.busy();
        let answer = answer(router.clone(), source.clone(), request);
        let answers = Arc::clone(&answers);
        Box::pin(async move {
            let response = answer.await;
            answers.count(response.status());
            // The body holds it, so that the connection is not idle before the last of the body is sent.
            let held = move |error: axum::Error| {
                let _ = &busy;
                error
            };
            Ok::<_, Infallible>(response.map(|body| body.map_err(held)))
        })
    });
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(shared.limits.write_timeout));
    let stream = TokioIo::new(Box::pin(stream));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.head)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(4 * MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let mut evicted = pin!(permit.evicted());
    loop {
        tokio::select! {
            ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    log::debug!("a connection ended: {error}");
                }
                break;
            }
            _ = shared.stop.changed() => std::pin::Pin::new(&mut connection).graceful_shutdown(),
            () = &mut evicted => return,
        }
    }
    linger(connection.into_parts().io.into_inner()).await;
}

/// Answers a request; a panic is an answer too.
async fn answer(
    router: Router,
    source: Source,
    mut request: Request<Incoming>,
) -> http::Response<Body> {
    request.extensions_mut().insert(source);
    let answer = std::panic::AssertUnwindSafe(router.oneshot(request.map(Body::new)));
    match answer.catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => axum::response::IntoResponse::into_response(Problem::internal(
            &"a request's handler panicked",
        )),
    }
}

/// Closes a connection so that the peer gets the last answer even if it is still sending.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let goodbye = async {
        stream.shutdown().await?;
        tokio::io::copy(
            &mut (&mut stream).take(MAX_LINGER_BYTES),
            &mut tokio::io::sink(),
        )
        .await
    };
    // However it goes, the connection is over.
    let _ = timeout(LINGER, goodbye).await;
}
