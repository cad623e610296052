//! Tokens for clients over TCP, for administrators.

use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
    response::{IntoResponse as _, Response},
};
use capture_store::{
    Action, ErrorKind, NewToken, TokenInfo,
    access::{Account, Right, Role},
};
use capture_task::{plan::parse_keyword, problem::ProblemError, task::rfc3339};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    blocking::blocking,
    extract::{Fields, IdPath, Query, unknown_fields},
    problem::{Problem, Result},
    state::Api,
};

/// Most seconds from now that a token may be for: ten years.
const MAX_SECONDS: i64 = 10 * 366 * 24 * 3600;

/// Tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenList {
    /// Also those that are over, oldest first.
    tokens: Vec<TokenJson>,
}

/// What is known of a token. Its secret is not.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenJson {
    /// ULID, which is no secret.
    id: String,
    name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// Whose quota its tasks count against.
    account: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends by itself.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    #[schema(required = true, format = DateTime)]
    revoked_at: Option<String>,
    /// When it was last used, to five minutes.
    #[schema(required = true, format = DateTime)]
    used_at: Option<String>,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    token: TokenJson,
    /// What its bearer shows; it cannot be had again.
    secret: String,
}

/// The body of a request for a token.
#[derive(ToSchema)]
#[schema(as = NewToken)]
#[expect(
    dead_code,
    reason = "what the document says of the body, which `read` takes apart"
)]
pub(super) struct NewTokenBody {
    /// No other token in use has it.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._@-]+$")]
    name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(pattern = "^(viewer|operator|admin)$")]
    role: String,
    /// Whose quota its tasks count against; one of the token's name where it is absent.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._@-]+$")]
    account: Option<String>,
    /// When it ends by itself, RFC 3339.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The same in seconds from now, in its place.
    #[schema(minimum = 1, maximum = 316224000)]
    expires_in: Option<i64>,
}

impl From<TokenInfo> for TokenJson {
    fn from(token: TokenInfo) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name,
            role: token.role,
            account: token.account.as_str().to_owned(),
            created_at: rfc3339(token.created_at),
            expires_at: token.expires_at.map(rfc3339),
            revoked_at: token.revoked_at.map(rfc3339),
            used_at: token.used_at.map(rfc3339),
        }
    }
}

