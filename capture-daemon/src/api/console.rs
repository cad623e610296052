//! The files of the web console. They are the same for everybody, so nobody has to say who they are; what the page then
//! asks of the API is another matter.

use axum::{
    Router,
    body::Body,
    extract::Path,
    response::{IntoResponse as _, Response},
    routing::get,
};
use capture_console::{Asset, HASH, POLICY};
use http::{HeaderMap, HeaderValue, header};

use super::{problem::Problem, state::Api};

/// Begins the paths of all files but the first page.
const FILES: &str = "/ui/";

/// The calls for files.
pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/", get(index))
        .route("/ui/{hash}/{*path}", get(file))
}

/// Whether a path is that of a file, or would be if it were there.
pub(super) fn is_of_console(path: &str) -> bool {
    path == "/" || path.starts_with(FILES)
}

async fn index(headers: HeaderMap) -> Response {
    let mut response = answer(capture_console::index(), &headers);
    let policies = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in policies {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A file under the hash of this program. Under another it is that of another version, whose page is to be loaded anew.
async fn file(Path((hash, path)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let found = (hash == HASH)
        .then(|| capture_console::asset(&path))
        .flatten();
    let Some(asset) = found else {
        return Problem::not_found("there is no such file of the console; load its page again")
            .into_response();
    };
    let mut response = answer(asset, &headers);
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    response
}

fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let takes_gzip = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(accepts_gzip);
    let body = match takes_gzip {
        true => Body::from(asset.gzip),
        false => Body::from(asset.plain()),
    };
    let mut response = Response::new(body);
    let all = response.headers_mut();
    all.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.media_type),
    );
    all.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if takes_gzip {
        all.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        all.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether one item of `Accept-Encoding` (RFC 9110, section 12.5.3) takes gzip.
fn accepts_gzip(item: &str) -> bool {
    let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
    let is_refused = weight
        .trim()
        .strip_prefix("q=")
        .and_then(|weight| weight.parse::<f32>().ok())
        .is_some_and(|weight| weight == 0.0);
    coding.trim().eq_ignore_ascii_case("gzip") && !is_refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_who_takes_it() {
        for (item, takes) in [
            ("gzip", true),
            (" GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(item), takes, "{item:?}");
        }
    }

    #[test]
    fn only_files_are_for_everybody() {
        for path in ["/", "/ui/", "/ui/0/js/app.js"] {
            assert!(is_of_console(path), "{path}");
        }
        for path in ["/ui", "/api/v1/tasks", "//", "/metrics", "/api/v1/../ui/"] {
            assert!(!is_of_console(path), "{path}");
        }
    }
}
