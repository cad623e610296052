//! Parts of display filters.

use crate::address::Address;

/// The part of a display filter for an address; `which` is `src`, `dst` or `addr`.
pub fn filter(which: &str, address: Address) -> String {
    let version = if address.is_v4() { "ip" } else { "ipv6" };
    format!("{version}.{which} == {address}")
}
