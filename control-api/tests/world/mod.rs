//! A whole API over real HTTP for tests: its own SQLite file, a clock in the test's hand, two tenants with users, and a
//! registrar and an event bus that write down what they are told.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base::id::kind::{Device, Tenant, User};
use base::time::Clock;
use base::{Currency, Id, Money, Secret, Timestamp};
use control_api::{Config, Deps, Handle, Registrations, SipAccess, TurnAccess};
use domain::event::Fact;
use domain::number::NumberStatus;
use domain::ports::{Events, Unavailable};
use domain::rate::Service;
use domain::trunk::BindType;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{
    CarrierData, MasterKey, NewNumber, NewTenant, NewUser, NumberKind, NumberRow, Options, RateData, Role, Store,
    TenantRow, UserRow,
};

/// Password of everybody.
pub const PASSWORD: &str = "correct horse";

/// A clock that only moves when told.
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    /// Lets time pass.
    pub fn pass_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

/// Writes down events and dropped registrations.
#[derive(Default)]
pub struct Recorder {
    /// What was published.
    pub facts: Mutex<Vec<(Option<Id<Tenant>>, Fact)>>,
    /// Which devices were dropped.
    pub dropped: Mutex<Vec<(Id<User>, Id<Device>)>>,
}

impl Events for Recorder {
    fn publish(&self, tenant: Option<Id<Tenant>>, fact: Fact) {
        self.facts.lock().unwrap().push((tenant, fact));
    }
}

#[async_trait]
impl Registrations for Recorder {
    async fn drop_device(&self, user: Id<User>, device: Id<Device>) -> Result<(), Unavailable> {
        self.dropped.lock().unwrap().push((user, device));
        Ok(())
    }
}

/// One tenant's people and things.
pub struct Side {
    /// The tenant.
    pub tenant: TenantRow,
    /// Its administrator.
    pub admin: UserRow,
    /// Its user.
    pub user: UserRow,
    /// The user's number.
    pub number: NumberRow,
}

/// The API and what stands behind it.
pub struct World {
    /// The store, also for looking behind the API.
    pub store: Store,
    /// The clock of both.
    pub clock: Arc<TestClock>,
    /// What was published and dropped.
    pub recorder: Arc<Recorder>,
    /// One tenant; `platform` lives in it.
    pub a: Side,
    /// The other.
    pub b: Side,
    /// An administrator of the platform.
    pub platform: UserRow,
    client: reqwest::Client,
    base: String,
    handle: Option<Handle>,
    directory: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body; null when there is none.
    pub body: Value,
}

impl Answer {
    /// The body, if the status is as expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Checks for a whole problem document with this status and code; gives its body.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("urn:tandem:problem:{code}"));
        assert_eq!(self.body["instance"].as_str(), self.headers["x-request-id"].to_str().ok());
        assert!(!self.body["title"].as_str().unwrap().is_empty());
        self.body
    }
}

/// Settings for tests: no limits that a test does not ask for.
pub fn unlimited() -> Config {
    Config {
        requests_per_minute_address: 0,
        requests_per_minute_user: 0,
        requests_per_minute_tenant: 0,
        logins_per_minute: 0,
        ..Config::default()
    }
}

impl World {
    /// With no limits.
    pub async fn start() -> Self {
        Self::with(unlimited()).await
    }

    /// With these settings.
    pub async fn with(config: Config) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("tandem-api-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&directory).unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000)));
        let options = Options { clock: clock.clone(), node: Some(1), ..Options::default() };
        let url = database(&directory, &name);
        let store = Store::open_with(&url, MasterKey::from_bytes(&[7; 32]).unwrap(), options).await.unwrap();
        let (a, b) = (side(&store, "a", "+15550101").await, side(&store, "b", "+15550202").await);
        let platform = person(&store, a.tenant.id, "root", Role::PlatformAdmin).await;
        let recorder = Arc::new(Recorder::default());
        let deps = Deps {
            store: store.clone(),
            directory: Arc::new(store.clone()),
            texts: Arc::new(store.clone()),
            events: recorder.clone(),
            registrations: recorder.clone(),
            clock: clock.clone(),
            turn: TurnAccess {
                turn_uris: vec!["turn:192.0.2.1:3478?transport=udp".into()],
                stun_uris: vec!["stun:192.0.2.1:3478".into()],
                secret: Secret::new("north"),
            },
            sip: SipAccess { uris: vec!["sips:sip.a.example".into()] },
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let handle = control_api::start(config, deps, listener).await.unwrap();
        let base = format!("http://{}", handle.address());
        let client = reqwest::Client::new();
        Self { store, clock, recorder, a, b, platform, client, base, handle: Some(handle), directory }
    }

    /// Where the API listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.handle.as_ref().unwrap().address()
    }

