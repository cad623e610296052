//! The OpenAPI document, generated from the handlers. Responses that all calls have in common are added here.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    response::{IntoResponse as _, Response},
};
use capture_task::{
    plan::FaultKind,
    problem::{MEDIA_TYPE, ProblemBody, ProblemError},
};
use http::{HeaderValue, header};
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Object, Ref, RefOr, ResponseBuilder, Schema,
        path::Operation,
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    audit, doctor, events, files, findings, health, interfaces, notes, overview, packets, probes,
    quota, session, shared, shared_packets, shares,
    state::{Api, PREFIX},
    storage, streams, tasks, tokens, version,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "capture-agent",
        description = "Packet capture tasks of one host. On the Unix socket the user is known; over TCP every call but `/healthz` and `/readyz` needs a bearer token.",
    ),
    components(schemas(ProblemBody, ProblemError, FaultKind)),
    tags(
        (name = "tasks", description = "Capture tasks"),
        (name = "files", description = "What they have captured"),
        (name = "findings", description = "What is wrong in it"),
        (name = "packets", description = "The packets themselves"),
        (name = "shares", description = "Links for those who have no token"),
        (name = "events", description = "What happens to them"),
        (name = "interfaces", description = "What there is to capture on"),
        (name = "quota", description = "How many tasks may be created"),
        (name = "access", description = "Who may ask, and who did"),
        (name = "health", description = "The daemon itself"),
    ),
)]
struct Document;

/// The status of a request that does not get as far as to us: hyper answers it, without a body.
const HEAD_TOO_LONG: &str = "431";

/// Name of the security scheme.
const TOKEN: &str = "token";

/// Every call with its description.
pub(super) fn router() -> OpenApiRouter<Api> {
    let calls = OpenApiRouter::new()
        .routes(routes!(tasks::create, tasks::list))
        .routes(routes!(tasks::show, tasks::delete))
        .routes(routes!(tasks::stop))
        .routes(routes!(files::download))
        .routes(routes!(shares::create, shares::list))
        .routes(routes!(shares::revoke))
        .routes(routes!(shared::show))
        .routes(routes!(shared::download))
        .routes(routes!(shared_packets::list))
        .routes(routes!(shared_packets::at))
        .routes(routes!(shared_packets::position))
        .routes(routes!(shared_packets::show))
        .routes(routes!(shared_packets::stream))
        .routes(routes!(shared_packets::conversations))
        .routes(routes!(shared_packets::series))
        .routes(routes!(shared_packets::check))
        .routes(routes!(shared_packets::fields))
        .routes(routes!(findings::show))
        .routes(routes!(findings::page))
        .routes(routes!(findings::compare))
        .routes(routes!(packets::list))
        .routes(routes!(packets::at))
        .routes(routes!(packets::position))
        .routes(routes!(packets::show))
        .routes(routes!(streams::show))
        .routes(routes!(streams::export))
        .routes(routes!(overview::conversations))
        .routes(routes!(overview::series))
        .routes(routes!(notes::list))
        .routes(routes!(notes::write))
        .routes(routes!(packets::check))
        .routes(routes!(packets::fields))
        .routes(routes!(events::listen))
        .routes(routes!(probes::create))
        .routes(routes!(interfaces::list))
        .routes(routes!(interfaces::route))
        .routes(routes!(quota::show))
        .routes(routes!(version::show))
        .routes(routes!(storage::show))
        .routes(routes!(session::show, session::log_in, session::log_out))
        .routes(routes!(session::list))
        .routes(routes!(session::end))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(audit::history))
        .routes(routes!(doctor::show))
        .routes(routes!(show));
    let mut router = OpenApiRouter::with_openapi(Document::openapi())
        .nest(PREFIX, calls)
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics));
    complete(router.get_openapi_mut());
    router
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "show_document",
    tag = "health",
    responses((status = 200, description = "The document, OpenAPI 3.1", body = Object)),
)]
async fn show() -> Response {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| router().into_openapi().to_json().unwrap_or_default().into());
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], DOCUMENT.clone()).into_response()
}

/// Name of the security scheme of shares.
const SHARE: &str = "share";

