//! TLS and QUIC for tests: messages field by field, certificates that nobody signed, and Initial packets with real keys.

use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic},
    hkdf::{self, HKDF_SHA256, Salt},
};

/// A record, of TLS 1.2 as all say since 1.3.
pub fn record(content: u8, payload: &[u8]) -> Vec<u8> {
    [
        &[content, 3, 3],
        &(payload.len() as u16).to_be_bytes()[..],
        payload,
    ]
    .concat()
}

/// A handshake message.
pub fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A field with its length in two bytes before it.
fn long(field: &[u8]) -> Vec<u8> {
    [&(field.len() as u16).to_be_bytes()[..], field].concat()
}

fn short(field: &[u8]) -> Vec<u8> {
    [&[field.len() as u8], field].concat()
}

fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

/// An extension.
pub fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), long(content)].concat()
}

/// What a ClientHello says.
#[derive(Clone, Debug)]
pub struct Client {
    /// The version in front.
    pub version: u16,
    /// Cipher suites.
    pub ciphers: Vec<u16>,
    /// Whole extensions.
    pub extensions: Vec<Vec<u8>>,
}

impl Client {
    /// One that offers TLS 1.2, to a server of this name.
    pub fn new(name: Option<&str>) -> Self {
        let name = name.map(|name| {
            let entry = [&[0], &long(name.as_bytes())[..]].concat();
            extension(0, &long(&entry))
        });
        Self {
            version: 0x0303,
            ciphers: vec![0x1301, 0xc02f, 0x000a, 0x0005],
            extensions: name.into_iter().collect(),
        }
    }

    /// With these versions too.
    pub fn versions(mut self, versions: &[u16]) -> Self {
        let list = short(&numbers(versions));
        self.extensions.push(extension(43, &list));
        self
    }

    /// With these protocols of the application.
    pub fn alpn(mut self, names: &[&[u8]]) -> Self {
        let list: Vec<u8> = names.iter().flat_map(|name| short(name)).collect();
        self.extensions.push(extension(16, &long(&list)));
        self
    }

    /// With these signatures.
    pub fn signatures(mut self, algorithms: &[u16]) -> Self {
        let list = long(&numbers(algorithms));
        self.extensions.push(extension(13, &list));
        self
    }

    /// The message.
    pub fn message(&self) -> Vec<u8> {
        let body = [
            &self.version.to_be_bytes()[..],
            &[7; 32],
            &short(&[9; 32]),
            &long(&numbers(&self.ciphers)),
            &short(&[0]),
            &long(&self.extensions.concat()),
        ];
        handshake(1, &body.concat())
    }

    /// In a record.
    pub fn record(&self) -> Vec<u8> {
        record(22, &self.message())
    }
}

/// A ServerHello that takes this version and this cipher suite.
pub fn server_hello(version: u16, cipher: u16) -> Vec<u8> {
    let extensions = match version {
        0x0304 => extension(43, &version.to_be_bytes()),
        _ => extension(0xff01, &[0]),
    };
    let body = [
        &version.min(0x0303).to_be_bytes()[..],
        &[8; 32],
        &short(&[9; 32]),
        &cipher.to_be_bytes(),
        &[0],
        &long(&extensions),
    ];
    handshake(2, &body.concat())
}

