//! What a contract test runs on: a store on a database of its own, with a clock in our hand; on SQLite (a file) and on
//! PostgreSQL (a private server that ends with the test run).

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base::id::kind::{Call, Number, Tenant};
use base::time::Clock;
use base::{Currency, E164, Id, Money, Random, Timestamp};
use domain::call_record::{CallDirection, CallEnd, CallParties, CallState};
use domain::number::NumberStatus;
use domain::ports::NewCall;
use domain::wallet::Hold;
use sqlx::{Connection, Executor};
use store::{MasterKey, NewNumber, NewTenant, NewUser, NumberKind, Options, Role, Store, TenantRow, UserRow};

/// Time that only the test moves.
pub(crate) struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A store under test.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) url: String,
    clock: Arc<Hand>,
    folder: Option<std::path::PathBuf>,
}

const KEY: [u8; 32] = [42; 32];
const START_MS: i64 = 1_795_266_000_000;

impl World {
    pub(crate) async fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(format!("tandem-store-{}", Random::from_entropy().token(16)));
        std::fs::create_dir(&folder).expect("a folder in the temporary directory");
        let url = format!("sqlite:{}", folder.join("tandem.db").display());
        Self::open(url, Some(folder)).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::open(server().database().await, None).await
    }

    async fn open(url: String, folder: Option<std::path::PathBuf>) -> Self {
        let clock = Arc::new(Hand(AtomicI64::new(START_MS)));
        let store = open(&url, Arc::clone(&clock)).await;
        Self { store, url, clock, folder }
    }

    /// Another process on the same database.
    pub(crate) async fn another(&self) -> Store {
        open(&self.url, Arc::clone(&self.clock)).await
    }

    /// The process dies and a new one starts.
    pub(crate) async fn crash(&mut self) {
        self.store = self.another().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).expect("a short time"), Ordering::SeqCst);
    }

    /// A raw connection, for looking and for breaking things.
    pub(crate) async fn raw(&self) -> sqlx::AnyConnection {
        let url = self.url.replacen("sqlite:", "sqlite://", 1);
        sqlx::AnyConnection::connect(&url).await.expect("a connection")
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantRow {
        let new = NewTenant {
            name: name.into(),
            currency: Currency::USD,
            domains: vec![format!("{name}.example")],
            inbound_charged: false,
            refund_undelivered: false,
            secure_media: false,
        };
        self.store.create_tenant(&new).await.expect("a tenant")
    }

    pub(crate) async fn user(&self, tenant: Id<Tenant>, name: &str) -> UserRow {
        let new = NewUser {
            tenant,
            name: name.into(),
            domain: None,
            email: None,
            display_name: None,
            role: Role::User,
            password: None,
        };
        self.store.create_user(&new).await.expect("a user")
    }

    /// A user with money.
    pub(crate) async fn funded(&self, tenant: Id<Tenant>, name: &str, micros: i64) -> UserRow {
        let user = self.user(tenant, name).await;
        self.fund(&user, micros).await;
        user
    }

    pub(crate) async fn fund(&self, user: &UserRow, micros: i64) {
        let key = self.store.new_id();
        let adjusted = self.store.adjust_wallet(None, user.wallet, usd(micros), "test", "test", key).await;
        adjusted.expect("the wallet takes money");
    }

    pub(crate) async fn number(&self, owner: &UserRow, number: &str) -> Id<Number> {
        let new = NewNumber {
            tenant: owner.tenant,
            user: Some(owner.id),
            number: e164(number),
            kind: NumberKind::Local,
            status: NumberStatus::Active,
            time_zone: "UTC".into(),
            sms: true,
        };
        self.store.create_number(&new).await.expect("a number").id
    }

    /// Balance and holds of a user's wallet, micros.
    pub(crate) async fn wallet(&self, user: &UserRow) -> (i64, i64) {
        let wallet = self.store.find_wallet(None, user.wallet).await.expect("the wallet");
        (wallet.balance.micros, wallet.held.micros)
    }

    /// The ledger adds up.
    pub(crate) async fn check_ledger(&self) {
        let report = self.store.verify_ledger().await.expect("a report");
        assert_eq!(report.faults, Vec::<String>::new());
    }

    /// Who calls whom, for a call of `user`.
    pub(crate) fn parties(&self, user: &UserRow, to: &str) -> CallParties {
        let call: Id<Call> = self.store.new_id();
        CallParties {
            call,
            sip_call_id: format!("{call}@test"),
            tenant: user.tenant,
            user: Some(user.id),
            callee_user: None,
            device: None,
            direction: CallDirection::Outbound,
            from: "+15550000001".into(),
            to: to.into(),
            trunk_in: None,
            started_at: self.now(),
        }
    }

    /// A call of `user` that asks for `wanted` micros, of which `least` are of use.
    pub(crate) fn call(&self, user: &UserRow, wanted: i64, least: i64) -> NewCall {
        let hold = Hold { wallet: user.wallet, wanted: usd(wanted), least: usd(least) };
        NewCall {
            parties: self.parties(user, "+442071234567"),
            hold: Some(hold),
            rate: None,
            ttl: Duration::from_secs(90),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            _ = std::fs::remove_dir_all(folder);
        }
    }
}

