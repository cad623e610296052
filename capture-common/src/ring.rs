//! The rings: memory that one CPU's programs fill with records and the agent reads in place. A ring is a run
//! of chunks, values of an array map; both its ends are counted in bytes since the programs were loaded. Which
//! chunk a position lies in is for the programs to say: one value of another map for each, the ring's order.

/// Bytes of a chunk, a power of two: the longest record fits. No record lies in two chunks, as programs
/// cannot write over the end of a map's value.
pub const CHUNK_LEN: usize = 512 << 10;

/// Stands where the next record's time stamp would, and says that the next record begins the next chunk. It
/// is also said by the end of a chunk that has no room for a header.
pub const NEXT_CHUNK: u64 = u64::MAX;

/// Records begin at multiples of so many bytes.
pub const RECORD_ALIGN: usize = 8;

/// The two ends of a ring, and what its CPU's programs remember between records. What the reader writes has
/// cache lines of its own, at which the programs look for each chunk and where their room is used up.
#[repr(C, align(128))]
#[derive(Clone, Copy, Debug)]
pub struct RingEnds {
    /// Where the next record goes; all before it is whole. Written by programs.
    pub producer_pos: u64,
    /// Until where there is room, as far as the programs know. Theirs alone.
    pub room_until: u64,
    /// Bytes since the reader was last woken up. The programs' alone.
    pub unannounced: u64,
    /// The chunk that the reader was in when a chunk was last begun, counted as positions are. The programs' alone.
    pub reader_chunk: u64,
    /// How many of the free chunks, those given back last, were in use a moment ago. The programs' alone.
    pub warm: u64,
    /// Zero.
    pub reserved: [u64; 11],
    /// All before it has been read; chunks that end before it may be written over. Written by the reader.
    pub consumer_pos: u64,
    /// Zero.
    pub reserved_for_reader: [u64; 15],
}

const _: () = {
    use core::mem::offset_of;
    assert!(CHUNK_LEN.is_power_of_two());
    assert!(CHUNK_LEN >= crate::RECORD_HEADER_LEN + crate::MAX_CAPTURE_LEN);
    assert!(crate::RECORD_HEADER_LEN.is_multiple_of(RECORD_ALIGN));
    assert!(size_of::<RingEnds>() == 256);
    assert!(offset_of!(RingEnds, producer_pos) == 0);
    assert!(offset_of!(RingEnds, consumer_pos) == 128);
};
