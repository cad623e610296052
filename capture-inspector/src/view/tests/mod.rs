//! Views of files that are written by hand, against what was put into them, and against tshark.

mod bounds;
mod many;
mod oracle;
mod view;
