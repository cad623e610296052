//! The bytes of messages: of the protocols what analyzers look for, and noise where they do not look.

use capture_tests::random::Random;

use super::packet::{Content, Payload};

/// A power of two, and enough behind it for a message.
const NOISE: usize = 1 << 16;
const MOST: usize = 2048;

/// Longest record of TLS with its header and tag.
const RECORD: usize = 5 + 16_384 + 17;

/// Makes the bytes of messages.
pub(crate) struct Contents {
    noise: Vec<u8>,
}

impl Contents {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            noise: (0..NOISE + MOST).map(|_| random.bits() as u8).collect(),
        }
    }

    /// Appends a part of a message. The same part of the same flow has the same bytes, as a resend has.
    pub(crate) fn write(&self, payload: &Payload, flow: u32, out: &mut Vec<u8>) {
        let (at, len) = (payload.at as usize, usize::from(payload.len));
        let total = payload.total as usize;
        let head = match payload.content {
            Content::Noise => Vec::new(),
            Content::Records => return self.records(at, len, total, flow, out),
            Content::ClientHello => client_hello(&self.noise, flow, total),
            Content::ServerHello => server_hello(&self.noise, flow, total),
            Content::HttpRequest => request(flow),
            Content::HttpResponse => response(total),
            Content::Query => return out.extend(query(flow)),
            Content::Answer => return out.extend(answer(flow)),
            Content::Media => vec![0x80, 0, 0, 1],
            Content::Time => vec![0x23, 2, 6, 0xec],
        };
        let (start, end) = (at.min(head.len()), (at + len).min(head.len()));
        out.extend(&head[start..end]);
        self.noise(flow, at, len - (end - start), out);
    }

    fn noise(&self, flow: u32, at: usize, len: usize, out: &mut Vec<u8>) {
        let start = (flow as usize * 7919 + at) % NOISE;
        out.extend(&self.noise[start..start + len]);
    }

    fn records(&self, at: usize, len: usize, total: usize, flow: u32, out: &mut Vec<u8>) {
        let begin = out.len();
        self.noise(flow, at, len, out);
        for index in at / RECORD..=(at + len) / RECORD {
            let place = index * RECORD;
            let record = RECORD.min(total.saturating_sub(place)).saturating_sub(5) as u16;
            let [high, low] = record.to_be_bytes();
            for (offset, byte) in [0x17, 3, 3, high, low].into_iter().enumerate() {
                if let Some(into) = (place + offset).checked_sub(at).filter(|into| *into < len) {
                    out[begin + into] = byte;
                }
            }
        }
    }
}

fn be16(value: usize) -> [u8; 2] {
    (value as u16).to_be_bytes()
}

/// An extension of TLS.
fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &be16(value.len()), value].concat()
}

fn client_hello(noise: &[u8], flow: u32, total: usize) -> Vec<u8> {
    let name = format!("www{}.example.com", flow % 300);
    let entry = [&[0][..], &be16(name.len()), name.as_bytes()].concat();
    let key = [&[0, 36, 0, 29, 0, 32][..], &noise[..32]].concat();
    let mut extensions = [
        extension(0, &[&be16(entry.len())[..], &entry].concat()),
        extension(10, &[0, 4, 0, 29, 0, 23]),
        extension(13, &[0, 6, 4, 3, 8, 4, 4, 1]),
        extension(16, b"\x00\x0c\x02h2\x08http/1.1"),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(51, &key),
    ]
    .concat();
    let mut body = [3, 3].to_vec();
    body.extend(&noise[flow as usize % 1000..][..32]);
    body.push(32);
    body.extend(&noise[flow as usize % 1000 + 32..][..32]);
    body.extend([0, 8, 0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2f, 1, 0]);
    let padding = total.saturating_sub(5 + 4 + body.len() + 2 + extensions.len() + 4);
    extensions.extend(extension(21, &vec![0; padding]));
    body.extend(be16(extensions.len()));
    body.extend(extensions);
    handshake(1, &body)
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0][..], &be16(body.len()), body].concat();
    [&[0x16, 3, 3][..], &be16(message.len()), &message].concat()
}

/// With what follows at once: a change of cipher, and the rest encrypted.
fn server_hello(noise: &[u8], flow: u32, total: usize) -> Vec<u8> {
    let key = [&[0, 29, 0, 32][..], &noise[64..96]].concat();
    let extensions = [extension(43, &[3, 4]), extension(51, &key)].concat();
    let mut body = [3, 3].to_vec();
    body.extend(&noise[flow as usize % 1000 + 64..][..32]);
    body.push(32);
    body.extend(&noise[flow as usize % 1000 + 32..][..32]);
    body.extend([0x13, 1, 0]);
    body.extend(be16(extensions.len()));
    body.extend(extensions);
    let mut flight = handshake(2, &body);
    flight.extend([0x14, 3, 3, 0, 1, 1]);
    let rest = total.saturating_sub(flight.len() + 5);
    flight.extend([0x17, 3, 3]);
    flight.extend(be16(rest));
    flight
}

fn request(flow: u32) -> Vec<u8> {
    let start = format!(
        "GET /articles/{} HTTP/1.1\r\nHost: www{}.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n",
        flow % 977,
        flow % 300
    );
    // All requests are of one length.
    let fill = 180usize.saturating_sub(start.len() + "X-Fill: \r\n\r\n".len());
    format!("{start}X-Fill: {}\r\n\r\n", "x".repeat(fill)).into_bytes()
}

fn response(total: usize) -> Vec<u8> {
    let head = |len: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {len:07}\r\n\r\n"
        )
    };
    head(total.saturating_sub(head(0).len())).into_bytes()
}

fn query(flow: u32) -> Vec<u8> {
    let mut message = be16(flow as usize).to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let name = format!("host{}", flow % 500);
    message.push(name.len() as u8);
    message.extend(name.as_bytes());
    message.extend(b"\x07example\x03org\x00\x00\x01\x00\x01");
    message
}

fn answer(flow: u32) -> Vec<u8> {
    let mut message = query(flow);
    (message[2], message[3], message[7]) = (0x81, 0x80, 2);
    for last in [1, 2] {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    }
    message
}
