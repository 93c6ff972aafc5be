//! Settings of the control API.

use std::net::{IpAddr, SocketAddr};

settings::config! {
    /// The HTTP API: accounts, numbers, texts, calls, money, administration. OpenAPI at `/openapi.json`, a page that
    /// shows it at `/docs`.
    pub struct Config {
        /// Address and port of plain HTTP (1.1 and 2). Put TLS in front of it before other hosts may reach it.
        pub listen: SocketAddr = ([127, 0, 0, 1], 8080).into(),
        /// Proxies in front of the API whose last entry of X-Forwarded-For is believed.
        pub trusted_proxies: Vec<IpAddr> = vec![],
        /// Issuer (`iss`) and audience (`aud`) of access tokens.
        pub token_issuer: String = "tandem".to_owned(),
        /// How long an access token is good, seconds, 60 to 86,400.
        pub access_token_ttl_s: u32 = 900,
        /// How long a refresh token is good, seconds; each use starts anew with another token.
        pub refresh_token_ttl_s: u32 = 604_800,
        /// Requests without a good token per address and minute; 0: no limit.
        pub requests_per_minute_address: u32 = 300,
        /// Requests per user and minute; 0: no limit.
        pub requests_per_minute_user: u32 = 100,
        /// Requests per tenant and minute; 0: no limit.
        pub requests_per_minute_tenant: u32 = 1_000,
        /// Attempts to log in per login name and minute, and ten times as many per address; 0: no limit.
        pub logins_per_minute: u32 = 10,
        /// Requests that are worked on at the same time; over it the API answers 503.
        pub requests_max: u32 = 1_024,
        /// Most devices of one user.
        pub devices_per_user_max: u32 = 10,
        /// How long TURN credentials are good, seconds.
        pub turn_credential_ttl_s: u32 = 43_200,
        /// How long a text is worth sending, seconds.
        pub sms_validity_s: u32 = 86_400,
    }
}
