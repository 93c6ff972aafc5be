//! What the gateway needs, in memory: a queue that keeps the port's promises, a directory that can change, and SMSCs on
//! loopback sockets that are driven by the accepting side of the session machine.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

pub mod smsc;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use base::id::kind;
use base::time::{Clock, SystemClock};
use base::{E164, Id, IdGenerator, Secret, Timestamp};
use domain::account::{TenantFacts, UserFacts};
use domain::event::Fact;
use domain::number::NumberFacts;
use domain::ports::{Directory, Events, InboundOutcome, ReceiptOutcome, SmsError, SmsQueue, SmsSwept, Unavailable};
use domain::rate::{Rate, Service};
use domain::sms::*;
use domain::trunk::{BindType, CarrierFacts, TrunkFacts};
use smpp_gateway::{Config, Deps, Handle};
use tokio::sync::{Notify, watch};

/// How long a test waits before it says that something did not happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub type CarrierId = Id<kind::Carrier>;

pub fn carrier_id(n: i64) -> CarrierId {
    Id::from_i64(n)
}

#[derive(Debug, Clone, PartialEq)]
pub enum RowState {
    Queued,
    Accepted { carrier: CarrierId, id: String },
    Delivered,
    Failed { code: u32 },
}

#[derive(Debug, Clone)]
pub struct Row {
    pub part: QueuedPart,
    pub plan: Vec<CarrierId>,
    pub due_at: Timestamp,
    pub lease_until: Timestamp,
    pub state: RowState,
}

#[derive(Debug, Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub receipts: Vec<ReceiptReport>,
    pub inbound: Vec<InboundPart>,
    pub claims: usize,
    pub retries: Vec<u32>,
}

/// The queue port in memory.
pub struct MemoryQueue {
    state: Mutex<Rows>,
    changed: watch::Sender<u64>,
    pub down: AtomicBool,
    /// Answers with this id are refused, for ever.
    pub poison: Mutex<Option<String>>,
    next: Mutex<i64>,
}

