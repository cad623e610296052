//! The reader's end of the channel to the writer thread. Buffers of whole records go there over a bounded channel
//! and come back for reuse. Only the end of the output waits.

use std::{
    pin::Pin,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

use capture_task::{plan::Format, task::FileRecord};
use tokio::sync::oneshot;

use super::{
    channel::{BUFFER_LEN, BUFFERS, Chunk, WriterState},
    counters::count,
    error::{Error, Result},
    file::OutFile,
    writer::Writer,
};

/// Partial buffers are handed over only while fewer than this are in flight. More would not help a writer that is
/// behind, and would use up the pool with nearly empty buffers.
const FLUSH_BELOW: usize = 2;

/// The reader's end.
pub(super) struct Queue {
    state: Arc<WriterState>,
    current: Option<Chunk>,
    spare: Vec<Vec<u8>>,
    allocated: usize,
    in_flight: usize,
    returned: Receiver<Vec<u8>>,
    sender: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<Vec<FileRecord>>>,
    /// Closed when the thread has ended, however it did.
    ended: Option<oneshot::Receiver<()>>,
}

impl Queue {
    /// Starts the writer with the open first file.
    pub(super) fn start(format: Format, state: Arc<WriterState>, first: OutFile) -> Result<Self> {
        // One more than there are buffers, for the extra one at the end.
        let (sender, chunks) = sync_channel(BUFFERS + 1);
        let (give_back, returned) = sync_channel(BUFFERS + 1);
        let writer = Writer::new(format, Arc::clone(&state), first);
        let (alive, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("capture-writer".to_owned())
            .spawn(move || {
                let _alive = alive;
                writer.run(&chunks, &give_back)
            })
            .map_err(|error| Error::Thread {
                cause: Arc::new(error),
            })?;
        Ok(Self {
            state,
            current: None,
            spare: Vec::new(),
            allocated: 0,
            in_flight: 0,
            returned,
            sender: Some(sender),
            thread: Some(thread),
            ended: Some(ended),
        })
    }

    /// The chunk to append `len` bytes to; `None` if no buffer is free, or no memory.
    pub(super) fn reserve(&mut self, len: usize) -> Option<&mut Chunk> {
        if self.current.as_ref().is_some_and(|chunk| {
            // A record larger than a buffer has one to itself, which grows.
            !chunk.data.is_empty() && chunk.data.len() + len > BUFFER_LEN
        }) {
            self.hand_over();
        }
        let chunk = self.chunk()?;
        chunk.data.try_reserve(len).ok()?;
        Some(chunk)
    }

    /// The chunk to append to, however long it becomes.
    pub(super) fn chunk(&mut self) -> Option<&mut Chunk> {
        if self.current.is_none() {
            let data = self.take_buffer()?;
            self.current = Some(Chunk {
                data,
                ..Chunk::default()
            });
        }
        self.current.as_mut()
    }

    /// As [`Queue::chunk`], with a buffer beyond the pool if none is free.
    pub(super) fn chunk_or_extra(&mut self) -> &mut Chunk {
        if self.current.is_none() {
            let data = self.take_buffer().unwrap_or_default();
            self.current = Some(Chunk {
                data,
                ..Chunk::default()
            });
        }
        self.current.get_or_insert_default()
    }

    fn take_buffer(&mut self) -> Option<Vec<u8>> {
        self.collect_returned();
        self.spare.pop().or_else(|| {
            if self.allocated == BUFFERS {
                return None;
            }
            // Without memory the packet is lost, and the capture goes on with the buffers that come back.
            let mut buffer = Vec::new();
            buffer.try_reserve_exact(BUFFER_LEN).ok()?;
            self.allocated += 1;
            Some(buffer)
        })
    }

    fn collect_returned(&mut self) {
        while let Ok(buffer) = self.returned.try_recv() {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.spare.push(buffer);
        }
    }

    /// Gives the current chunk to the writer.
    pub(super) fn hand_over(&mut self) {
        let Some(chunk) = self.current.take() else {
            return;
        };
        if chunk.data.is_empty() && !chunk.close {
            self.spare.push(chunk.data);
            return;
        }
        let refused = match &self.sender {
            Some(sender) => sender.try_send(chunk).err(),
            None => Some(TrySendError::Disconnected(chunk)),
        };
        match refused {
            None => self.in_flight += 1,
            // The channel has room for every buffer, so the writer has panicked.
            Some(TrySendError::Full(chunk) | TrySendError::Disconnected(chunk)) => {
                count(&self.state.counters.dropped_write, chunk.packets);
                self.state.fail(Error::WriterPanicked);
            }
        }
    }

    /// Gives the current chunk to the writer, unless the writer is behind.
    pub(super) fn flush(&mut self) {
        if self
            .current
            .as_ref()
            .is_none_or(|chunk| chunk.data.is_empty())
        {
            return;
        }
        self.collect_returned();
        if self.in_flight < FLUSH_BELOW {
            self.hand_over();
        }
    }

    /// Closes the channel.
    pub(super) fn close(&mut self) {
        self.hand_over();
        self.state.close();
        drop(self.sender.take());
    }

    /// Ready once the writer has ended, after [`Queue::close`].
    pub(super) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(ended) = &mut self.ended {
            std::task::ready!(Pin::new(ended).poll(context)).ok();
            self.ended = None;
        }
        Poll::Ready(())
    }

    /// Waits for the writer to end, and returns the files.
    pub(super) fn finish(mut self) -> Vec<FileRecord> {
        self.join()
    }

    fn join(&mut self) -> Vec<FileRecord> {
        self.close();
        let Some(thread) = self.thread.take() else {
            return Vec::new();
        };
        thread.join().unwrap_or_else(|_| {
            self.state.fail(Error::WriterPanicked);
            Vec::new()
        })
    }
}

impl Drop for Queue {
    /// An output that is dropped unfinished leaves a `.part`, or nothing if it had no packets.
    fn drop(&mut self) {
        self.join();
    }
}
