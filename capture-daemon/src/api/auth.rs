//! Authentication before every call: checks `Host` and `Origin`, then identifies the caller by the peer credentials
//! of the socket, by a bearer token, or by the cookie of a session that a token was exchanged for. Refusals, here or later for lack of a role, go to the audit log.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use capture_store::{
    Action, Share,
    access::{Actor, Caller, Origin, Peer, Right, Who},
};
use capture_task::{plan::Keyword as _, problem::ROLE};
use http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts};

use super::{
    absent::{self, Absent, SHARE_INVALID},
    blocking::blocking,
    console, host_check,
    problem::{Problem, Result},
    sessions::{Session, cookie},
    state::{Api, PREFIX, SESSION},
};

/// Paths that anybody may ask who reaches the port: whether the daemon lives says nothing else.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The code of a request that shows nothing by which somebody could be known.
const TOKEN_MISSING: &str = "token_missing";

/// The header with the secret of a share.
const SHARE: HeaderName = HeaderName::from_static("share");

/// The other end of the connection that a request came on.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Unix {
        peer: Arc<Peer>,
        /// Who it was when it connected; nobody, where it was an outsider.
        actor: Option<Actor>,
    },
    Tcp {
        address: SocketAddr,
        /// Our end.
        local: SocketAddr,
    },
}

impl Source {
    /// Where it is.
    pub(super) fn origin(&self) -> Origin {
        self.caller().from
    }

    /// For the audit log, while nothing is proved.
    pub(super) fn caller(&self) -> Caller {
        match self {
            Self::Unix { peer, .. } => peer.caller(),
            Self::Tcp { address, .. } => Caller {
                who: Who::Unknown,
                from: Origin::Tcp(*address),
            },
        }
    }
}

/// Somebody who got through the gate.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    pub(super) actor: Actor,
    pub(super) way: Way,
}

/// What somebody got in by.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// The credentials of the socket.
    Socket(Arc<Peer>),
    /// A bearer token.
    Token,
    /// The cookie of a session.
    Cookie(Box<Session>),
}

impl Principal {
    /// Refuses what the role does not allow.
    pub(super) async fn needs(
        &self,
        api: &Api,
        right: Right,
        action: Action,
        object: &str,
    ) -> Result<()> {
        if self.actor.may(right) {
            return Ok(());
        }
        let problem = lacks_role(&self.actor, right);
        self.refused(api, action, object, &problem).await;
        Err(problem)
    }

    pub(super) async fn refused(&self, api: &Api, action: Action, object: &str, problem: &Problem) {
        let caller = self.actor.caller.clone();
        api.refused(caller, action, object, problem.code()).await;
    }
}

/// The answer to somebody whose role is not enough.
fn lacks_role(actor: &Actor, right: Right) -> Problem {
    Problem::forbidden(
        ROLE,
        format!(
            "this needs the role {}, and yours is {}",
            right.needs().keyword(),
            actor.role.keyword()
        ),
    )
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let principal = parts.extensions.get::<Self>().cloned();
        principal.ok_or_else(|| Problem::internal(&"a call is not behind the gate"))
    }
}

/// The bearer of a share. They are nobody to all calls but those of `shared`.
#[derive(Clone, Debug)]
pub(super) struct ShareHolder {
    pub(super) share: Share,
    pub(super) from: Origin,
}

impl<S: Sync> FromRequestParts<S> for ShareHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let holder = parts.extensions.get::<Self>().cloned();
        holder.ok_or_else(|| Problem::internal(&"a call of a share is not behind the gate"))
    }
}

/// Who got through the gate.
enum Admitted {
    /// Nobody needs to be known.
    Anybody,
    Principal(Principal),
    Share(ShareHolder),
}