impl MemoryQueue {
    pub fn new() -> Arc<Self> {
        let (changed, _) = watch::channel(0);
        Arc::new(Self {
            state: Mutex::default(),
            changed,
            down: AtomicBool::new(false),
            poison: Mutex::default(),
            next: Mutex::new(1),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, Rows> {
        self.state.lock().unwrap()
    }

    fn change(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    fn up(&self) -> Result<(), Unavailable> {
        if self.down.load(Ordering::SeqCst) { Err(Unavailable("switched off by the test".into())) } else { Ok(()) }
    }

    /// Queues a one-part text.
    pub fn put(&self, text: &str, plan: &[CarrierId]) {
        let now = SystemClock.now();
        let mut next = self.next.lock().unwrap();
        *next += 1;
        let part = QueuedPart {
            message: Id::from_i64((now.as_millis() << 21) + *next),
            part: 1,
            parts: 1,
            carrier: plan[0],
            from: "+15550001".parse().unwrap(),
            to: "+15550002".parse().unwrap(),
            text: text.into(),
            encoding: Encoding::Gsm7,
            reference: 1,
            attempts: 0,
            valid_until: now.after(Duration::from_secs(600)),
        };
        let plan = plan.to_vec();
        self.lock().rows.push(Row {
            part,
            plan,
            due_at: now,
            lease_until: Timestamp::default(),
            state: RowState::Queued,
        });
    }

    /// Waits until `good` holds.
    pub async fn until(&self, what: &str, good: impl Fn(&Rows) -> bool) {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !good(&self.lock()) {
                changed.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("{what} did not happen: {:#?}", self.lock());
        }
    }

    pub fn accepted(&self) -> usize {
        self.lock().rows.iter().filter(|row| matches!(row.state, RowState::Accepted { .. })).count()
    }
}

#[async_trait]
impl SmsQueue for MemoryQueue {
    async fn accept(&self, _: NewMessage) -> Result<Id<kind::Message>, SmsError> {
        Err(SmsError::Unavailable(Unavailable("not part of these tests".into())))
    }

    async fn claim(
        &self,
        available: &[CarrierId],
        with_room: &[CarrierId],
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<QueuedPart>, Unavailable> {
        self.lock().claims += 1;
        self.change();
        self.up()?;
        let mut state = self.lock();
        let mut due: Vec<_> = state
            .rows
            .iter_mut()
            .filter(|row| row.state == RowState::Queued && row.due_at <= now && row.lease_until <= now)
            .collect();
        due.sort_by_key(|row| (row.due_at, row.part.message, row.part.part));
        let mut claimed = vec![];
        for row in due {
            let Some(carrier) = row.plan.iter().find(|carrier| available.contains(carrier)) else { continue };
            if !with_room.contains(carrier) {
                continue;
            }
            if claimed.len() == limit {
                break;
            }
            row.part.carrier = *carrier;
            row.lease_until = now.after(lease);
            claimed.push(row.part.clone());
        }
        Ok(claimed)
    }

    async fn unclaim(&self, parts: &[QueuedPart]) -> Result<(), Unavailable> {
        self.up()?;
        for part in parts {
            for row in self.lock().rows.iter_mut() {
                if (row.part.message, row.part.part) == (part.message, part.part) && row.state == RowState::Queued {
                    row.lease_until = Timestamp::default();
                }
            }
        }
        self.change();
        Ok(())
    }

    async fn submitted(&self, outcomes: &[SubmitOutcome]) -> Result<Vec<StatusChange>, Unavailable> {
        self.up()?;
        let poison = self.poison.lock().unwrap().clone();
        let poisoned = |outcome: &SubmitOutcome| match &outcome.result {
            SubmitResult::Accepted { carrier_message_id } => Some(carrier_message_id) == poison.as_ref(),
            _ => false,
        };
        if outcomes.iter().any(poisoned) {
            return Err(Unavailable("poison".into()));
        }
        let mut state = self.lock();
        for outcome in outcomes {
            let Rows { rows, retries, .. } = &mut *state;
            let row = rows.iter_mut().find(|row| (row.part.message, row.part.part) == (outcome.message, outcome.part));
            let row = row.unwrap();
            if row.state != RowState::Queued {
                continue;
            }
            match &outcome.result {
                SubmitResult::Accepted { carrier_message_id } => {
                    row.state = RowState::Accepted { carrier: outcome.carrier, id: carrier_message_id.clone() };
                }
                SubmitResult::Delivered => row.state = RowState::Delivered,
                SubmitResult::RetryAt { at, code } => {
                    row.part.attempts += 1;
                    row.due_at = *at;
                    row.lease_until = Timestamp::default();
                    retries.push(*code);
                }
                SubmitResult::NextCarrier { code } => {
                    row.plan.retain(|carrier| *carrier != outcome.carrier);
                    row.lease_until = Timestamp::default();
                    if row.plan.is_empty() {
                        row.state = RowState::Failed { code: *code };
                    }
                }
                SubmitResult::Failed { code } => row.state = RowState::Failed { code: *code },
            }
        }
        drop(state);
        self.change();
        Ok(vec![])
    }

    async fn receipt(&self, report: ReceiptReport) -> Result<(ReceiptOutcome, Vec<StatusChange>), Unavailable> {
        self.up()?;
        let mut state = self.lock();
        let known = state.rows.iter().find(|row| {
            matches!(&row.state, RowState::Accepted { carrier, id }
                if *carrier == report.carrier && report.id_candidates.contains(&id.to_lowercase().trim_start_matches('0').to_owned()))
        });
        let outcome = known.map_or(ReceiptOutcome::Parked, |row| ReceiptOutcome::Matched(row.part.message));
        state.receipts.push(report);
        drop(state);
        self.change();
        Ok((outcome, vec![]))
    }

    async fn inbound(&self, part: InboundPart) -> Result<InboundOutcome, Unavailable> {
        self.up()?;
        if part.to.as_str() != "+15550001" {
            return Ok(InboundOutcome::UnknownNumber);
        }
        let id = part.id;
        let whole = part.concatenation.is_none();
        self.lock().inbound.push(part);
        self.change();
        Ok(if whole { InboundOutcome::Stored(id) } else { InboundOutcome::PartStored })
    }

    async fn sweep(&self, _: Timestamp) -> Result<SmsSwept, Unavailable> {
        Ok(SmsSwept::default())
    }
}

/// The directory port: carriers only.
#[derive(Default)]
pub struct MemoryDirectory {
    pub carriers: Mutex<BTreeMap<CarrierId, CarrierFacts>>,
}

impl MemoryDirectory {
    pub fn set(&self, facts: CarrierFacts) {
        self.carriers.lock().unwrap().insert(facts.id, facts);
    }
}

#[async_trait]
impl Directory for MemoryDirectory {
    async fn tenant_of_domain(&self, _: &str) -> Result<Option<Arc<TenantFacts>>, Unavailable> {
        Ok(None)
    }
    async fn tenant(&self, _: Id<kind::Tenant>) -> Result<Option<Arc<TenantFacts>>, Unavailable> {
        Ok(None)
    }
    async fn user(&self, _: Id<kind::User>) -> Result<Option<Arc<UserFacts>>, Unavailable> {
        Ok(None)
    }
    async fn user_by_name(&self, _: Id<kind::Tenant>, _: &str) -> Result<Option<Arc<UserFacts>>, Unavailable> {
        Ok(None)
    }
    async fn number(&self, _: &E164) -> Result<Option<Arc<NumberFacts>>, Unavailable> {
        Ok(None)
    }
    async fn trunk_by_source(&self, _: std::net::IpAddr, _: u16) -> Result<Option<Arc<TrunkFacts>>, Unavailable> {
        Ok(None)
    }
    async fn trunks_for(&self, _: Id<kind::Tenant>, _: &E164) -> Result<Vec<Arc<TrunkFacts>>, Unavailable> {
        Ok(vec![])
    }
    async fn rate(&self, _: Id<kind::Tenant>, _: Service, _: &E164) -> Result<Option<Rate>, Unavailable> {
        Ok(None)
    }
    async fn carriers(&self) -> Result<Vec<Arc<CarrierFacts>>, Unavailable> {
        Ok(self.carriers.lock().unwrap().values().cloned().map(Arc::new).collect())
    }
    async fn carriers_for(&self, _: Id<kind::Tenant>, _: &E164) -> Result<Vec<CarrierId>, Unavailable> {
        Ok(vec![])
    }
}

struct NoEvents;
impl Events for NoEvents {
    fn publish(&self, _: Option<Id<kind::Tenant>>, _: Fact) {}
}

/// A carrier whose SMSC listens on `port`.
pub fn carrier(n: i64, port: u16) -> CarrierFacts {
    CarrierFacts {
        id: carrier_id(n),
        name: format!("test-carrier-{n}-{port}"),
        host: "127.0.0.1".into(),
        port,
        system_id: "tandem".into(),
        password: Secret::new("secret"),
        system_type: String::new(),
        bind: BindType::Transceiver,
        window: 10,
        submits_per_second: None,
        enabled: true,
    }
}

/// Short times, so that nothing has to be waited for.
pub fn quick() -> Config {
    Config {
        poll_interval_ms: 20,
        reconnect_min_ms: 20,
        reconnect_max_ms: 100,
        retry_min_ms: 20,
        retry_max_ms: 100,
        ..Config::default()
    }
}

/// Everything around one gateway.
pub struct World {
    pub queue: Arc<MemoryQueue>,
    pub directory: Arc<MemoryDirectory>,
    pub queued: Arc<Notify>,
}

impl World {
    pub fn new(carriers: impl IntoIterator<Item = CarrierFacts>) -> Self {
        let directory = Arc::new(MemoryDirectory::default());
        carriers.into_iter().for_each(|facts| directory.set(facts));
        Self { queue: MemoryQueue::new(), directory, queued: Arc::default() }
    }

    pub fn start(&self, config: Config) -> Handle {
        let ids = Mutex::new(IdGenerator::new(1));
        smpp_gateway::start(
            config,
            Deps {
                queue: self.queue.clone(),
                directory: self.directory.clone(),
                events: Arc::new(NoEvents),
                clock: Arc::new(SystemClock),
                message_id: Arc::new(move || ids.lock().unwrap().next(SystemClock.now())),
                queued: self.queued.clone(),
                seed: 7,
            },
        )
        .unwrap()
    }
}