async fn open(url: &str, clock: Arc<Hand>) -> Store {
    let options = Options { clock, ..Options::default() };
    let key = MasterKey::from_bytes(&KEY).expect("a key");
    Store::open_with(url, key, options).await.expect("a store")
}

pub(crate) fn usd(micros: i64) -> Money {
    Money::new(micros, Currency::USD)
}

pub(crate) fn e164(number: &str) -> E164 {
    number.parse().expect("an E.164 number")
}

/// The end of a call that was answered at `answered_at` and costs `price` micros.
pub(crate) fn completed(answered_at: Timestamp, ended_at: Timestamp, price: Option<i64>) -> CallEnd {
    let talked_s = ended_at.since(answered_at).as_secs();
    CallEnd {
        state: CallState::Completed,
        cause: "normal".into(),
        sip_status: 200,
        q850: 16,
        ended_by: "caller".into(),
        answered_at: Some(answered_at),
        ended_at,
        talked_s,
        billed_s: talked_s,
        trunk_out: None,
        forwarded_to: None,
        price: price.map(usd),
        legs: vec![],
    }
}

/// The end of a call that nobody answered.
pub(crate) fn unanswered(ended_at: Timestamp, state: CallState, cause: &str) -> CallEnd {
    CallEnd {
        state,
        cause: cause.into(),
        sip_status: 487,
        q850: 31,
        answered_at: None,
        talked_s: 0,
        billed_s: 0,
        price: None,
        ..completed(ended_at, ended_at, None)
    }
}

/// A private PostgreSQL server. It ends, and its folder goes, when the pipe to its keeper closes: with this process.
struct Server {
    socket: String,
    _keeper: (Child, ChildStdin),
}

/// Prepares, starts and says so; then waits for the end of its input.
const KEEPER: &str = r#"
set -e
umask 022
mkdir "$FOLDER"
"$BIN/initdb" -D "$FOLDER/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >"$FOLDER/initdb.log" 2>&1
"$BIN/pg_ctl" -w -D "$FOLDER/data" -l "$FOLDER/server.log" -o "-k $FOLDER -c listen_addresses='' -c fsync=off \
  -c max_connections=300 -c shared_buffers=64MB" start >"$FOLDER/start.log" 2>&1
echo ready
cat >/dev/null
"$BIN/pg_ctl" -w -m immediate -D "$FOLDER/data" stop >/dev/null 2>&1 || true
rm -rf "$FOLDER"
"#;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let bin = server_programs().expect(
            "PostgreSQL is needed for these tests: no initdb in PATH, /usr/local/bin or /usr/lib/postgresql/*/bin \
             (apt install postgresql)",
        );
        let socket = format!("/tmp/tandem-pg-{}", Random::from_entropy().token(12));
        // A server refuses to run as root; the package makes a user for it.
        let mut command = if is_root() { Command::new("runuser") } else { Command::new("sh") };
        if is_root() {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        command.args(["-c", KEEPER]).env("BIN", bin).env("FOLDER", &socket).current_dir("/");
        let mut keeper =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runuser or sh can be started");
        let mut line = String::new();
        let output = keeper.stdout.take().expect("its output is ours");
        BufReader::new(output).read_line(&mut line).expect("its output can be read");
        assert_eq!(line.trim(), "ready", "the PostgreSQL server did not start: see {socket}/*.log");
        let input = keeper.stdin.take().expect("its input is ours");
        Server { socket, _keeper: (keeper, input) }
    })
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("procfs")) == 0
}

fn server_programs() -> Option<String> {
    let mut folders: Vec<String> = std::env::var("PATH").unwrap_or_default().split(':').map(str::to_owned).collect();
    folders.push("/usr/local/bin".into());
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.splice(0..0, versions.flatten().map(|v| v.path().join("bin").display().to_string()));
    }
    folders.into_iter().find(|f| ["initdb", "pg_ctl"].iter().all(|p| std::path::Path::new(f).join(p).exists()))
}

impl Server {
    /// The URL of a new, empty database.
    async fn database(&self) -> String {
        sqlx::any::install_default_drivers();
        let name = format!("t{}", Random::from_entropy().token(12));
        let url = |name: &str| format!("postgres://postgres@localhost/{name}?host={}", self.socket);
        let mut connection = sqlx::AnyConnection::connect(&url("postgres")).await.expect("the server answers");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.expect("a database can be made");
        connection.close().await.expect("the connection closes");
        url(&name)
    }
}
