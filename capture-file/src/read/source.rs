//! Where the bytes come from: the caller's source as it is, or through a decompressor that its first bytes ask
//! for. Comes before `buffer`.

use std::{
    fmt,
    io::{self, BufReader, Cursor, Read},
};

use flate2::bufread::MultiGzDecoder;

/// The largest window is what the command `zstd` reads without further options: 128 MiB, of which memory is
/// taken as a file fills it.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Compressed bytes read at once.
const INPUT_LEN: usize = 64 * 1024;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, of one or more members.
    Gzip,
    /// zstd, of one or more frames.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// By the first bytes of a file.
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // The last one is a frame to be skipped, with which pzstd begins.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The caller's source, after bytes of it that were read already.
pub(super) struct Input<R> {
    first: Cursor<Vec<u8>>,
    source: R,
    /// Whether the end of the source is only the end so far. A decompressor must not see it, as it would take
    /// it for damage; it can be asked again after `WouldBlock`.
    following: bool,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.first.read(out)?;
        if count > 0 || out.is_empty() {
            return Ok(count);
        }
        match self.source.read(out)? {
            0 if self.following => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

/// The bytes of a file without its compression, for who reads them as bytes; `None` where it has none, and must be read
/// from its start again.
///
/// # Errors
/// The first bytes cannot be read, or there is no memory for a decompressor.
pub fn decompressed<R: Read>(mut source: R) -> io::Result<Option<impl Read>> {
    let mut first = Vec::new();
    source.by_ref().take(4).read_to_end(&mut first)?;
    let magic = <[u8; 4]>::try_from(first.as_slice()).ok();
    match magic.and_then(Compression::of) {
        Some(compression) => Source::Plain(source)
            .decompressed(compression, first, false)
            .map(Some),
        None => Ok(None),
    }
}

/// Bytes of a capture.
pub(super) enum Source<R: Read> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<BufReader<Input<R>>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Input<R>>>>),
    /// Its decompressor could not be made.
    Gone,
}

impl<R: Read> Source<R> {
    /// The content of a compressed source, of which `first` has been read.
    pub(super) fn decompressed(
        self,
        compression: Compression,
        first: Vec<u8>,
        following: bool,
    ) -> io::Result<Self> {
        // Nothing is decompressed twice.
        let Self::Plain(source) = self else {
            return Ok(Self::Gone);
        };
        let input = Input {
            first: Cursor::new(first),
            source,
            following,
        };
        let input = BufReader::with_capacity(INPUT_LEN, input);
        Ok(match compression {
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        match self {
            Self::Plain(_) | Self::Gone => None,
            Self::Gzip(_) => Some(Compression::Gzip),
            Self::Zstd(_) => Some(Compression::Zstd),
        }
    }

    /// The end of the source is the end of the file from now on.
    pub(super) fn stop_following(&mut self) {
        match self {
            Self::Plain(_) | Self::Gone => {}
            Self::Gzip(decoder) => decoder.get_mut().get_mut().following = false,
            Self::Zstd(decoder) => decoder.get_mut().get_mut().following = false,
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(out),
            Self::Gzip(decoder) => decoder.read(out),
            Self::Zstd(decoder) => decoder.read(out),
            Self::Gone => Ok(0),
        }
    }
}
