mod faults;
mod oracle;
mod semantics;
