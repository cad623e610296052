//! Real processes: the program of these tests is its own inspector.

mod confinement;
mod ends;
mod misdeed;
mod reading;
mod redacting;
mod viewing;

use std::time::Duration;

pub(super) use self::misdeed::Misdeed;
use super::{Error, Inspector, Limits, child};
use crate::spawn::Process;

/// Runs before the `main` of the test harness, which does not know the argument of an inspector.
#[used]
// SAFETY: glibc calls what is in this section with the signature of `main`, in which nothing is used, and returns to
// it what it does not heed.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn serve() {
        if let Some(is_well) = child::serve_if_asked() {
            std::process::exit(i32::from(!is_well));
        }
    }
    serve
};

fn limits() -> Limits {
    Limits {
        answer: Duration::from_secs(60),
        ..Limits::default()
    }
}

fn start() -> Inspector {
    Inspector::start(&limits()).expect("an inspector")
}

/// One whose system calls are not filtered, so that the layers below show.
fn start_without_filter() -> Inspector {
    Inspector::start_with(Process::start, &limits(), ",1").expect("an inspector")
}

impl Inspector {
    /// What it says that came of a misdeed.
    fn commit(&mut self, misdeed: Misdeed) -> Result<String, Error> {
        match self.ask(&super::wire::Request::Misbehave(misdeed), None)? {
            super::wire::Answer::Unconfined(outcome) => Ok(outcome),
            other => panic!("{other:?}"),
        }
    }
}
