//! Findings of links, names and paths, made for real: by servers, attackers and faults in namespaces. Each case is made twice,
//! once with the fault and once as its innocent neighbour.

mod capture;
mod case;
mod coverage;
mod link;
mod names;
mod paths;
mod tls;

/// A table of cases, each a test of its own.
macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        /// The codes that these cases find.
        pub(super) const CODES: &[&str] = &[$($case.code),*];
        $(
            #[test]
            fn $name() {
                $case.check(stringify!($name));
            }
        )*
    };
}
use cases;
