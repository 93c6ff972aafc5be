//! The `MediaRelay` port: finds the session, lets it decide, tells its worker. Also the watch over sessions that fell silent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::id::kind::MediaSession;
use base::{Id, Random};
use domain::ports::{
    LegIndex, LegStatistics, MediaAnswer, MediaError, MediaNotice, MediaOffer, MediaRelay, MediaSignal,
};
use tokio::sync::mpsc::Sender;

use crate::config::Checked;
use crate::metrics::RelayMetrics;
use crate::ports::Ports;
use crate::session::{Context, Session};
use crate::sys::Waker;
use crate::worker::{Command, Connection};

type SessionId = Id<MediaSession>;

/// How often silent sessions are looked for.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// A session that nobody answers within this is nobody's: calls do not ring that long.
const UNANSWERED_MAX: Duration = Duration::from_secs(15 * 60);

/// How a worker is reached.
pub(crate) struct WorkerDoor {
    pub(crate) commands: SyncSender<Command>,
    pub(crate) waker: Arc<Waker>,
}

impl WorkerDoor {
    fn tell(&self, command: Command) -> Result<(), MediaError> {
        let told = self.commands.try_send(command).map_err(|_| MediaError::Full("relay thread is behind".into()));
        self.waker.wake();
        told
    }
}

struct Entry {
    session: Mutex<Session>,
    /// Milliseconds since the relay started.
    created_at_ms: u64,
}

/// The relay as other services see it.
pub struct Relay {
    sessions: RwLock<HashMap<SessionId, Arc<Entry>>>,
    workers: Vec<WorkerDoor>,
    next_worker: AtomicUsize,
    next_key: AtomicU64,
    ports: Ports,
    checked: Checked,
    random: Mutex<Random>,
    epoch: Instant,
    notices: Sender<MediaNotice>,
    metrics: RelayMetrics,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    pub(crate) fn new(
        workers: Vec<WorkerDoor>,
        ports: Ports,
        checked: Checked,
        random: Random,
        epoch: Instant,
        notices: Sender<MediaNotice>,
        metrics: RelayMetrics,
    ) -> Self {
        Self {
            sessions: RwLock::default(),
            workers,
            next_worker: AtomicUsize::new(0),
            next_key: AtomicU64::new(1),
            ports,
            checked,
            random: Mutex::new(random),
            epoch,
            notices,
            metrics,
        }
    }

