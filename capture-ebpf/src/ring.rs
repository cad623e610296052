//! A record into the ring of its CPU, where it is put together in place: the frame is copied once. Only the
//! CPU's own programs write there, one at a time (see Exclusion in [`crate::path`]), so that nothing is locked.
//! That is what the kernel's ring buffer cannot do: it takes a record of a length unknown to the verifier only
//! whole, from elsewhere.

use core::ptr;

use aya_ebpf::{Global, bindings::BPF_RB_FORCE_WAKEUP, helpers::bpf_get_smp_processor_id};
use capture_common::{
    CHUNK_LEN, MAX_CAPTURE_LEN, NEXT_CHUNK, RECORD_ALIGN, RECORD_HEADER_LEN, RecordHeader, RingEnds,
};

use crate::{
    maps::{CHUNK_MAP, RING_CHUNKS, RING_ENDS, WAKEUP},
    packet::{Linear, Packet, barrier_var},
};

/// Bytes of each ring, a power of two of chunks. Set by the agent before the programs are loaded.
#[unsafe(no_mangle)]
static RING_BYTES: Global<u64> = Global::new(CHUNK_LEN as u64);

/// Bytes put into a ring before the reader is woken up; below that its timer finds them. Set likewise.
#[unsafe(no_mangle)]
static WAKEUP_BYTES: Global<u64> = Global::new(1 << 20);

/// Free chunks that are held for warm: what the reader is now and then further behind.
const MOST_WARM: u64 = 4;

/// What became of a record.
pub(crate) enum Outcome {
    /// It is in the ring.
    Done,
    /// There was no room.
    Full,
    /// The frame could not be read; the kernel's error.
    Unread(i64),
}

/// Kept bytes of a frame for which a record has its room checked together. The verifier knows of a record no
/// more than its class, and refuses one that might reach over the end of the chunk: so much of it may stay unused.
const CLASSES: [usize; 5] = [128, 2048, 16 << 10, 66_000, MAX_CAPTURE_LEN];

/// Bytes that the verifier must see behind the start of a record of this class. The least one is read in two
/// spans, whose sum it takes for larger than it is.
const fn room(class: usize) -> usize {
    let spans = if class == 0 { 64 } else { 0 };
    RECORD_HEADER_LEN + CLASSES[class] + spans
}

/// Puts a record for the packet into the CPU's ring. The header says how much of the frame, 1 to
/// [`MAX_CAPTURE_LEN`] bytes.
#[inline(always)]
pub(crate) fn write<P: Packet>(packet: &P, header: &RecordHeader) -> Outcome {
    // SAFETY: reads the CPU's number.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(ends) = RING_ENDS.get_ptr_mut(cpu) else {
        return Outcome::Full;
    };
    put_into(packet, header, cpu, &Ends(ends))
}

#[inline(always)]
fn put_into<P: Packet>(packet: &P, header: &RecordHeader, cpu: u32, ends: &Ends) -> Outcome {
    let kept = header.captured_len as usize;
    let len = (RECORD_HEADER_LEN + kept).next_multiple_of(RECORD_ALIGN) as u64;
    let producer_pos = ends.producer_pos();
    let offset = producer_pos % CHUNK_LEN as u64;
    let ends_chunk = offset > last_start(kept);
    let start = if ends_chunk {
        producer_pos - offset + CHUNK_LEN as u64
    } else {
        producer_pos
    };
    if !ends.have_room(start + len) {
        return Outcome::Full;
    }
    if ends_chunk && !end_chunk(cpu, producer_pos) {
        return Outcome::Full;
    }
    if start % CHUNK_LEN as u64 == 0 {
        ends.begin_chunk(cpu, start);
    }
    let Some(chunk) = chunk(cpu, start) else {
        return Outcome::Full;
    };
    let Some(place) = place::<{ room(0) }>(chunk, start) else {
        return Outcome::Full;
    };
    // SAFETY: the room of a record has room for its header, at a multiple of eight.
    unsafe { place.cast::<RecordHeader>().write(*header) };
    if let Err(error) = frame(packet, chunk, start, kept) {
        return Outcome::Unread(error);
    }
    ends.set_producer_pos(start + len);
    ends.announce(cpu, len);
    Outcome::Done
}

