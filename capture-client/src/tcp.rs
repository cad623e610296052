//! TCP to a remote daemon: its name is looked up, and its addresses are tried one after the other.

use std::{io, time::Duration};

use capture_task::Cause;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    address::in_brackets,
    error::{Error, Result},
};

/// How long it may take until a daemon is connected to.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects within this time.
pub(crate) async fn connect(host: &str, port: u16, within: Duration) -> Result<TcpStream> {
    let shown = format!("{}:{port}", in_brackets(host));
    let late = || {
        Error::unreachable(format!(
            "{shown} has not answered within {} s; is the host up, and does a firewall stand between?",
            within.as_secs_f32()
        ))
    };
    let found = timeout(within, lookup_host((host, port))).await;
    let found = found.map_err(|_| {
        Error::unreachable(format!(
            "no name server has answered for {host} within {} s",
            within.as_secs_f32()
        ))
    })?;
    let addresses: Vec<_> = found
        .map_err(|error| {
            let cause = Cause(&error);
            Error::unreachable(format!("the name {host} is not known: {cause}"))
        })?
        .collect();
    // So that one that swallows everything leaves time for the others.
    let share = within / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = None;
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are small, and each waits for its answer.
                if let Err(error) = stream.set_nodelay(true) {
                    log::debug!("TCP_NODELAY: {error}");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
    }
    let Some(error) = last else {
        return Err(late());
    };
    Err(match error.kind() {
        io::ErrorKind::TimedOut => late(),
        io::ErrorKind::ConnectionRefused => Error::unreachable(format!(
            "{shown} refuses the connection: no daemon listens there; see `http.listen` in its configuration"
        )),
        _ => Error::unreachable(format!("{shown} cannot be reached: {}", Cause(&error))),
    })
}