    fn find(&self, session: SessionId) -> Option<Arc<Entry>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).get(&session).cloned()
    }

    /// The session, made when unknown; whether it was made.
    fn find_or_make(&self, session: SessionId) -> Result<(Arc<Entry>, bool), MediaError> {
        if let Some(entry) = self.find(session) {
            return Ok((entry, false));
        }
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= self.checked.sessions_max && !sessions.contains_key(&session) {
            return Err(MediaError::Full("too many media sessions".into()));
        }
        let worker = self.next_worker.fetch_add(1, Relaxed) % self.workers.len();
        let fresh = || Arc::new(Entry { session: Mutex::new(Session::new(worker)), created_at_ms: self.clock_ms() });
        let entry = Arc::clone(sessions.entry(session).or_insert_with(fresh));
        self.metrics.sessions.set(sessions.len() as i64);
        Ok((entry, true))
    }

    fn take(&self, session: SessionId) -> Option<Arc<Entry>> {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        let entry = sessions.remove(&session);
        self.metrics.sessions.set(sessions.len() as i64);
        entry
    }

    /// Works on a session with what it needs from here. Nothing in it waits.
    fn with<T>(&self, entry: &Entry, work: impl FnOnce(&mut Session, &mut Context<'_>) -> T) -> T {
        let mut session = lock(&entry.session);
        let mut random = lock(&self.random).fork();
        let mut context = Context {
            ports: &self.ports,
            suites: &self.checked.suites,
            latch: self.checked.latch,
            random: &mut random,
            next_key: &self.next_key,
        };
        work(&mut session, &mut context)
    }

    fn clock_ms(&self) -> u64 {
        (self.epoch.elapsed().as_millis() as u64).max(1)
    }

    /// Removes streams from their worker. They must go, so a full queue is waited for; the worker empties it each round.
    fn remove_streams(&self, worker: usize, removed: Vec<u64>) {
        if !removed.is_empty() {
            let connection = Connection { removed, ..Connection::default() };
            let door = &self.workers[worker];
            door.waker.wake();
            // Fails only when the worker has ended, and its sockets with it.
            let _ = door.commands.send(Command::Connect(Box::new(connection)));
            door.waker.wake();
        }
    }

    /// Stops or resumes passing on what a leg sends.
    pub fn block_media(&self, session: SessionId, leg: LegIndex, blocked: bool) -> Result<(), MediaError> {
        self.restrict(session, leg, blocked, false)
    }

    /// Replaces what a leg sends by silence, or no longer.
    pub fn silence_media(&self, session: SessionId, leg: LegIndex, silenced: bool) -> Result<(), MediaError> {
        self.restrict(session, leg, false, silenced)
    }

    fn restrict(&self, session: SessionId, leg: LegIndex, blocked: bool, silenced: bool) -> Result<(), MediaError> {
        let entry = self.find(session).ok_or(MediaError::Unknown)?;
        let session = lock(&entry.session);
        let streams = session.streams_of(leg);
        if streams.is_empty() {
            return Err(MediaError::Unknown);
        }
        let door = &self.workers[session.worker];
        streams.into_iter().try_for_each(|key| door.tell(Command::Restrict(key, blocked, silenced)))
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Reports silent sessions until `stop` closes.
    pub(crate) fn watch(&self, stop: &Receiver<()>) {
        while stop.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            self.report_silent(self.clock_ms());
        }
    }

    /// One look at `now_ms`, milliseconds since the relay started.
    fn report_silent(&self, now_ms: u64) {
        let all: Vec<(SessionId, Arc<Entry>)> = {
            let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
            sessions.iter().map(|(id, entry)| (*id, Arc::clone(entry))).collect()
        };
        for (id, entry) in all {
            let mut session = lock(&entry.session);
            let limit = if session.held { self.checked.held_timeout } else { self.checked.media_timeout };
            let since = |at_ms: u64| Duration::from_millis(now_ms.saturating_sub(at_ms));
            let silent = match session.alive_at_ms() {
                Some(alive_at_ms) => since(alive_at_ms) >= limit,
                None => since(entry.created_at_ms) >= UNANSWERED_MAX,
            };
            if !silent {
                session.reported_at_ms = None;
                continue;
            }
            match session.reported_at_ms {
                None => {
                    // A full channel is tried again at the next look.
                    if self.notices.try_send(MediaNotice::TimedOut(id)).is_ok() {
                        session.reported_at_ms = Some(now_ms);
                        self.metrics.timeouts.increment();
                        tracing::info!(session = %id, "no media: session reported as dead");
                    }
                }
                Some(reported) if since(reported) >= limit.max(UNANSWERED_MAX) => {
                    drop(session);
                    tracing::warn!(session = %id, "nobody deleted a dead session: removed");
                    self.end(id);
                }
                Some(_) => {}
            }
        }
    }

    fn end(&self, session: SessionId) -> Vec<LegStatistics> {
        let Some(entry) = self.take(session) else { return vec![] };
        let session = lock(&entry.session);
        let statistics = session.statistics();
        self.remove_streams(session.worker, session.streams());
        statistics
    }
}

#[async_trait]
impl MediaRelay for Relay {
    async fn offer(&self, offer: MediaOffer) -> Result<String, MediaError> {
        let (entry, made) = self.find_or_make(offer.session).inspect_err(|_| self.metrics.exhausted.increment())?;
        let done = self.with(&entry, |session, context| session.offer(context, &offer));
        if let Err(error) = &done {
            if matches!(error, MediaError::Full(_)) {
                self.metrics.exhausted.increment();
            }
            if made {
                self.end(offer.session);
            }
        }
        done
    }

    async fn answer(&self, answer: MediaAnswer) -> Result<String, MediaError> {
        let entry = self.find(answer.session).ok_or(MediaError::Unknown)?;
        let clock_ms = self.clock_ms();
        self.with(&entry, |session, context| {
            let (sdp, connection) = session.answer(context, &answer)?;
            session.answered_at_ms.get_or_insert(clock_ms);
            self.workers[session.worker].tell(Command::Connect(Box::new(connection)))?;
            Ok(sdp)
        })
    }

    async fn drop_leg(&self, session: SessionId, leg: LegIndex) {
        if let Some(entry) = self.find(session) {
            let mut session = lock(&entry.session);
            let removed = session.drop_leg(leg);
            self.remove_streams(session.worker, removed);
        }
    }

