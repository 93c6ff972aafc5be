//! A gateway on a real store, whose process ends before or after each thing that it asks of the queue. Time is the
//! test's; what happened is known from the published facts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base::id::kind::{Carrier, Message, Tenant};
use base::time::Clock;
use base::{Currency, Id, Money, Random, Timestamp};
use domain::event::Fact;
use domain::number::NumberStatus;
use domain::ports::{Directory, Events, InboundOutcome, ReceiptOutcome, SmsError, SmsQueue, SmsSwept, Unavailable};
use domain::sms::*;
use domain::trunk::ON_NET;
use store::{MasterKey, MessageFilter, NewNumber, NewTenant, NewUser, NumberKind, Options, Role, Store, UserRow};
use tokio::sync::{Notify, mpsc};

const PATIENCE: Duration = Duration::from_secs(20);

struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Facts, in the order in which they were published.
struct Listener(mpsc::UnboundedSender<Fact>);
impl Events for Listener {
    fn publish(&self, _: Option<Id<Tenant>>, fact: Fact) {
        _ = self.0.send(fact);
    }
}

/// The store's queue, until as many steps are done as the process has left; then nothing is answered any more.
struct Cut {
    store: Store,
    steps_left: Mutex<u32>,
    ended: Notify,
}

impl Cut {
    /// One step: the process ends here when none is left.
    async fn step(&self) {
        let goes_on = {
            let mut left = self.steps_left.lock().unwrap();
            let goes_on = *left > 0;
            *left = left.saturating_sub(1);
            goes_on
        };
        if !goes_on {
            self.ended.notify_one();
            std::future::pending().await
        }
    }
}

#[async_trait]
impl SmsQueue for Cut {
    async fn accept(&self, message: NewMessage) -> Result<Id<Message>, SmsError> {
        self.store.accept(message).await
    }
    async fn claim(
        &self,
        available: &[Id<Carrier>],
        with_room: &[Id<Carrier>],
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<QueuedPart>, Unavailable> {
        let claimed = self.store.claim(available, with_room, limit, now, lease).await?;
        if !claimed.is_empty() {
            self.step().await;
        }
        Ok(claimed)
    }
    async fn unclaim(&self, parts: &[QueuedPart]) -> Result<(), Unavailable> {
        self.store.unclaim(parts).await
    }
    async fn submitted(&self, outcomes: &[SubmitOutcome]) -> Result<Vec<StatusChange>, Unavailable> {
        let changes = self.store.submitted(outcomes).await?;
        self.step().await;
        Ok(changes)
    }
    async fn receipt(&self, report: ReceiptReport) -> Result<(ReceiptOutcome, Vec<StatusChange>), Unavailable> {
        self.store.receipt(report).await
    }
    async fn inbound(&self, part: InboundPart) -> Result<InboundOutcome, Unavailable> {
        let outcome = self.store.inbound(part).await?;
        self.step().await;
        Ok(outcome)
    }
    async fn sweep(&self, now: Timestamp) -> Result<SmsSwept, Unavailable> {
        SmsQueue::sweep(&self.store, now).await
    }
}

struct World {
    folder: PathBuf,
    store: Store,
    clock: Arc<Hand>,
    alice: UserRow,
    bob: UserRow,
}

impl Drop for World {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tandem-on-net-{}", Random::from_entropy().token(16)));
        std::fs::create_dir(&folder).unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
        let options = Options { clock: clock.clone(), ..Options::default() };
        let url = format!("sqlite:{}", folder.join("tandem.db").display());
        let store = Store::open_with(&url, MasterKey::from_bytes(&[5; 32]).unwrap(), options).await.unwrap();
        let tenant = NewTenant {
            name: "acme".into(),
            currency: Currency::USD,
            domains: vec!["acme.example".into()],
            inbound_charged: false,
            refund_undelivered: false,
            secure_media: false,
        };
        let tenant = store.create_tenant(&tenant).await.unwrap().id;
        let (alice, bob) =
            (user(&store, tenant, "alice", "+12025550101").await, user(&store, tenant, "bob", "+12025550102").await);
        let amount = Money::new(100, Currency::USD);
        store.adjust_wallet(None, alice.wallet, amount, "test", "test", store.new_id()).await.unwrap();
        Self { folder, store, clock, alice, bob }
    }

    /// A text of alice's to bob, as the API would queue it.
    async fn queue(&self, body: &str) -> Id<Message> {
        let to = "+12025550102".parse().unwrap();
        let carriers = self.store.carriers_for(self.alice.tenant, &to).await.unwrap();
        assert_eq!(carriers, [ON_NET]);
        let (composed, now) = (compose(body).unwrap(), self.store.now());
        let message = NewMessage {
            id: self.store.new_id(),
            tenant: self.alice.tenant,
            user: self.alice.id,
            wallet: self.alice.wallet,
            from: "+12025550101".parse().unwrap(),
            to,
            body: body.into(),
            encoding: composed.encoding,
            price: Money::new(10 * composed.segments.len() as i64, Currency::USD),
            segments: composed.segments,
            carriers,
            created_at: now,
            due_at: now,
            valid_until: now.after(Duration::from_secs(3600)),
        };
        self.store.accept(message).await.unwrap()
    }