/// All tokens. The log tells of each look.
#[utoipa::path(
    get,
    path = "/tokens",
    operation_id = "list_tokens",
    tag = "access",
    responses((status = 200, description = "The tokens", body = TokenList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<TokenList>> {
    query.finish()?;
    principal
        .needs(&api, Right::Administer, Action::TokenList, "tokens")
        .await?;
    let store = api.store.clone();
    let tokens = blocking(move || store.token_list(&principal.actor)).await?;
    let tokens = tokens.into_iter().map(TokenJson::from);
    Ok(Json(TokenList {
        tokens: tokens.collect(),
    }))
}

/// Makes a token. Its secret is in the answer, and cannot be had again.
#[utoipa::path(
    post,
    path = "/tokens",
    operation_id = "create_token",
    tag = "access",
    request_body = NewTokenBody,
    responses(
        (status = 201, description = "The token", body = MadeToken),
        (status = 409, description = "Another token in use has the name"),
        (status = 422, description = "All that is wrong with it"),
        (status = 507, description = "No space is left for it"),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
    request: Request,
) -> Result<Response> {
    // Before anything of the body is read.
    principal
        .needs(&api, Right::Administer, Action::TokenCreate, "")
        .await?;
    query.finish()?;
    let Fields(fields) = Fields::from_request(request, &()).await?;
    let new = read(fields, api.store.clock().now())?;
    let store = api.store.clone();
    let made =
        blocking(move || Ok::<_, capture_store::Error>(store.token_create(&new, &principal.actor)));
    let (token, secret) = made.await?.map_err(|error| match error.kind {
        ErrorKind::Conflict => Problem::at(StatusCode::CONFLICT, "/name", "in_use", error.message),
        ErrorKind::Usage => invalid(vec![ProblemError::new("", "invalid", error.message)]),
        _ => Problem::internal(&error),
    })?;
    let made = MadeToken {
        token: token.into(),
        secret: secret.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Revokes a token. Its sessions end with it.
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    operation_id = "revoke_token",
    tag = "access",
    params(("id" = String, Path, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", description = "ID of the token, a ULID")),
    responses(
        (status = 204, description = "Its bearer is nobody from now on"),
        (status = 507, description = "No space is left to note it"),
    ),
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    IdPath(id): IdPath,
    principal: Principal,
    query: Query,
) -> Result<StatusCode> {
    query.finish()?;
    principal
        .needs(
            &api,
            Right::Administer,
            Action::TokenRevoke,
            &id.to_string(),
        )
        .await?;
    let store = api.store.clone();
    let revoked = blocking(move || {
        Ok::<_, capture_store::Error>(store.token_revoke(&id.to_string(), &principal.actor))
    });
    revoked.await?.map_err(|error| match error.kind {
        ErrorKind::NotFound => Problem::not_found("there is no such token in use"),
        _ => Problem::internal(&error),
    })?;
    api.sweep_sessions().await;
    Ok(StatusCode::NO_CONTENT)
}

fn invalid(faults: Vec<ProblemError>) -> Problem {
    Problem::several(StatusCode::UNPROCESSABLE_ENTITY, "the token", faults)
}

/// The token that somebody wants, or all that is wrong with the request.
fn read(mut fields: Map<String, Value>, now: Timestamp) -> Result<NewToken> {
    let mut faults = Vec::new();
    let mut fault = |name: &str, code: &str, detail: &str| {
        faults.push(ProblemError::new(
            &format!("/{name}"),
            code,
            detail.to_owned(),
        ));
    };
    const LABEL: &str = "it is 1 to 64 letters, digits, `.`, `_`, `-` or `@`";
    let mut text = |name: &str| match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(()),
    };
    let name = text("name");
    let name = name.map(|name| name.filter(|name| Account::new(name).is_some()));
    if !matches!(name, Ok(Some(_))) {
        fault("name", "invalid", LABEL);
    }
    let role = text("role").ok().flatten();
    let role = role.and_then(|role| parse_keyword::<Role>(&role).ok());
    if role.is_none() {
        fault("role", "invalid", "it is `viewer`, `operator` or `admin`");
    }
    let account = text("account").map(|account| account.map(|name| Account::new(&name)));
    if matches!(account, Err(()) | Ok(Some(None))) {
        fault("account", "invalid", LABEL);
    }
    let at = text("expires_at").and_then(|at| {
        let at = at.map(|at| at.parse::<Timestamp>());
        at.transpose().map_err(|_| ())
    });
    let seconds = match fields.remove("expires_in") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if (1..=MAX_SECONDS).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(()),
        },
    };
    let most = now.saturating_add(SignedDuration::from_secs(MAX_SECONDS));
    let expires_at = match (at, seconds) {
        (Ok(Some(_)), Ok(Some(_))) => {
            fault("expires_in", "conflict", "`expires_at` says it already");
            None
        }
        (Ok(Some(at)), _) if at <= now => {
            fault(
                "expires_at",
                "invalid",
                "the token would be over already; name a later time",
            );
            None
        }
        (Ok(Some(at)), _) if most.as_ref().is_ok_and(|most| at > *most) => {
            fault(
                "expires_at",
                "invalid",
                "it is at most ten years ahead; leave it out for a token without end",
            );
            None
        }
        (Err(()), _) => {
            fault(
                "expires_at",
                "invalid",
                "it is a time as in 2026-03-01T08:00:00Z",
            );
            None
        }
        (_, Err(())) => {
            fault(
                "expires_in",
                "invalid",
                "it is a number of seconds, at most ten years",
            );
            None
        }
        (Ok(at), Ok(None)) => at,
        (Ok(None), Ok(Some(seconds))) => now.checked_add(SignedDuration::from_secs(seconds)).ok(),
    };
    faults.extend(unknown_fields("a token", &fields));
    match (name, role, account) {
        (Ok(Some(name)), Some(role), Ok(account)) if faults.is_empty() => Ok(NewToken {
            name,
            role,
            account: account.flatten(),
            expires_at,
        }),
        _ => Err(invalid(faults)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(body: &Value) -> Result<NewToken, Vec<String>> {
        let now = "2026-03-01T08:00:00Z".parse().expect("a time");
        let fields = body.as_object().expect("an object").clone();
        read(fields, now).map_err(|problem| {
            let errors = problem.body().errors.into_iter();
            errors.map(|error| error.pointer).collect()
        })
    }

    #[test]
    fn a_token_is_read() {
        let new = token(
            &json!({"name": "ci", "role": "operator", "account": "team", "expires_in": 3600}),
        );
        let new = new.expect("it is one");
        assert_eq!((new.name.as_str(), new.role), ("ci", Role::Operator));
        assert_eq!(new.account, Account::new("team"));
        assert_eq!(
            new.expires_at.map(|at| at.to_string()).as_deref(),
            Some("2026-03-01T09:00:00Z")
        );
        let new =
            token(&json!({"name": "ci", "role": "viewer", "account": null, "expires_at": null}));
        assert_eq!(new.expect("it is one").expires_at, None);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        for (body, pointers) in [
            (json!({}), &["/name", "/role"][..]),
            (
                json!({"name": "a b", "role": "root", "account": ""}),
                &["/name", "/role", "/account"],
            ),
            (
                json!({"name": 5, "role": 5, "account": 5, "expires_at": 5, "expires_in": "x"}),
                &["/name", "/role", "/account", "/expires_at"],
            ),
            (
                json!({"name": "a", "role": "admin", "expires_in": 0}),
                &["/expires_in"],
            ),
            (
                json!({"name": "a", "role": "admin", "expires_in": MAX_SECONDS + 1}),
                &["/expires_in"],
            ),
            (
                json!({"name": "a", "role": "admin", "expires_at": "2026-03-01T08:00:00Z"}),
                &["/expires_at"],
            ),
            (
                json!({"name": "a", "role": "admin", "expires_at": "9999-03-01T08:00:00Z"}),
                &["/expires_at"],
            ),
            (
                json!({"name": "a", "role": "admin", "expires_at": "2026-03-02T08:00:00Z", "expires_in": 1}),
                &["/expires_in"],
            ),
            (json!({"name": "a", "role": "admin", "a/b": 1}), &["/a~1b"]),
        ] {
            assert_eq!(token(&body).expect_err("faults"), pointers, "{body}");
        }
    }
}
