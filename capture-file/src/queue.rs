//! The way from the reader's thread to the writer's: buffers of whole records go over a bounded channel
//! and come back for reuse. Nothing here ever waits but the end of the output.

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

/// Partial buffers are handed over only while so few are on their way: a writer that is behind is not
/// helped by many small ones, and would run the queue out of buffers that are nearly empty.
const FLUSH_BELOW: usize = 2;

/// The reader's end.
pub(super) struct Queue {
    shared: Arc<WriterState>,
    current: Option<Chunk>,
    spare: Vec<Vec<u8>>,
    allocated: usize,
    on_their_way: usize,
    returned: Receiver<Vec<u8>>,
    sender: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<Vec<FileRecord>>>,
    /// Closed when the thread has ended, however it did.
    ended: Option<oneshot::Receiver<()>>,
}

impl Queue {
    /// Starts the writer on a file that is open.
    pub(super) fn start(format: Format, shared: Arc<WriterState>, first: OutFile) -> Result<Self> {
        // One more than there are buffers: the end of the output may add one of its own.
        let (sender, chunks) = sync_channel(BUFFERS + 1);
        let (give_back, returned) = sync_channel(BUFFERS + 1);
        let writer = Writer::new(format, Arc::clone(&shared), first);
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
            shared,
            current: None,
            spare: Vec::new(),
            allocated: 0,
            on_their_way: 0,
            returned,
            sender: Some(sender),
            thread: Some(thread),
            ended: Some(ended),
        })
    }

    /// The chunk to append `len` more bytes to; `None` where no buffer is free, or no memory.
    pub(super) fn room(&mut self, len: usize) -> Option<&mut Chunk> {
        if self.current.as_ref().is_some_and(|chunk| {
            // What is larger than a buffer has one of its own, which grows.
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
            let data = self.take()?;
            self.current = Some(Chunk {
                data,
                ..Chunk::default()
            });
        }
        self.current.as_mut()
    }

    /// As [`Queue::chunk`], with a buffer beyond the pool where none is free.
    pub(super) fn last_chunk(&mut self) -> &mut Chunk {
        if self.current.is_none() {
            let data = self.take().unwrap_or_default();
            self.current = Some(Chunk {
                data,
                ..Chunk::default()
            });
        }
        self.current.get_or_insert_default()
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        self.collect();
        self.spare.pop().or_else(|| {
            if self.allocated == BUFFERS {
                return None;
            }
            // Without memory the packet is lost and the capture goes on, perhaps with what comes back.
            let mut buffer = Vec::new();
            buffer.try_reserve_exact(BUFFER_LEN).ok()?;
            self.allocated += 1;
            Some(buffer)
        })
    }

    fn collect(&mut self) {
        while let Ok(buffer) = self.returned.try_recv() {
            self.on_their_way = self.on_their_way.saturating_sub(1);
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
            None => self.on_their_way += 1,
            // Only a writer that is gone refuses: the channel has room for every buffer.
            Some(TrySendError::Full(chunk) | TrySendError::Disconnected(chunk)) => {
                count(&self.shared.counters.dropped_write, chunk.packets);
                self.shared.fail(Error::WriterPanicked);
            }
        }
    }

    /// Gives the current chunk to the writer if the writer keeps up.
    pub(super) fn flush(&mut self) {
        if self
            .current
            .as_ref()
            .is_none_or(|chunk| chunk.data.is_empty())
        {
            return;
        }
        self.collect();
        if self.on_their_way < FLUSH_BELOW {
            self.hand_over();
        }
    }

    /// Says that nothing more will come.
    pub(super) fn close(&mut self) {
        self.hand_over();
        self.shared.close();
        drop(self.sender.take());
    }

    /// Whether the writer is done with everything, after [`Queue::close`].
    pub(super) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(ended) = &mut self.ended {
            std::task::ready!(Pin::new(ended).poll(context)).ok();
            self.ended = None;
        }
        Poll::Ready(())
    }

    /// Waits for the writer to be done with everything.
    pub(super) fn finish(mut self) -> Vec<FileRecord> {
        self.join()
    }

    fn join(&mut self) -> Vec<FileRecord> {
        self.close();
        let Some(thread) = self.thread.take() else {
            return Vec::new();
        };
        thread.join().unwrap_or_else(|_| {
            self.shared.fail(Error::WriterPanicked);
            Vec::new()
        })
    }
}

impl Drop for Queue {
    /// An output that is dropped unfinished leaves a `.part`, or nothing where it had no packets.
    fn drop(&mut self) {
        self.join();
    }
}
