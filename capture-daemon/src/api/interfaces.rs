//! The list of interfaces, and which of them leads to an address.

use std::net::IpAddr;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use capture_engine::{
    interfaces,
    interfaces::{InterfaceJson, Route},
};
use capture_store::{Action, access::Right};
use utoipa::ToSchema;

use super::{
    absent::{Absent, or_absent},
    auth::Principal,
    blocking::blocking,
    extract::Query,
    problem::{Problem, Result},
    state::Api,
};

/// All interfaces.
#[derive(serde::Serialize, ToSchema)]
pub(super) struct InterfaceList {
    /// By index.
    interfaces: Vec<InterfaceRow>,
}

/// An interface, and what is in the way of a capture there.
#[derive(serde::Serialize, ToSchema)]
struct InterfaceRow {
    #[serde(flatten)]
    interface: InterfaceJson,
    /// Why the default hook cannot be there now; null where nothing is known against it.
    #[schema(required = true)]
    conflict: Option<String>,
}

/// The interfaces of the daemon's network namespace.
#[utoipa::path(
    get,
    path = "/interfaces",
    operation_id = "list_interfaces",
    tag = "interfaces",
    responses((status = 200, description = "The interfaces, by index", body = InterfaceList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<InterfaceList>> {
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /interfaces")
        .await?;
    let entries = blocking(interfaces::list_in_detail).await?;
    let mut conflicts = api.tasks.conflicts().await.unwrap_or_else(|error| {
        log::warn!("looking for what is in the way of captures: {error}");
        Default::default()
    });
    let rows = entries.iter().map(|entry| InterfaceRow {
        interface: InterfaceJson::from(entry),
        conflict: conflicts.remove(&entry.ifindex),
    });
    let interfaces = rows.collect();
    Ok(Json(InterfaceList { interfaces }))
}

/// The way to an address.
#[derive(serde::Serialize, ToSchema)]
pub(super) struct RouteJson {
    /// The interface that packets to it leave by; of an address of this host, the one that has it.
    interface: String,
    /// The address that they come from, where the kernel says.
    #[schema(required = true)]
    source: Option<String>,
    /// The next router; null where the address is reached without one.
    #[schema(required = true)]
    gateway: Option<String>,
    /// Whether the address is of this host.
    local: bool,
}

impl From<Route> for RouteJson {
    fn from(route: Route) -> Self {
        let Route {
            interface,
            source,
            gateway,
            local,
        } = route;
        Self {
            interface,
            source: source.map(|address| address.to_string()),
            gateway: gateway.map(|address| address.to_string()),
            local,
        }
    }
}

or_absent! {
    /// A way, or that there is none.
    enum Way(RouteJson);
}

/// The interface by which packets to an address leave.
#[utoipa::path(
    get,
    path = "/interfaces/route",
    operation_id = "show_route",
    tag = "interfaces",
    params(
        ("to" = String, Query, description = "An IPv4 or IPv6 address"),
        ("absent" = Option<String>, Query, nullable = false, pattern = "^report$", description = "`report`: an answer of 200 also where no route leads there, with the `errors` of the 404"),
    ),
    responses(
        (status = 200, description = "The way there; with `absent=report` perhaps that there is none", body = inline(Way)),
        (status = 404, description = "No route leads there"),
    ),
)]
pub(super) async fn route(
    State(api): State<Api>,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    principal
        .needs(&api, Right::View, Action::Access, "GET /interfaces/route")
        .await?;
    let reports = query.reports_absence();
    let to: Option<IpAddr> = query.take("to", "an address", |text| text.parse().ok());
    query.finish()?;
    let Some(to) = to else {
        return Err(Problem::syntax("required", "`to` is missing: the address"));
    };
    let route = blocking(move || interfaces::route_to(to)).await?;
    match route {
        Some(route) => Ok(Json(RouteJson::from(route)).into_response()),
        None => {
            let problem = Problem::not_found(format!("no route leads to {to}"));
            match reports {
                true => Ok(Absent::because(&problem).into_response()),
                false => Err(problem),
            }
        }
    }
}
