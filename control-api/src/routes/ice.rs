//! `GET /ice-servers` (TS16): STUN and TURN servers with credentials that end by themselves. The username is
//! `<expiry in seconds since 1970>:<user>`, the credential `base64(HMAC-SHA1(secret, username))`
//! (draft-uberti-behave-turn-rest), so that the TURN server needs no account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base::{Secret, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha1::Sha1;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::value::Time;

/// Servers for `RTCPeerConnection` and the like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct IceServers {
    /// The servers.
    ice_servers: Vec<IceServer>,
    /// When the credentials end.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    /// How long they are good, seconds.
    ttl_s: u32,
}

/// One server (RTCIceServer of the W3C).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct IceServer {
    /// Its URIs (RFC 7064, RFC 7065).
    urls: Vec<String>,
    /// For TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// For TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(ice_servers))
}

/// STUN and TURN servers with time-limited credentials
#[utoipa::path(get, path = "/ice-servers", tag = "devices", responses((status = 200, body = IceServers)))]
async fn ice_servers(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<IceServers>, Problem> {
    for_caller(&app, &caller.user.to_string()).map(Json)
}

/// The servers with credentials for `name`.
pub(crate) fn for_caller(app: &App, name: &str) -> Result<IceServers, Problem> {
    let ttl_s = app.config.turn_credential_ttl_s;
    let end = Timestamp::from_millis((app.now().as_secs() + i64::from(ttl_s)) * 1000);
    let turn = &app.deps.turn;
    let mut ice_servers = vec![];
    if !turn.stun_uris.is_empty() {
        ice_servers.push(IceServer { urls: turn.stun_uris.clone(), username: None, credential: None });
    }
    if !turn.turn_uris.is_empty() && !turn.secret.is_empty() {
        let username = format!("{}:{name}", end.as_secs());
        let credential = credential(&turn.secret, &username)?;
        ice_servers.push(IceServer {
            urls: turn.turn_uris.clone(),
            username: Some(username),
            credential: Some(credential),
        });
    }
    Ok(IceServers { ice_servers, expires_at: Time(end), ttl_s })
}

fn credential(secret: &Secret, username: &str) -> Result<String, Problem> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).map_err(|e| Problem::internal(&e))?;
    mac.update(username.as_bytes());
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ts16_the_credential_is_the_keyed_hash_of_the_username() {
        // echo -n "1700000000:alice" | openssl dgst -sha1 -hmac north -binary | base64
        let made = credential(&Secret::new("north"), "1700000000:alice").unwrap();
        assert_eq!(made, "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
    }
}
