//! The token of a remote daemon, read from its file for each command. What others of this host could read, or put
//! there, is refused, as ssh does with keys.

use std::{fs::File, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

use capture_task::{Cause, error::ErrorKind};
use http::HeaderValue;

use crate::error::{Error, Result};

/// Most bytes of a token, which is far shorter.
const LONGEST: u64 = 4096;

/// The header that shows the token of a file.
pub(crate) fn bearer(path: &Path) -> Result<HeaderValue> {
    let shown = path.display();
    let cannot = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Usage,
        };
        let cause = Cause(&error);
        Error::new(
            kind,
            format!("the token file {shown} cannot be read: {cause}"),
        )
    };
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    let mode = metadata.mode() & 0o777;
    // A pipe, as of `<(pass show token)`, is of those who hold it.
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(Error::usage(format!(
            "the token file {shown} is open to others of this host (mode {mode:04o}); type `chmod 600 {}`",
            capture_task::plan::quoted(&shown.to_string())
        )));
    }
    let mut text = String::new();
    let mut file = file.take(LONGEST + 1);
    match file.read_to_string(&mut text) {
        Ok(_) if text.len() as u64 <= LONGEST => {}
        Ok(_) => return Err(none_in(path)),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(none_in(path)),
        Err(error) => return Err(cannot(error)),
    }
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(none_in(path));
    }
    let mut header =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| none_in(path))?;
    header.set_sensitive(true);
    Ok(header)
}

fn none_in(path: &Path) -> Error {
    Error::usage(format!(
        "the file {} holds no token: one line as `capture-agent token create` prints it is expected",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn only_a_file_of_ones_own_has_a_token() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("token");
        let of = |text: &str, mode: u32| {
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
            bearer(&path)
        };
        let header = of("cap_0123\n", 0o600).expect("a token");
        assert_eq!(header, "Bearer cap_0123");
        assert!(header.is_sensitive());
        assert!(of("cap_0123", 0o400).is_ok());
        for mode in [0o644, 0o640, 0o620, 0o601] {
            let error = of("cap_0123", mode).expect_err("others").to_string();
            assert!(error.contains("open to others"), "{error}");
            assert!(!error.contains("cap_0123"), "{error}");
        }
        for text in ["", "\n", "two words", "two\nlines", "ö", &"a".repeat(5000)] {
            let error = of(text, 0o600).expect_err(text).to_string();
            assert!(error.contains("holds no token"), "{error}");
        }
        let error = bearer(&home.path().join("none")).expect_err("none is there");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