    /// A request as it is; `token` goes into `Authorization`.
    pub fn request(&self, method: Method, path: &str, token: Option<&str>) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        };
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        Answer { status: status.as_u16(), headers, body }
    }

    /// `GET`
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(self.request(Method::GET, path, Some(token))).await
    }

    /// Any method with a JSON body.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        self.send(self.request(method, path, Some(token)).json(body)).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, token, body).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send(self.request(Method::DELETE, path, Some(token))).await
    }

    /// Logs in; the whole answer.
    pub async fn log_in(&self, login: &str, password: &str) -> Answer {
        let body = json!({ "login": login, "password": password });
        self.send(self.request(Method::POST, "/api/v1/auth/login", None).json(&body)).await
    }

    /// The access token of a user.
    pub async fn token(&self, user: &UserRow) -> String {
        let answer = self.log_in(&format!("{}@{}", user.name, user.domain), PASSWORD).await.expect(200);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Gives a user money.
    pub async fn fund(&self, user: &UserRow, micros: i64) {
        let amount = Money::new(micros, Currency::USD);
        let key = self.store.new_id();
        self.store.adjust_wallet(None, user.wallet, amount, "test", "test", key).await.unwrap();
    }

    /// A carrier for all destinations and a price of 0.05 per segment for both tenants.
    pub async fn can_text(&self) {
        let data = CarrierData {
            name: "smsc".into(),
            host: "127.0.0.1".into(),
            port: 2775,
            system_id: "tandem".into(),
            password: Some(Secret::new("secret")),
            system_type: String::new(),
            bind: BindType::Transceiver,
            window: 10,
            submits_per_second: None,
            enabled: true,
        };
        let carrier = self.store.create_carrier(&data).await.unwrap();
        self.store.create_sms_route(None, "", 1, carrier.facts.id).await.unwrap();
        for side in [&self.a, &self.b] {
            let rate = RateData {
                service: Service::SmsOut,
                prefix: "1".into(),
                price_micros: 50_000,
                connect_micros: 0,
                first_increment_s: 1,
                next_increment_s: 1,
                effective_from: Timestamp::from_millis(0),
            };
            self.store.create_rate(side.tenant.id, &rate).await.unwrap();
        }
    }

    /// Stops the API in order.
    pub async fn stop(mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop().await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A SQLite file, or, when `TANDEM_TEST_PGHOST` names the socket directory of a PostgreSQL server, a database there.
fn database(directory: &Path, name: &str) -> String {
    let Ok(host) = std::env::var("TANDEM_TEST_PGHOST") else { return format!("sqlite:{}/api.db", directory.display()) };
    let made = std::process::Command::new("createdb").args(["-h", &host, "-U", "postgres", name]).status();
    assert!(made.is_ok_and(|status| status.success()), "createdb failed");
    format!("postgres://postgres@localhost/{name}?host={host}")
}

async fn side(store: &Store, name: &str, number: &str) -> Side {
    let new = NewTenant {
        name: name.into(),
        currency: Currency::USD,
        domains: vec![format!("{name}.example")],
        inbound_charged: false,
        refund_undelivered: false,
        secure_media: false,
    };
    let tenant = store.create_tenant(&new).await.unwrap();
    let admin = person(store, tenant.id, "admin", Role::TenantAdmin).await;
    let user = person(store, tenant.id, "alice", Role::User).await;
    let number = NewNumber {
        tenant: tenant.id,
        user: Some(user.id),
        number: number.parse().unwrap(),
        kind: NumberKind::Local,
        status: NumberStatus::Active,
        time_zone: "UTC".into(),
        sms: true,
    };
    let number = store.create_number(&number).await.unwrap();
    Side { tenant, admin, user, number }
}

async fn person(store: &Store, tenant: Id<Tenant>, name: &str, role: Role) -> UserRow {
    let new = NewUser {
        tenant,
        name: name.into(),
        domain: None,
        email: None,
        display_name: None,
        role,
        password: Some(Secret::new(PASSWORD)),
    };
    store.create_user(&new).await.unwrap()
}
