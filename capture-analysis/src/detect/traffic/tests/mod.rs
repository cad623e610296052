//! Made-up traffic, and what is found in it.

mod floods;
mod habits;
mod scans;

use crate::{
    decode::TcpFlags,
    testing::{Lab, MILLISECOND, tcp_frame},
};

const SYN: u16 = TcpFlags::SYN;
const ACK: u16 = TcpFlags::ACK;
const RST: u16 = TcpFlags::RST;

const CLIENT: &str = "10.0.0.1";
const SERVER: &str = "10.0.0.2";

/// An address and a port.
type End<'a> = (&'a str, u16);

/// A SYN that is answered with a reset.
fn refused(lab: &mut Lab, client: End<'_>, server: End<'_>) {
    lab.send(tcp_frame(client, server, SYN, 1000, b""));
    lab.send(tcp_frame(server, client, RST | ACK, 0, b""));
}

/// A handshake.
fn open(lab: &mut Lab, client: End<'_>, server: End<'_>) {
    lab.send(tcp_frame(client, server, SYN, 1000, b""));
    lab.send(tcp_frame(server, client, SYN | ACK, 5000, b""));
    lab.send(tcp_frame(client, server, ACK, 1001, b""));
}

/// A connection with a request, an answer, and an orderly end.
fn connection(lab: &mut Lab, client: End<'_>, server: End<'_>, bytes: (usize, usize)) {
    open(lab, client, server);
    let ends = [(client, server, bytes.0), (server, client, bytes.1)];
    let mut next = [1001, 5001];
    for (direction, (from, to, bytes)) in ends.into_iter().enumerate() {
        lab.wait(MILLISECOND);
        for at in (0..bytes).step_by(1400) {
            let payload = vec![b'x'; (bytes - at).min(1400)];
            lab.send(tcp_frame(from, to, ACK, next[direction], &payload));
            next[direction] += payload.len() as u32;
        }
    }
    let fin = ACK | TcpFlags::FIN;
    lab.send(tcp_frame(client, server, fin, next[0], b""))
        .send(tcp_frame(server, client, fin, next[1], b""))
        .send(tcp_frame(client, server, ACK, next[0] + 1, b""));
}
