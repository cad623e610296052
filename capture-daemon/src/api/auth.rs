//! Authentication before every call: checks `Host` and `Origin`, then identifies the caller by the peer credentials
//! of the socket or by a bearer token. Refusals, here or later for lack of a role, go to the audit log.

use std::net::SocketAddr;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use capture_task::{plan::Keyword as _, problem::ROLE};
use http::{HeaderMap, Method, header, request::Parts};

use super::{
    blocking::blocking,
    host_check,
    problem::{Problem, Result},
    state::Api,
};
use crate::{
    access::{Actor, Caller, Origin, Right, Who},
    store::Action,
};

/// Paths that anybody may ask who reaches the port: whether the daemon lives says nothing else.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The other end of the connection that a request came on.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Unix {
        caller: Caller,
        /// Nobody, where it is an outsider.
        actor: Option<Actor>,
    },
    Tcp {
        address: SocketAddr,
        /// Our end.
        local: SocketAddr,
    },
}

impl Source {
    /// For the audit log, while nothing is proved.
    fn caller(&self) -> Caller {
        match self {
            Self::Unix { caller, .. } => caller.clone(),
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

/// Lets a request through, or answers it.
pub(super) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(source) = parts.extensions.get::<Source>().cloned() else {
        return Problem::internal(&"a request without a connection").into_response();
    };
    match identify(&api, &source, &parts).await {
        Ok(actor) => {
            if let Some(actor) = actor {
                parts.extensions.insert(Principal { actor });
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => {
            let object = format!("{} {}", parts.method, parts.uri.path());
            let caller = source.caller();
            api.refused(caller, Action::Access, &object, problem.code())
                .await;
            problem.into_response()
        }
    }
}

/// Who asks; nobody where nobody needs to be known.
async fn identify(api: &Api, source: &Source, request: &Parts) -> Result<Option<Actor>> {
    let policy = api.policies.current();
    let local = match source {
        Source::Unix { .. } => None,
        Source::Tcp { local, .. } => Some(local.ip()),
    };
    host_check::check(&request.uri, &request.headers, local, &policy.hosts)?;
    match source {
        Source::Unix { actor, .. } => actor.clone().map(Some).ok_or_else(|| {
            Problem::forbidden(
                "not_a_member",
                "this user may not use the socket; root and the members of the group `access.socket_group` may",
            )
        }),
        Source::Tcp { .. } if is_probe(request) => Ok(None),
        Source::Tcp { address, .. } => {
            let secret = bearer(&request.headers)?.to_owned();
            let store = api.store.clone();
            let origin = Origin::Tcp(*address);
            let actor = blocking(move || store.token_verify(&secret, origin)).await?;
            actor.map(Some).ok_or_else(|| {
                Problem::unauthorized(
                    "token_invalid",
                    "the token is not known, or is over; `capture-agent token create` makes one",
                )
            })
        }
    }
}

fn is_probe(request: &Parts) -> bool {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    reads && PROBES.contains(&request.uri.path())
}

/// The token of a request (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (all.next(), all.next());
    let Some(value) = first else {
        return Err(Problem::unauthorized(
            "token_missing",
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
