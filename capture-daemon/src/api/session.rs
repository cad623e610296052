//! Who one is and what one may; the exchange of a token for a session, and the list of sessions.

use axum::{
    Extension, Json,
    extract::{FromRequest as _, Request, State},
    response::{IntoResponse as _, Response},
};
use capture_engine::procfs;
use capture_store::{
    Action, TokenInfo,
    access::{Actor, Right, Role, Who},
};
use capture_task::{plan::Keyword as _, task::rfc3339};
use http::{StatusCode, header};
use nix::unistd::{Uid, User};
use serde::Serialize;
use serde_json::Value;
use ulid::Ulid;
use utoipa::ToSchema;

use super::{
    absent::or_absent,
    auth::{Principal, Source, Way, by_token},
    blocking::blocking,
    extract::{Fields, IdPath, Query},
    problem::{Problem, Result},
    sessions::{Session, clear_cookie, cookie, object_of, set_cookie},
    state::Api,
};

/// Somebody, and what they may.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionJson {
    /// Name of the user or of the token.
    name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// Whose quota counts.
    account: String,
    /// `socket`, `token` or `cookie`.
    way: &'static str,
    /// From where, as the audit log says it.
    from: String,
    /// When it ends by itself.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    /// What the role allows: `view`, `create`, `stop`, `download`, `delete_own`, `delete_others`, `inspect`, `administer`.
    rights: Vec<&'static str>,
    /// Name of the host.
    host: String,
    /// Version of the daemon.
    version: &'static str,
    features: Features,
}

/// What this daemon has besides.
#[derive(Serialize, ToSchema)]
struct Features {
    /// Packets are also decoded by Wireshark's programs.
    sharkd: bool,
    /// Captures are analyzed.
    analysis: bool,
    /// Tasks can be shared by links.
    shares: bool,
}

/// Sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    /// The newest first.
    sessions: Vec<ListedSession>,
}

/// A session of a browser.
#[derive(Serialize, ToSchema)]
struct ListedSession {
    /// ULID, which is no secret.
    id: String,
    /// Name of its token.
    name: String,
    #[schema(value_type = String)]
    role: Role,
    account: String,
    /// Where the token was shown.
    from: String,
    /// What the browser says it is.
    #[schema(required = true)]
    user_agent: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    used_at: String,
    /// When it ends if nothing more is asked.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// The body of a login.
#[derive(ToSchema)]
#[schema(as = Login)]
#[expect(
    dead_code,
    reason = "what the document says of the body, which `login` reads by itself"
)]
pub(super) struct LoginBody {
    /// The secret of a token.
    token: String,
}

or_absent! {
    /// What there is to say of who asks.
    enum Asked(SessionJson);
}

/// Who one is and what one may.
#[utoipa::path(
    get,
    path = "/session",
    operation_id = "show_session",
    tag = "access",
    params(
        ("absent" = Option<String>, Query, nullable = false, pattern = "^report$", description = "`report`: an answer of 200 also where nobody is logged in, alone in the query"),
    ),
    responses((status = 200, description = "Who asks; with `absent=report` perhaps that nobody is logged in", body = inline(Asked))),
)]
pub(super) async fn show(
    State(api): State<Api>,
    principal: Principal,
    mut query: Query,
) -> Result<Json<SessionJson>> {
    // Where nobody is known, that was answered at the gate.
    query.reports_absence();
    query.finish()?;
    let expires_at = match &principal.way {
        Way::Socket(_) => None,
        Way::Cookie(session) => Some(rfc3339(session.expires_at())),
        Way::Token => match principal.actor.caller.who {
            Who::Token { id, .. } => {
                let token = token(&api, id).await?;
                token.and_then(|token| token.expires_at).map(rfc3339)
            }
            _ => None,
        },
    };
    let way = match &principal.way {
        Way::Socket(_) => "socket",
        Way::Token => "token",
        Way::Cookie(_) => "cookie",
    };
    described(&api, principal.actor, way, expires_at)
        .await
        .map(Json)
}

