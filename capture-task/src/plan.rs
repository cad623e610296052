//! The validated task. [`Plan::resolve`] turns a [`TaskSpec`](crate::task::TaskSpec) into a plan that cannot be
//! invalid, or into all of its faults at once; what comes after (tables, hooks, output) trusts it and knows
//! nothing of flags or JSON.

mod address;
mod collect;
mod commands;
pub mod expression_syntax;
mod fault;
mod field;
mod filled;
mod filter;
mod json;
mod keyword;
mod limits;
mod normalise;
mod origin;
mod ports;
mod resolve;
mod ring_size;
pub mod schema;
mod sentences;
mod summary;
mod text;
pub mod typed;
mod units;
mod validated;

pub use commands::{Door, create_command, curl_command, quoted};
pub use fault::{Counted, ExpectedType, Fault, FaultKind, JsonType, NameRule, PortForm};
pub use field::Field;
pub use filter::{Endpoint, Filter};
pub use json::{JsonTask, add_new};
pub use keyword::{
    AddressType, Directions, Format, Hook, Keyword, Oversize, Protocol, parse as parse_keyword,
};
pub use limits::{MAX_INTERFACES, MAX_RING, MOST_FAULTS};
pub use normalise::normalise;
pub use origin::RequestOrigin;
pub use ring_size::{RingSizeError, ring_size};
pub use sentences::Wording;
pub use summary::address_words;
pub use text::{Excerpt, nearest, quote};
pub use units::{seconds, size};
pub use validated::{InterfaceSelection, Plan, Rotate};
