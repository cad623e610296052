//! A DNS server for tests, on UDP alone, that answers as it is told to: late, with errors, cut, twice.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::netns::Netns;

/// What to say to a query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// How long to wait with it.
    pub delay: Duration,
    /// The code of RFC 1035 section 4.1.1.
    pub code: u8,
    /// Whether it says that there is more by TCP.
    pub truncated: bool,
    /// The address of the name.
    pub address: Option<Ipv4Addr>,
}

/// A server at work.
#[derive(Debug)]
pub struct NameServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Starts one on port 53 of an address. `answers` says what to send to the query of a name, in this order.
    pub fn start(
        namespace: &Netns,
        address: &str,
        answers: impl Fn(&str) -> Vec<Answer> + Send + 'static,
    ) -> Self {
        let address = SocketAddr::new(address.parse().expect("an address"), 53);
        let socket = namespace.within(|| UdpSocket::bind(address).expect("the server binds"));
        let timeout = Some(Duration::from_millis(20));
        socket.set_read_timeout(timeout).expect("a timeout");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut query = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                let (len, from) = match socket.recv_from(&mut query) {
                    Ok(received) => received,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => panic!("the server cannot receive: {error}"),
                };
                let (name, end) = question(&query[..len]);
                for answer in answers(&name) {
                    thread::sleep(answer.delay);
                    let message = message(&query[..end], answer);
                    socket.send_to(&message, from).expect("the answer is sent");
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the name server panicked"
            );
        }
    }
}

/// The name that a query asks for, and where its question ends.
fn question(query: &[u8]) -> (String, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 5)
}

fn message(query: &[u8], answer: Answer) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2] = 0x81 | u8::from(answer.truncated) << 1;
    message[3] = 0x80 | answer.code;
    message[6..12].fill(0);
    if let Some(address) = answer.address {
        message[7] = 1;
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(address.octets());
    }
    message
}