/// Exchanges a token for a session.
///
/// The answer sets a cookie that scripts cannot read, and that browsers keep on HTTPS and on loopback alone.
#[utoipa::path(
    post,
    path = "/session",
    operation_id = "log_in",
    tag = "access",
    request_body = LoginBody,
    responses(
        (
            status = 200, description = "Who one is now", body = SessionJson,
            headers(("Set-Cookie" = String, description = "The session")),
        ),
        (status = 409, description = "On the Unix socket the user is known, and there are no sessions"),
        (status = 422, description = "The body is not one token"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn log_in(
    State(api): State<Api>,
    Extension(source): Extension<Source>,
    query: Query,
    request: Request,
) -> Result<Response> {
    query.finish()?;
    if matches!(source, Source::Unix { .. }) {
        return Err(Problem::conflict(
            "socket",
            "on the socket the user is known; a session is for TCP",
        ));
    }
    let headers = request.headers().clone();
    let Fields(mut fields) = Fields::from_request(request, &()).await?;
    let (token, rest) = (fields.remove("token"), fields.keys().next());
    let (Some(Value::String(secret)), None) = (token, rest) else {
        return Err(Problem::at(
            StatusCode::UNPROCESSABLE_ENTITY,
            "/token",
            "invalid",
            "the body is `{\"token\": \"cap_…\"}` and nothing else",
        ));
    };
    let verified = by_token(&api, &secret, source.origin()).await;
    let actor = match verified {
        Ok(actor) => actor,
        Err(problem) => {
            let object = "POST /api/v1/session";
            let caller = source.caller();
            api.refused(caller, Action::SessionCreate, object, problem.code())
                .await;
            return Err(problem);
        }
    };
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    // The same browser logs in anew.
    let before = cookie(&headers).and_then(|secret| api.sessions.find(secret));
    let before = before.and_then(|before| api.sessions.end(before.id, |_| true));
    let (session, secret, mut ended) = begin(&api, &actor, &source, agent).await?;
    ended.extend(before);
    for over in ended {
        let caller = actor.caller.clone();
        api.done(caller, Action::SessionEnd, &object_of(&over))
            .await?;
    }
    let expires_at = rfc3339(session.expires_at());
    let described = described(&api, actor, "cookie", Some(expires_at)).await?;
    let headers = [(header::SET_COOKIE, set_cookie(&secret))];
    Ok((headers, Json(described)).into_response())
}

/// What is known of a token.
async fn token(api: &Api, id: Ulid) -> Result<Option<TokenInfo>> {
    let store = api.store.clone();
    blocking(move || store.token(id)).await
}

async fn begin(
    api: &Api,
    actor: &Actor,
    source: &Source,
    agent: Option<&str>,
) -> Result<(Session, capture_store::Secret, Vec<Session>)> {
    let Who::Token { id, .. } = actor.caller.who else {
        return Err(Problem::internal(&"a token has no ID"));
    };
    let token = token(api, id).await?.ok_or_else(|| {
        Problem::unauthorized("token_invalid", "the token is over since a moment ago")
    })?;
    let made = api.sessions.create(&token, source.origin(), agent);
    let made = made.map_err(|error| Problem::internal(&error))?;
    let (caller, object) = (actor.caller.clone(), object_of(&made.0));
    if let Err(problem) = api.done(caller, Action::SessionCreate, &object).await {
        api.sessions.end(made.0.id, |_| true);
        return Err(problem);
    }
    Ok(made)
}

/// Ends the session of the cookie.
#[utoipa::path(
    delete,
    path = "/session",
    operation_id = "log_out",
    tag = "access",
    responses((
        status = 204, description = "There is none any more",
        headers(("Set-Cookie" = String, description = "Takes the cookie away")),
    )),
)]
pub(super) async fn log_out(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Response> {
    query.finish()?;
    if let Way::Cookie(session) = &principal.way
        && let Some(ended) = api.sessions.end(session.id, |_| true)
    {
        let caller = principal.actor.caller.clone();
        api.done(caller, Action::SessionEnd, &object_of(&ended))
            .await?;
    }
    let headers = [(header::SET_COOKIE, clear_cookie())];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// The sessions of one's own token; for administrators, all.
#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "list_sessions",
    tag = "access",
    responses((status = 200, description = "The sessions, newest first", body = SessionList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<SessionList>> {
    query.finish()?;
    // First, so that none is shown that is over.
    api.sweep_sessions().await;
    let current = match &principal.way {
        Way::Cookie(session) => Some(session.id),
        Way::Socket(_) | Way::Token => None,
    };
    let sessions = api.sessions.list(|session| may_see(&principal, session));
    let sessions = sessions.into_iter().map(|session| ListedSession {
        id: session.id.to_string(),
        expires_at: rfc3339(session.expires_at()),
        current: current == Some(session.id),
        name: session.name,
        role: session.role,
        account: session.account.as_str().to_owned(),
        from: session.from.to_string(),
        user_agent: session.user_agent,
        created_at: rfc3339(session.created_at),
        used_at: rfc3339(session.used_at),
    });
    Ok(Json(SessionList {
        sessions: sessions.collect(),
    }))
}

/// Ends a session.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    operation_id = "end_session",
    tag = "access",
    params(("id" = String, Path, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", description = "ID of the session, a ULID")),
    responses((status = 204, description = "It is over")),
)]
pub(super) async fn end(
    State(api): State<Api>,
    IdPath(id): IdPath,
    principal: Principal,
    query: Query,
) -> Result<StatusCode> {
    query.finish()?;
    let ended = api.sessions.end(id, |session| may_see(&principal, session));
    let ended = ended.ok_or_else(|| Problem::not_found("there is no such session of yours"))?;
    let caller = principal.actor.caller.clone();
    api.done(caller, Action::SessionEnd, &object_of(&ended))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn may_see(principal: &Principal, session: &Session) -> bool {
    let is_own = matches!(principal.actor.caller.who, Who::Token { id, .. } if id == session.token);
    is_own || principal.actor.may(Right::Administer)
}

async fn described(
    api: &Api,
    actor: Actor,
    way: &'static str,
    expires_at: Option<String>,
) -> Result<SessionJson> {
    let name = match &actor.caller.who {
        Who::User { uid } => {
            let uid = *uid;
            // The list of users may be a file, or a server that is slow.
            let user = blocking(move || {
                Ok::<_, std::convert::Infallible>(User::from_uid(Uid::from_raw(uid)))
            });
            let user = user.await?.ok().flatten();
            user.map_or_else(|| format!("uid {uid}"), |user| user.name)
        }
        Who::Token { name, .. } => name.clone(),
        other => other.to_string(),
    };
    let rights = Right::WORDS.iter().filter(|(_, right)| actor.may(*right));
    Ok(SessionJson {
        name,
        role: actor.role,
        account: actor.account.as_str().to_owned(),
        way,
        from: actor.caller.from.to_string(),
        expires_at,
        rights: rights.map(|(word, _)| *word).collect(),
        host: host(),
        version: api.about.version,
        features: Features {
            sharkd: api.tasks.has_wireshark().await,
            analysis: api.tasks.has_analysis(),
            shares: api.policies.current().shares,
        },
    })
}

/// The name of this host, as the kernel has it.
fn host() -> String {
    procfs::read("/proc/sys/kernel/hostname").unwrap_or_default()
}