    async fn play(&self, session: SessionId, leg: LegIndex, signal: MediaSignal) -> Result<(), MediaError> {
        let entry = self.find(session).ok_or(MediaError::Unknown)?;
        let session = lock(&entry.session);
        let (key, law) = session.playable(leg)?;
        match signal {
            MediaSignal::LowCreditWarning => self.workers[session.worker].tell(Command::Play(key, law)),
        }
    }

    async fn query(&self, session: SessionId) -> Result<Vec<LegStatistics>, MediaError> {
        let entry = self.find(session).ok_or(MediaError::Unknown)?;
        let session = lock(&entry.session);
        Ok(session.statistics())
    }

    async fn delete(&self, session: SessionId) -> Vec<LegStatistics> {
        self.end(session)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Config;
    use domain::ports::LegNetwork;

    const SDP: &str =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

    struct World {
        relay: Relay,
        notices: tokio::sync::mpsc::Receiver<MediaNotice>,
        /// Stands for the worker, which never does anything.
        _commands: Receiver<Command>,
    }

    fn world(port_min: u16, commands_max: usize) -> World {
        let config = Config {
            addresses: vec![[127, 0, 0, 1].into()],
            port_min,
            port_max: port_min + 39,
            media_timeout_s: 60,
            held_timeout_s: 600,
            ..Config::default()
        };
        let mut random = Random::from_seed(1);
        let ports = Ports::new(&config, &mut random).unwrap();
        let (commands, inbox) = std::sync::mpsc::sync_channel(commands_max);
        let door = WorkerDoor { commands, waker: Arc::new(Waker::new().unwrap()) };
        let (sender, notices) = tokio::sync::mpsc::channel(1);
        let relay =
            Relay::new(vec![door], ports, config.check().unwrap(), random, Instant::now(), sender, RelayMetrics::new());
        World { relay, notices, _commands: inbox }
    }

    async fn call(relay: &Relay, id: i64, answer: &str) -> (SessionId, Result<String, MediaError>) {
        let (session, network) =
            (Id::from_i64(id), LegNetwork { profile: None, signalled_from: [127, 0, 0, 1].into(), behind_nat: false });
        let offer =
            MediaOffer { session, from: 0, from_network: network, to: 1, to_network: network, sdp: SDP.to_owned() };
        relay.offer(offer).await.unwrap();
        let sdp = format!("{SDP}{answer}");
        (session, relay.answer(MediaAnswer { session, from: 1, from_network: network, to: 0, sdp }).await)
    }

    #[tokio::test]
    async fn a_session_without_media_is_reported_once_and_one_on_hold_much_later() {
        let mut world = world(20_100, 64);
        let (silent, _) = call(&world.relay, 1, "").await;
        let (held, _) = call(&world.relay, 2, "a=inactive\r\n").await;
        world.relay.report_silent(59_000);
        assert!(world.notices.try_recv().is_err());
        for now_ms in [61_000, 62_000, 500_000] {
            world.relay.report_silent(now_ms);
        }
        assert_eq!(world.notices.try_recv(), Ok(MediaNotice::TimedOut(silent)));
        assert!(world.notices.try_recv().is_err());
        world.relay.report_silent(601_000);
        assert_eq!(world.notices.try_recv(), Ok(MediaNotice::TimedOut(held)));
    }

    #[tokio::test]
    async fn a_dead_session_that_nobody_deletes_is_removed_and_its_media_revives_it() {
        let mut world = world(20_140, 64);
        let (id, _) = call(&world.relay, 1, "").await;
        world.relay.report_silent(61_000);
        assert_eq!(world.notices.try_recv(), Ok(MediaNotice::TimedOut(id)));
        let entry = world.relay.find(id).unwrap();
        lock(&entry.session).answered_at_ms = Some(80_000);
        world.relay.report_silent(81_000);
        world.relay.report_silent(200_000);
        assert_eq!(world.notices.try_recv(), Ok(MediaNotice::TimedOut(id)), "reported again after it had revived");
        world.relay.report_silent(200_000 + 15 * 60_000);
        assert_eq!(world.relay.sessions(), 0);
    }

    #[tokio::test]
    async fn a_worker_that_is_behind_refuses_the_answer() {
        let world = world(20_180, 1);
        assert!(call(&world.relay, 1, "").await.1.is_ok());
        assert!(matches!(call(&world.relay, 2, "").await.1, Err(MediaError::Full(_))));
    }
}