/// Adds what all calls have in common: errors as problems, and the token or the secret of a share.
fn complete(document: &mut utoipa::openapi::OpenApi) {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of `capture-agent token create`"));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme.build()));
    let secret = ApiKeyValue::with_description("Share", "The secret of a share");
    components.add_security_scheme(SHARE, SecurityScheme::ApiKey(ApiKey::Header(secret)));
    for schema in components.schemas.values_mut() {
        if let RefOr::T(Schema::Object(object)) = schema {
            forget_defaults(object);
        }
    }
    for (path, item) in &mut document.paths.paths {
        let is_probe = matches!(path.as_str(), "/healthz" | "/readyz");
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.delete,
            &mut item.put,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            complete_operation(operation, path.contains('{'), is_probe);
            if path.starts_with(&format!("{PREFIX}/shared")) {
                operation.security = Some(vec![SecurityRequirement::new(SHARE, [] as [&str; 0])]);
            }
        }
    }
}

/// What must be there has no default, though the type that reads it has one.
fn forget_defaults(object: &mut Object) {
    for name in &object.required {
        match object.properties.get_mut(name) {
            Some(RefOr::T(Schema::Object(property))) => property.default = None,
            Some(RefOr::T(Schema::Array(property))) => property.default = None,
            _ => {}
        }
    }
}

fn complete_operation(operation: &mut Operation, has_id: bool, is_probe: bool) {
    let mut common = vec![
        (
            "400",
            "The request is not what HTTP, JSON or this call expects",
        ),
        ("403", "Not allowed, or a foreign `Host` or `Origin`"),
        ("500", "The daemon failed; its log says why"),
        ("503", "Not now"),
        (
            HEAD_TOO_LONG,
            "The head of the request is longer than 16 KiB, or has more than 64 headers; the one answer without a body",
        ),
    ];
    if has_id {
        common.push(("404", "There is no such thing"));
    }
    if operation.request_body.is_some() {
        common.extend([
            ("408", "The body did not come in time"),
            ("413", "The body is longer than 64 KiB"),
            ("415", "The body is not `application/json`"),
        ]);
    }
    if !is_probe {
        common.push(("401", "A token is needed, and none that is known was given"));
        let needs_token = SecurityRequirement::new(TOKEN, [] as [&str; 0]);
        // On the Unix socket none is needed.
        operation.security = Some(vec![needs_token, SecurityRequirement::default()]);
    }
    for (status, description) in common {
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(ResponseBuilder::new().description(description).build()));
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && status != HEAD_TOO_LONG
        {
            describe_problem(response);
        }
    }
}

fn describe_problem(response: &mut utoipa::openapi::Response) {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    response
        .content
        .insert(MEDIA_TYPE.to_owned(), RefOr::T(content));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the document was when it was last looked at by people.
    const SNAPSHOT: &str = "src/api/openapi.json";

    #[test]
    fn the_document_is_the_one_that_was_looked_at() {
        let mut document = router().into_openapi();
        // Apart from the version, which changes with every release.
        document.info.version = "0".to_owned();
        let mut json = document.to_pretty_json().expect("JSON");
        json.push('\n');
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(SNAPSHOT, &json).expect("written");
        }
        let snapshot = std::fs::read_to_string(SNAPSHOT).expect("a snapshot");
        assert!(
            json == snapshot,
            "the API has changed; look at the difference after UPDATE_SNAPSHOTS=1, and mind who uses it"
        );
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = router().into_openapi();
        let mut names = std::collections::BTreeSet::new();
        for item in document.paths.paths.into_values() {
            for operation in [item.get, item.post, item.delete].into_iter().flatten() {
                let name = operation.operation_id.expect("a name");
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn every_error_is_a_problem() {
        let document = router().into_openapi();
        for (path, item) in document.paths.paths {
            let operations = [item.get, item.post, item.delete];
            for operation in operations.into_iter().flatten() {
                for (status, response) in operation.responses.responses {
                    let RefOr::T(response) = response else {
                        panic!("{path} {status} is a reference");
                    };
                    let is_problem = response.content.contains_key(MEDIA_TYPE);
                    let is_error = status.as_str() >= "400" && status != HEAD_TOO_LONG;
                    assert_eq!(is_problem, is_error, "{path} {status}");
                }
            }
        }
    }
}
