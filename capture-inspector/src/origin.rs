//! Where packets come from: a file and its interfaces. Interfaces of different files are different ones, unless one
//! file goes on where the other has ended, as in a rotation.

use std::sync::Arc;

use capture_file::read::{Interface, Section};

/// Interfaces of files that have ended and that a later file may go on with.
const MOST_ENDED: usize = 256;

/// Interfaces of one file that are recognised in the next.
const MOST_RECOGNISED: usize = 64;

/// A file under way.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// Its index, where there are several.
    pub(crate) file: Option<u16>,
    /// Time of its latest packet.
    pub(crate) last_ns: u64,
    /// Whether its statistics tell what was lost.
    pub(crate) tells_losses: bool,
    section: Arc<Section>,
    /// Numbers of its interfaces among those of all files.
    numbers: Vec<u32>,
    recognised: Vec<(Identity, u32)>,
}

/// What an interface is recognised by in the next file of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    section: Arc<Section>,
    interface: Interface,
}

/// The interfaces of all files.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    next: u32,
    ended: Vec<(Identity, u32)>,
}

impl Origin {
    pub(crate) fn of_file(file: u16) -> Self {
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    pub(crate) fn section(&mut self, section: Section) {
        self.section = Arc::new(section);
    }

    /// The number among those of all files of an interface of this one.
    #[inline]
    pub(crate) fn number_of(&self, interface: u32) -> u32 {
        let known = self.numbers.get(interface as usize);
        known.copied().unwrap_or(u32::MAX)
    }
}

impl Interfaces {
    /// Gives an interface of a file its number; true where it is a new one.
    pub(crate) fn add(&mut self, origin: &mut Origin, interface: &Interface) -> (u32, bool) {
        let identity = Identity {
            section: Arc::clone(&origin.section),
            interface: Interface {
                id: 0,
                ..interface.clone()
            },
        };
        let before = self.ended.iter().position(|(ended, _)| *ended == identity);
        let number = match before {
            Some(index) => self.ended.remove(index).1,
            None => {
                self.next += 1;
                self.next - 1
            }
        };
        origin.numbers.push(number);
        if origin.recognised.len() < MOST_RECOGNISED {
            origin.recognised.push((identity, number));
        }
        (number, before.is_none())
    }

    /// No more packets of a file come.
    pub(crate) fn end(&mut self, origin: Origin) {
        self.ended.extend(origin.recognised);
        let too_many = self.ended.len().saturating_sub(MOST_ENDED);
        self.ended.drain(..too_many);
    }
}