/// A Certificate message with these certificates.
pub fn certificates(chain: &[Vec<u8>]) -> Vec<u8> {
    let long = |field: &[u8]| [&(field.len() as u32).to_be_bytes()[1..], field].concat();
    let list: Vec<u8> = chain.iter().flat_map(|der| long(der)).collect();
    handshake(11, &long(&list))
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// Common name of who signed it.
    pub issuer: &'a str,
    /// Common name of whom it is for.
    pub subject: &'a str,
    /// From and until when, as `260101000000Z`.
    pub validity: [&'a str; 2],
    /// Names of hosts.
    pub names: Vec<&'a str>,
}

impl Certificate<'_> {
    /// In the format of the wire. Key and signature are made up.
    pub fn der(&self) -> Vec<u8> {
        let algorithm = tagged(0x30, &[0x06, 0x03, 0x2b, 0x65, 0x70]);
        let name = |name: &str| {
            let attribute = [&[0x06, 3, 0x55, 4, 3], &tagged(0x0c, name.as_bytes())[..]].concat();
            tagged(0x30, &tagged(0x31, &tagged(0x30, &attribute)))
        };
        let validity = self
            .validity
            .map(|time| tagged(0x17, time.as_bytes()))
            .concat();
        let bits = [&[0], &[5; 32][..]].concat();
        let key = [algorithm.clone(), tagged(0x03, &bits)].concat();
        let mut tbs = vec![
            tagged(0xa0, &[2, 1, 2]),
            vec![2, 1, 42],
            algorithm.clone(),
            name(self.issuer),
            tagged(0x30, &validity),
            name(self.subject),
            tagged(0x30, &key),
        ];
        if !self.names.is_empty() {
            let names = self.names.iter().map(|name| tagged(0x82, name.as_bytes()));
            let names = tagged(0x30, &names.collect::<Vec<_>>().concat());
            let extension = [&[0x06, 3, 0x55, 0x1d, 0x11], &tagged(0x04, &names)[..]].concat();
            tbs.push(tagged(0xa3, &tagged(0x30, &tagged(0x30, &extension))));
        }
        let signature = tagged(0x03, &[&[0], &[6; 64][..]].concat());
        let parts = [tagged(0x30, &tbs.concat()), algorithm, signature];
        tagged(0x30, &parts.concat())
    }
}

/// A value of DER.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = match content.len() {
        len @ 0..128 => vec![len as u8],
        len @ 128..256 => vec![0x81, len as u8],
        len => [&[0x82], &(len as u16).to_be_bytes()[..]].concat(),
    };
    [&[tag], &len[..], content].concat()
}

/// Version 1 of QUIC.
pub const QUIC_1: u32 = 1;

/// Version 2 of QUIC.
pub const QUIC_2: u32 = 0x6b33_43cf;

/// A CRYPTO frame of QUIC.
pub fn crypto(offset: u32, data: &[u8]) -> Vec<u8> {
    let number = |number: u32| (number | 0x8000_0000).to_be_bytes();
    [&[6], &number(offset)[..], &number(data.len() as u32), data].concat()
}

/// An Initial packet of QUIC with these frames and some padding. `id` is the identifier in the first packet of the client.
pub fn initial(version: u32, id: &[u8], is_client: bool, number: u8, frames: &[u8]) -> Vec<u8> {
    let (salt, labels, first): (&[u8], _, u8) = match version {
        QUIC_1 => (
            b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a",
            ["quic key", "quic iv", "quic hp"],
            0xc0,
        ),
        _ => (
            b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
            ["quicv2 key", "quicv2 iv", "quicv2 hp"],
            0xd0,
        ),
    };
    let initial = Salt::new(HKDF_SHA256, salt).extract(id);
    let label = if is_client { "client in" } else { "server in" };
    let secret = hkdf::Prk::new_less_safe(HKDF_SHA256, &expand(&initial, label, 32));
    let [key, iv, header_key] = [(labels[0], 16), (labels[1], 12), (labels[2], 16)]
        .map(|(label, len)| expand(&secret, label, len));
    let mut content = frames.to_vec();
    content.resize(content.len().max(1170), 0);
    let (destination, source) = if is_client {
        (id, &b""[..])
    } else {
        (&b""[..], id)
    };
    let len = (content.len() + 17) as u16 | 0x4000;
    let mut header = vec![first];
    header.extend(version.to_be_bytes());
    header.extend(short(destination));
    header.extend(short(source));
    header.push(0);
    header.extend(len.to_be_bytes());
    header.push(number);
    let mut nonce: [u8; 12] = iv.try_into().expect("twelve bytes");
    nonce[11] ^= number;
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("a key"))
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&header),
            &mut content,
        )
        .expect("it is encrypted");
    let header_key = quic::HeaderProtectionKey::new(&quic::AES_128, &header_key).expect("a key");
    let mask = header_key.new_mask(&content[3..19]).expect("a sample");
    header[0] ^= mask[0] & 0x0f;
    *header.last_mut().expect("a number") ^= mask[1];
    [header, content].concat()
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(secret: &hkdf::Prk, label: &str, len: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let info = [
        &(len as u16).to_be_bytes()[..],
        &[label.len() as u8],
        label.as_bytes(),
        &[0],
    ];
    let mut bytes = vec![0; len];
    let expanded = secret.expand(&info, Len(len)).expect("not too long");
    expanded.fill(&mut bytes).expect("as long as asked for");
    bytes
}