/// The last offset in a chunk at which a record with so many bytes of a frame may begin.
#[inline(always)]
fn last_start(kept: usize) -> u64 {
    let room = if kept <= CLASSES[0] {
        const { room(0) }
    } else if kept <= CLASSES[1] {
        const { room(1) }
    } else if kept <= CLASSES[2] {
        const { room(2) }
    } else if kept <= CLASSES[3] {
        const { room(3) }
    } else {
        const { room(4) }
    };
    (CHUNK_LEN - room) as u64
}

/// Says at `at` that the next record is in the next chunk.
#[inline(always)]
fn end_chunk(cpu: u32, at: u64) -> bool {
    let Some(chunk) = chunk(cpu, at) else {
        return false;
    };
    let Some(place) = place::<RECORD_ALIGN>(chunk, at) else {
        return false;
    };
    // SAFETY: a multiple of eight within the chunk.
    unsafe { place.cast::<u64>().write(NEXT_CHUNK) };
    true
}

/// The chunk of a position in the CPU's ring.
#[inline(always)]
fn chunk(cpu: u32, position: u64) -> Option<*mut u8> {
    let chunk = at_place(cpu, position / CHUNK_LEN as u64)?;
    // SAFETY: a value of the map, which the reader only reads.
    let chunk = unsafe { ptr::read_volatile(chunk) };
    RING_CHUNKS.get_ptr_mut(chunk as u32).map(<*mut _>::cast)
}

/// Which chunk is the `nth` of the CPU's ring, counted as positions are.
#[inline(always)]
fn at_place(cpu: u32, nth: u64) -> Option<*mut u64> {
    // A power of two: the program does not divide.
    let chunks = RING_BYTES.load() / CHUNK_LEN as u64;
    CHUNK_MAP.get_ptr_mut((u64::from(cpu) * chunks + (nth & (chunks - 1))) as u32)
}

/// The place of a position in its chunk, where `ROOM` bytes follow in the chunk.
#[inline(always)]
fn place<const ROOM: usize>(chunk: *mut u8, position: u64) -> Option<*mut u8> {
    // A register of its own, else LLVM would prove what the verifier has to see.
    let offset = barrier_var((position as usize % CHUNK_LEN) & !(RECORD_ALIGN - 1));
    if offset > CHUNK_LEN - ROOM {
        return None;
    }
    Some(chunk.wrapping_add(offset))
}

/// Copies the first `kept` bytes of the packet behind the header of the record at `start`.
#[inline(always)]
fn frame<P: Packet>(packet: &P, chunk: *mut u8, start: u64, kept: usize) -> Result<(), i64> {
    let kept = barrier_var(kept);
    if kept <= CLASSES[0] {
        return short(packet, chunk, start, kept);
    }
    if kept <= CLASSES[1] {
        return long::<{ room(1) }, P>(packet, chunk, start, kept);
    }
    if kept <= CLASSES[2] {
        return long::<{ room(2) }, P>(packet, chunk, start, kept);
    }
    if kept <= CLASSES[3] {
        return long::<{ room(3) }, P>(packet, chunk, start, kept);
    }
    long::<{ room(4) }, P>(packet, chunk, start, kept)
}

/// By the helper, which takes any part of a packet.
#[inline(always)]
fn long<const ROOM: usize, P: Packet>(
    packet: &P,
    chunk: *mut u8,
    start: u64,
    kept: usize,
) -> Result<(), i64> {
    let Some(place) = place::<ROOM>(chunk, start) else {
        return Err(-1);
    };
    // SAFETY: `kept` bytes and a header are no more than the room.
    unsafe { packet.load_bytes(0, place.wrapping_add(RECORD_HEADER_LEN), kept as u32) }
}

/// What is short and in the linear part is copied here, in words: without the helper and its `memcpy` a match
/// of 128 bytes costs 25 ns less.
#[inline(always)]
fn short<P: Packet>(packet: &P, chunk: *mut u8, start: u64, kept: usize) -> Result<(), i64> {
    let Some(place) = place::<{ room(0) }>(chunk, start) else {
        return Err(-1);
    };
    let target = place.wrapping_add(RECORD_HEADER_LEN);
    let linear = Linear::of(packet);
    // SAFETY: all within the room. The two spans may overlap; the masks are for the verifier.
    let copied = unsafe {
        match kept {
            64..=128 => {
                let rest = barrier_var(kept - 64) & 0x7f;
                linear.copy::<64>(0, target) && linear.copy::<64>(rest, target)
            }
            32..64 => {
                let rest = barrier_var(kept - 32) & 0x3f;
                linear.copy::<32>(0, target) && linear.copy::<32>(rest, target)
            }
            _ => false,
        }
    };
    if copied {
        return Ok(());
    }
    // SAFETY: `kept` bytes and a header are no more than the room.
    unsafe { packet.load_bytes(0, target, kept as u32) }
}