    /// A process that has so many steps to live.
    fn process(&self, steps: u32) -> (smpp_gateway::Handle, Arc<Cut>, mpsc::UnboundedReceiver<Fact>) {
        let queue = Arc::new(Cut { store: self.store.clone(), steps_left: Mutex::new(steps), ended: Notify::new() });
        let (listener, facts) = mpsc::unbounded_channel();
        let store = self.store.clone();
        let deps = smpp_gateway::Deps {
            queue: queue.clone(),
            directory: Arc::new(self.store.clone()),
            events: Arc::new(Listener(listener)),
            clock: self.clock.clone(),
            message_id: Arc::new(move || store.new_id()),
            queued: Arc::default(),
            seed: 1,
        };
        let config = smpp_gateway::Config { poll_interval_ms: 10, ..smpp_gateway::Config::default() };
        (smpp_gateway::start(config, deps).unwrap(), queue, facts)
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    async fn status(&self, message: Id<Message>) -> MessageStatus {
        self.store.find_message(None, None, message).await.unwrap().status
    }

    async fn assert_delivered_once(&self, message: Id<Message>, body: &str) {
        assert_eq!(self.status(message).await, MessageStatus::Delivered);
        let filter = MessageFilter { user: Some(self.bob.id), ..MessageFilter::default() };
        let texts = self.store.list_messages(None, &filter, None, 10).await.unwrap();
        assert_eq!(texts.iter().map(|t| t.body.as_str()).collect::<Vec<_>>(), [body]);
        assert_eq!(texts[0].id, message.twin());
        let wallet = self.store.find_wallet(None, self.alice.wallet).await.unwrap();
        assert_eq!((wallet.balance.micros, wallet.held.micros), (70, 0));
        assert_eq!(self.store.verify_ledger().await.unwrap().faults, Vec::<String>::new());
    }
}

async fn user(store: &Store, tenant: Id<Tenant>, name: &str, number: &str) -> UserRow {
    let new = NewUser {
        tenant,
        name: name.into(),
        domain: None,
        email: None,
        display_name: None,
        role: Role::User,
        password: None,
    };
    let user = store.create_user(&new).await.unwrap();
    let number = NewNumber {
        tenant,
        user: Some(user.id),
        number: number.parse().unwrap(),
        kind: NumberKind::Local,
        status: NumberStatus::Active,
        time_zone: "UTC".into(),
        sms: true,
    };
    store.create_number(&number).await.unwrap();
    user
}

/// Waits for a fact.
async fn hear(facts: &mut mpsc::UnboundedReceiver<Fact>, wanted: &Fact) {
    let wait = async {
        while let Some(fact) = facts.recv().await {
            if fact == *wanted {
                return;
            }
        }
        panic!("the gateway has ended");
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never published: {wanted:?}"));
}

/// Steps of a text of three segments: claimed, three times stored, noted.
const STEPS: u32 = 5;

#[tokio::test]
async fn a_process_that_ends_after_any_step_leaves_a_text_that_arrives_once() {
    let body = "three segments ".repeat(25);
    for steps in 0..STEPS {
        let world = World::new().await;
        let id = world.queue(&body).await;
        let (gateway, queue, _facts) = world.process(steps);
        tokio::time::timeout(PATIENCE, queue.ended.notified()).await.unwrap();
        drop(gateway);
        if steps + 1 == STEPS {
            assert_eq!(world.status(id).await, MessageStatus::Delivered, "it was noted");
            world.assert_delivered_once(id, &body).await;
            continue;
        }
        assert_eq!(world.status(id).await, MessageStatus::Queued, "after {steps} steps");
        // The text is still that process's until its lease ends, and not too old when it does.
        world.pass(Duration::from_secs(600));
        let (gateway, _queue, mut facts) = world.process(u32::MAX);
        let status = MessageStatus::Delivered;
        hear(&mut facts, &Fact::SmsStatus { message: id, user: Some(world.alice.id), status }).await;
        world.assert_delivered_once(id, &body).await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_text_that_arrived_is_not_failed_because_nobody_noted_it_in_time() {
    let body = "three segments ".repeat(25);
    let world = World::new().await;
    let id = world.queue(&body).await;
    let (gateway, queue, mut facts) = world.process(3);
    tokio::time::timeout(PATIENCE, queue.ended.notified()).await.unwrap();
    drop(gateway);
    assert!(facts.try_recv().is_err(), "it ended before it could tell");
    // The switch was down for two days, and bob has given up his number meanwhile.
    world.pass(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(SmsQueue::sweep(&world.store, world.store.now()).await.unwrap().changes, []);
    let numbers = world
        .store
        .list_numbers(
            None,
            &store::NumberFilter { user: Some(world.bob.id), ..Default::default() },
            store::Page::default(),
        )
        .await
        .unwrap();
    let change = store::NumberChange { status: Some(NumberStatus::Inactive), ..Default::default() };
    world.store.update_number(None, numbers[0].id, &change).await.unwrap();
    let (gateway, _queue, mut facts) = world.process(u32::MAX);
    let status = MessageStatus::Delivered;
    hear(&mut facts, &Fact::SmsStatus { message: id, user: Some(world.alice.id), status }).await;
    world.assert_delivered_once(id, &body).await;
    gateway.stop().await;
}

#[tokio::test]
async fn sender_and_recipient_are_told() {
    let world = World::new().await;
    let (gateway, _queue, mut facts) = world.process(u32::MAX);
    let id = world.queue(&"three segments ".repeat(25)).await;
    let mut heard = vec![];
    while heard.len() < 3 {
        heard.push(tokio::time::timeout(PATIENCE, facts.recv()).await.unwrap().unwrap());
    }
    let status = |status| Fact::SmsStatus { message: id, user: Some(world.alice.id), status };
    let inbound = Fact::SmsInbound { message: id.twin(), user: Some(world.bob.id) };
    assert_eq!(heard, [inbound, status(MessageStatus::Sent), status(MessageStatus::Delivered)]);
    gateway.stop().await;
    assert!(facts.try_recv().is_err(), "told once");
}
