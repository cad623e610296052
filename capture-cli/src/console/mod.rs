//! `console`: the daemon's web console in a browser of this user. A port of the loopback address leads to the daemon's
//! socket; `gate` lets in the browser that has shown the address printed here, `forward` passes its requests on.

mod forward;
mod gate;
mod state;
#[cfg(test)]
mod tests;

use std::{
    env,
    net::Ipv4Addr,
    process::{Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use capture_task::{Cause, count_text};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
    time::sleep,
};

use self::{forward::answer, gate::Gate, state::Console};
use super::{args::ConsoleArgs, client::block_on, print, say};
use crate::{
    error::{Error, Result},
    exit::Exit,
};

/// Most connections at once: a page has six, and each stream of events one more.
const MAX_CONNECTIONS: usize = 64;

/// For the head of a request, and so for a connection on which nothing is asked.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Bounds of a request's head, as the daemon has them.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Executes `console`.
pub(super) fn execute(args: ConsoleArgs) -> Result<Exit> {
    let ConsoleArgs {
        port,
        no_browser,
        socket,
    } = args;
    block_on(async move {
        let client = socket.client()?;
        // Whoever may not use the socket learns it here, and not in the browser.
        let _: serde_json::Value = client.get("/session").await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or_default())).await;
        let listener = listener.map_err(|error| {
            let port = port.unwrap_or_default();
            Error::runtime(format!(
                "cannot listen on 127.0.0.1:{port}: {}; --port names another",
                Cause(&error)
            ))
        })?;
        let port = listener.local_addr().map(|address| address.port());
        let port = port.map_err(|error| Error::runtime(format!("listening: {}", Cause(&error))))?;
        let (gate, once) = Gate::new(port, Instant::now())?;
        let url = format!("http://127.0.0.1:{port}/?once={}", once.reveal());
        print(format!("{url}\n").as_bytes())?;
        say("this address is good once, within 60 s; Ctrl-C ends the console");
        if !no_browser {
            open_browser(&url);
        }
        let console = Arc::new(Console::new(gate, client));
        let mut interrupt = listen_to(SignalKind::interrupt())?;
        let mut terminate = listen_to(SignalKind::terminate())?;
        tokio::select! {
            () = serve(listener, Arc::clone(&console)) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let requests = console.requests.load(Ordering::Relaxed);
        say(&format!(
            "the console has ended; it passed on {} requests",
            count_text(requests)
        ));
        Ok(Exit::Ok)
    })
}

fn listen_to(kind: SignalKind) -> Result<tokio::signal::unix::Signal> {
    signal(kind).map_err(|error| Error::runtime(format!("taking over signals: {}", Cause(&error))))
}

/// Opens the address where there is a desktop. That it failed changes nothing: the address is printed.
fn open_browser(url: &str) {
    let desktops = [env::var_os("DISPLAY"), env::var_os("WAYLAND_DISPLAY")];
    let mut named = desktops.iter().flatten();
    if !named.any(|name| !name.is_empty()) {
        return;
    }
    let opened = Command::new("xdg-open")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = opened {
        log::debug!("xdg-open: {error}");
    }
}

/// Serves until it is dropped, and all connections with it.
async fn serve(listener: TcpListener, console: Arc<Console>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Further connections wait in the kernel.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let console = Arc::clone(&console);
                connections.spawn(async move {
                    serve_one(stream, console).await;
                    drop(permit);
                });
            }
            Err(error) => {
                log::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, console: Arc<Console>) {
    let service = service_fn(move |request| {
        let console = Arc::clone(&console);
        async move { Ok::<_, std::convert::Infallible>(answer(&console, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(4 * MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        log::debug!("a connection ended: {error}");
    }
}