/// The ends of the CPU's ring. The reader has them in its memory too, so that no reference to them is made: each
/// access is one load or store of a word, in this order.
struct Ends(*mut RingEnds);

/// Reads a word of the ends.
macro_rules! get {
    ($ends:expr, $field:ident) => {
        // SAFETY: a value of the map. The field is written by whole words.
        unsafe { ptr::read_volatile(&raw const (*$ends.0).$field) }
    };
}

/// Writes a word of the ends that only the programs of this CPU write, one at a time (see Exclusion in `path`).
macro_rules! set {
    ($ends:expr, $field:ident, $value:expr) => {
        // SAFETY: a value of the map, and the reader takes the field by whole words.
        unsafe { ptr::write_volatile(&raw mut (*$ends.0).$field, $value) }
    };
}

impl Ends {
    /// Where the next record goes.
    #[inline(always)]
    fn producer_pos(&self) -> u64 {
        get!(self, producer_pos)
    }

    /// Shows the reader all before `producer_pos`, which x86 keeps in order. Where a machine does not, the reader
    /// waits for the programs before it reads on.
    #[inline(always)]
    fn set_producer_pos(&self, producer_pos: u64) {
        set!(self, producer_pos, producer_pos);
    }

    /// Whether there is room up to `end`, in chunks that nobody reads. The reader's end is looked at only when
    /// what was known of it is used up: its cache line belongs to the reader's CPU.
    #[inline(always)]
    fn have_room(&self, end: u64) -> bool {
        if end <= get!(self, room_until) {
            return true;
        }
        let room_until = self.reader_chunk() * CHUNK_LEN as u64 + RING_BYTES.load();
        set!(self, room_until, room_until);
        end <= room_until
    }

    /// The chunk that the reader is in, counted as positions are. Those before it are free.
    #[inline(always)]
    fn reader_chunk(&self) -> u64 {
        get!(self, consumer_pos) / CHUNK_LEN as u64
    }

    /// Decides which chunk is the one at `start`, where there is room: one that the reader gave back a moment ago,
    /// whose memory is likely to be in a cache still. So a reader that keeps up keeps the ring small.
    #[inline(always)]
    fn begin_chunk(&self, cpu: u32, start: u64) {
        let next = start / CHUNK_LEN as u64;
        let reader = self.reader_chunk();
        // The free chunks are those from `next` up to the reader's in the next lap, the warm ones at the end.
        let end = reader + RING_BYTES.load() / CHUNK_LEN as u64;
        let warm = get!(self, warm) + (reader - get!(self, reader_chunk));
        let warm = warm.min(MOST_WARM).min(end.wrapping_sub(next));
        set!(self, reader_chunk, reader);
        if warm == 0 {
            return;
        }
        set!(self, warm, warm - 1);
        // The first warm one, so that those that stay are still in one run.
        if let (Some(next), Some(taken)) = (at_place(cpu, next), at_place(cpu, end - warm)) {
            // SAFETY: values of the map. The reader reads them once `producer_pos` is behind them.
            unsafe {
                let chunk = ptr::read_volatile(next);
                ptr::write_volatile(next, ptr::read_volatile(taken));
                ptr::write_volatile(taken, chunk);
            }
        }
    }

    /// Wakes up the reader where much has come since the last time.
    #[inline(always)]
    fn announce(&self, cpu: u32, len: u64) {
        let unannounced = get!(self, unannounced) + len;
        if unannounced <= WAKEUP_BYTES.load() {
            set!(self, unannounced, unannounced);
            return;
        }
        set!(self, unannounced, 0);
        if let Some(bell) = WAKEUP.get(cpu) {
            // A bell that is full has rung, and nobody has come yet.
            let _ = bell.output(0, BPF_RB_FORCE_WAKEUP.into());
        }
    }
}
