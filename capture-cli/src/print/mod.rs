//! `print`: the packets of capture files as text, a line each, or as JSON. A file is read once, from front to back, and so
//! may be a pipe. `run --print` prints with the same [`Printer`].

mod bytes;
mod output;
mod packet;
mod printer;
mod style;
mod time;
mod tree;

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    ops::ControlFlow,
    path::Path,
};

use capture_file::read::{self, Reader};
use capture_task::Cause;

pub(super) use self::{
    output::Output,
    printer::Printer,
    style::{Style, parsed_filter},
};
use super::args::PrintArgs;
use crate::{
    error::{Error, Result},
    exit::Exit,
};

/// Prints the files one after the other. Of a damaged file all that was read before the damage is printed.
pub(super) fn print(args: PrintArgs) -> Result<Exit> {
    let PrintArgs {
        files,
        read,
        count,
        style,
        verbose,
        form,
    } = args;
    let style = Style::new(&style, verbose > 0, form.output)?;
    let output = Output::new();
    let mut left = count.unwrap_or(u64::MAX);
    for file in read.iter().chain(&files) {
        let mut printer = Printer::new(style.clone(), left);
        print_file(file, &mut printer, &output)?;
        left = printer.left();
        if left == 0 || output.is_closed() {
            break;
        }
    }
    Ok(Exit::Ok)
}

fn print_file(path: &Path, printer: &mut Printer, output: &Output) -> Result<()> {
    let name = path.display();
    let mut reader = Reader::new(output.before(open(path)?));
    print_all(&mut reader, printer, output)?.map_err(|error| {
        Error::runtime(match reader.packets() {
            0 => format!("{name}: {error}"),
            _ => format!("{name} is damaged, and was printed up to there: {error}"),
        })
    })
}

/// Prints everything up to the end, or up to damage, which is the inner error. It ends early where nobody reads on.
pub(super) fn print_all(
    reader: &mut Reader<impl Read>,
    printer: &mut Printer,
    output: &Output,
) -> Result<Result<(), read::Error>> {
    let damage = loop {
        match reader.next() {
            Ok(None) => break None,
            // A write that failed ends the reading, too.
            Err(error) => break (!output.has_failed()).then_some(error),
            Ok(Some(item)) => match printer.item(item) {
                ControlFlow::Continue(()) => output.write(printer.text()),
                ControlFlow::Break(()) => {
                    output.write(printer.text());
                    break None;
                }
            },
        }
        if output.has_failed() {
            break None;
        }
    };
    output.flush();
    output.result()?;
    Ok(damage.map_or(Ok(()), Err))
}

/// Opens a capture file, or standard input.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            let message = "standard input is a terminal; name a file, or send a capture into it";
            return Err(Error::usage(message));
        }
        return Ok(Box::new(io::stdin().lock()));
    }
    let name = path.display();
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::not_found(format!("{name} is not there")))
        }
        Err(error) => Err(Error::runtime(format!(
            "cannot open {name}: {}",
            Cause(&error)
        ))),
    }
}
