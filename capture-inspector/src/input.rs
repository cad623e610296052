//! What is to be read: a file, which can be read again from its start, or a pipe, which cannot.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek as _},
    sync::Arc,
};

use capture_file::read::Reader;

/// A capture file, or a pipe that one comes through.
pub struct Input {
    name: String,
    source: Source,
}

enum Source {
    /// Its descriptor stays open, but no buffer.
    File(Arc<File>),
    /// Until it was taken.
    Stream(Option<Box<dyn Read>>),
}

/// A reader of either.
pub(crate) type AnyReader = Reader<Box<dyn Read>>;

impl Input {
    /// A file that was opened; what is not a regular one is a stream.
    pub fn file(name: impl Into<String>, file: File) -> Self {
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let source = match is_regular {
            true => Source::File(Arc::new(file)),
            false => Source::Stream(Some(Box::new(file))),
        };
        let name = name.into();
        Self { name, source }
    }

    /// A regular file, as whoever has opened it knows: a process may not be able to ask.
    pub(crate) fn regular(name: String, file: File) -> Self {
        let source = Source::File(Arc::new(file));
        Self { name, source }
    }

    /// What can be read once.
    pub fn stream(name: impl Into<String>, stream: impl Read + 'static) -> Self {
        Self {
            name: name.into(),
            source: Source::Stream(Some(Box::new(stream))),
        }
    }

    /// As it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, from its start; `None` is a pipe.
    pub(crate) fn as_file(&self) -> io::Result<Option<Arc<File>>> {
        let Source::File(file) = &self.source else {
            return Ok(None);
        };
        let mut file = Arc::clone(file);
        file.rewind()?;
        Ok(Some(file))
    }

    /// Puts a file with the content of a pipe in its place.
    pub(crate) fn replace(&mut self, file: File) {
        self.source = Source::File(Arc::new(file));
    }

    /// What comes through a pipe, once.
    pub(crate) fn take_stream(&mut self) -> Option<Box<dyn Read>> {
        match &mut self.source {
            Source::File(_) => None,
            Source::Stream(stream) => stream.take(),
        }
    }

    /// Whether it can be read more than once, one reader after the other.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// A reader from the start.
    pub(crate) fn reader(&mut self) -> io::Result<AnyReader> {
        let source: Box<dyn Read> = match &mut self.source {
            Source::File(file) => {
                file.rewind()?;
                Box::new(Arc::clone(file))
            }
            Source::Stream(stream) => stream
                .take()
                .ok_or_else(|| io::Error::other("a pipe cannot be read twice"))?,
        };
        Ok(Reader::new(source))
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("is_file", &self.is_file())
            .finish()
    }
}