/// Lets a request through, or answers it.
pub(super) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(source) = parts.extensions.get::<Source>().cloned() else {
        return Problem::internal(&"a request without a connection").into_response();
    };
    match identify(&api, &source, &parts).await {
        Ok(admitted) => {
            match admitted {
                Admitted::Anybody => {}
                Admitted::Principal(principal) => {
                    parts.extensions.insert(principal);
                }
                Admitted::Share(holder) => {
                    parts.extensions.insert(holder);
                }
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => {
            let asks_who = absent::asks_who(&parts, &problem);
            // Without a token or a cookie such a question tries nothing.
            if !asks_who || problem.code() != TOKEN_MISSING {
                let object = format!("{} {}", parts.method, parts.uri.path());
                let caller = source.caller();
                api.refused(caller, Action::Access, &object, problem.code())
                    .await;
            }
            if let Source::Tcp { address, .. } = &source
                && problem.status() == StatusCode::UNAUTHORIZED
            {
                let delay = api.guesses.refused(address.ip());
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
            }
            match asks_who || absent::asks_for_share(&parts, &problem) {
                true => Absent::because(&problem).into_response(),
                false => problem.into_response(),
            }
        }
    }
}

/// Refuses what two programs on the way could take for two different requests (RFC 9112, section 6.3).
fn check_framing(headers: &HeaderMap) -> Result<()> {
    match headers.get_all(header::TRANSFER_ENCODING).iter().count() {
        0 | 1 => Ok(()),
        _ => Err(Problem::syntax(
            "transfer_encoding",
            "the request has `Transfer-Encoding` more than once",
        )
        .closing()),
    }
}

/// Who asks.
async fn identify(api: &Api, source: &Source, request: &Parts) -> Result<Admitted> {
    check_framing(&request.headers)?;
    if is_probe(request) {
        // By load balancers under any name or none; what they are answered says nothing else.
        return Ok(Admitted::Anybody);
    }
    let policy = api.policies.current();
    let local = match source {
        Source::Unix { .. } => None,
        Source::Tcp { local, .. } => Some(local.ip()),
    };
    host_check::check(request, local, &policy.hosts)?;
    if is_of_share(request.uri.path()) {
        // By nothing else, whoever it is.
        return share_holder(api, source, &request.headers).await;
    }
    match source {
        Source::Unix { peer, actor } => {
            // By each request anew, as the group may be another since the connection began.
            let actor = actor.clone().zip(policy.access.role(peer));
            let actor = actor.map(|(actor, role)| Actor { role, ..actor });
            let actor = actor.ok_or_else(|| {
                Problem::forbidden(
                    "not_a_member",
                    "this user may not use the socket; root and the members of the group `access.socket_group` may",
                )
            })?;
            let way = Way::Socket(Arc::clone(peer));
            Ok(Admitted::Principal(Principal { actor, way }))
        }
        Source::Tcp { .. } if is_public(request) || is_login(request) => Ok(Admitted::Anybody),
        Source::Tcp { address, .. } => {
            let origin = Origin::Tcp(*address);
            let principal = match cookie(&request.headers) {
                // Of two ways the one that a page of another site cannot make a browser take.
                Some(secret) if !request.headers.contains_key(header::AUTHORIZATION) => {
                    by_cookie(api, secret, origin, request).await?
                }
                _ => Principal {
                    actor: by_token(api, bearer(&request.headers)?, origin).await?,
                    way: Way::Token,
                },
            };
            Ok(Admitted::Principal(principal))
        }
    }
}

/// The bearer of a token.
pub(super) async fn by_token(api: &Api, secret: &str, origin: Origin) -> Result<Actor> {
    let (store, secret) = (api.store.clone(), secret.to_owned());
    let actor = blocking(move || store.token_verify(&secret, origin)).await?;
    actor.ok_or_else(|| {
        Problem::unauthorized(
            "token_invalid",
            "the token is not known, or is over; `capture-agent token create` makes one",
        )
    })
}

/// Whoever a session is of. A browser sends its cookie by itself, so that what changes something must say that it comes
/// from our page.
async fn by_cookie(api: &Api, secret: &str, origin: Origin, request: &Parts) -> Result<Principal> {
    let session = api.sessions.find(secret).ok_or_else(session_over)?;
    if !is_safe(&request.method) && !request.headers.contains_key(header::ORIGIN) {
        return Err(Problem::forbidden(
            "origin_missing",
            "a request by cookie that changes something needs the `Origin` of this page",
        ));
    }
    let (store, token) = (api.store.clone(), session.token);
    if !blocking(move || store.token_use(token)).await? {
        return Err(session_over());
    }
    Ok(Principal {
        actor: session.actor(origin),
        way: Way::Cookie(Box::new(session)),
    })
}

fn session_over() -> Problem {
    Problem::unauthorized(
        "session_over",
        "the session is over; log in with a token once more",
    )
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a request is to log in, for which nobody needs to be known.
fn is_login(request: &Parts) -> bool {
    request.method == Method::POST && request.uri.path() == SESSION
}

/// Whether this asks how the daemon is.
fn is_probe(request: &Parts) -> bool {
    is_safe(&request.method) && PROBES.contains(&request.uri.path())
}

/// Whether anybody may ask this who reaches the port.
fn is_public(request: &Parts) -> bool {
    is_safe(&request.method) && console::is_of_console(request.uri.path())
}

/// Whether a path is one of those that a share opens.
fn is_of_share(path: &str) -> bool {
    let rest = path
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix("/shared"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Who bears the share of a request.
async fn share_holder(api: &Api, source: &Source, headers: &HeaderMap) -> Result<Admitted> {
    let mut all = headers.get_all(SHARE).iter();
    let secret = match (all.next(), all.next()) {
        (None, _) => {
            return Err(Problem::unauthorized(
                "share_missing",
                "this needs the secret of a share, as in `Share: shr_…`",
            ));
        }
        (Some(secret), None) => secret.to_str().ok().map(str::to_owned),
        (Some(_), Some(_)) => None,
    };
    let share = match secret {
        // One that is not looked for is not known.
        Some(secret) if api.policies.current().shares => {
            let store = api.store.clone();
            blocking(move || store.share_verify(&secret)).await?
        }
        _ => None,
    };
    let share = share.ok_or_else(|| {
        Problem::unauthorized(
            SHARE_INVALID,
            "the share is not known, or its time is over; whoever made it can make another",
        )
    })?;
    let from = source.caller().from;
    Ok(Admitted::Share(ShareHolder { share, from }))
}

/// The token of a request (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (all.next(), all.next());
    let Some(value) = first else {
        return Err(Problem::unauthorized(
            TOKEN_MISSING,
            "this needs a token, as in `Authorization: Bearer cap_…`",
        ));
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match (token, second) {
        (Some(token), None) if !token.is_empty() => Ok(token),
        _ => Err(Problem::unauthorized(
            "token_invalid",
            "`Authorization` is not one token, as in `Bearer cap_…`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn token(values: &[&str]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_str(value).expect("a header's value");
            headers.append(header::AUTHORIZATION, value);
        }
        bearer(&headers)
            .map(str::to_owned)
            .map_err(|problem| problem.code().to_owned())
    }

    #[test]
    fn one_bearer_token_and_nothing_else() {
        assert_eq!(token(&["Bearer cap_1"]), Ok("cap_1".to_owned()));
        assert_eq!(token(&["bearer  cap_1 "]), Ok("cap_1".to_owned()));
        assert_eq!(token(&[]), Err("token_missing".to_owned()));
        for wrong in ["Basic YTpi", "Bearer", "Bearer ", "cap_1", "", "Bearer\tx"] {
            assert_eq!(
                token(&[wrong]),
                Err("token_invalid".to_owned()),
                "{wrong:?}"
            );
        }
        let twice = ["Bearer cap_1", "Bearer cap_2"];
        assert_eq!(token(&twice), Err("token_invalid".to_owned()));
    }
}
