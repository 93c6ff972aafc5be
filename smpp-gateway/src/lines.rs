//! The lines to the carriers: what the dispatcher knows about each bind, and how it hands parts over.
//!
//! A line holds at most as many parts as it has permits; a part keeps its permit until the store knows what became of
//! it, so that a slow carrier or store slows down claiming and nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Id;
use base::id::kind::Carrier;
use domain::sms::QueuedPart;
use domain::trunk::CarrierFacts;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Duration, Instant};

use crate::BindStatus;

/// Most parts that one line holds: some seconds of a fast bind, and little enough to give back in one statement.
const LINE_PARTS_MAX: usize = 2_000;
/// How much a line with a pace may hold, seconds of that pace: less than the queue wait of the shortest sane lease.
const LINE_SECONDS_MAX: usize = 5;
/// How many windows a line without a pace may hold.
const LINE_WINDOWS_MAX: usize = 10;

/// A part that a line has, with its permit.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) part: QueuedPart,
    /// When it was claimed.
    pub(crate) since: Instant,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// One line, shared by the dispatcher and the task of the bind.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) facts: Arc<CarrierFacts>,
    pub(crate) capacity: usize,
    permits: Arc<Semaphore>,
    parts: mpsc::Sender<Leased>,
    bound: AtomicBool,
    may_submit: AtomicBool,
    paused_until: Mutex<Option<Instant>>,
}

/// All lines of this process.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    by_carrier: Mutex<BTreeMap<Id<Carrier>, Arc<Line>>>,
    /// Rung when a line has become able to take more.
    pub(crate) room: Notify,
}

impl Line {
    /// A line that is not bound yet, and where its parts come out.
    pub(crate) fn new(facts: Arc<CarrierFacts>) -> (Arc<Self>, mpsc::Receiver<Leased>) {
        let window = usize::from(facts.window.max(1));
        let wanted = match facts.submits_per_second {
            Some(rate) => window.max(usize::try_from(rate).unwrap_or(LINE_PARTS_MAX).saturating_mul(LINE_SECONDS_MAX)),
            None => window * LINE_WINDOWS_MAX,
        };
        let capacity = wanted.min(LINE_PARTS_MAX.max(window));
        let (parts, receiver) = mpsc::channel(capacity);
        let line = Self {
            facts,
            capacity,
            permits: Arc::new(Semaphore::new(capacity)),
            parts,
            bound: AtomicBool::new(false),
            may_submit: AtomicBool::new(false),
            paused_until: Mutex::default(),
        };
        (Arc::new(line), receiver)
    }

    /// Says whether the carrier is bound, and whether it takes texts.
    pub(crate) fn set_bound(&self, bound: bool, may_submit: bool) {
        self.bound.store(bound, Ordering::Relaxed);
        self.may_submit.store(bound && may_submit, Ordering::Relaxed);
        *self.pause() = None;
    }

    /// Takes nothing for this long.
    pub(crate) fn pause_for(&self, pause: Duration) {
        *self.pause() = Some(Instant::now() + pause);
    }

    /// Hands a part over; gives it back when the line is full or gone.
    pub(crate) fn hand_over(&self, part: QueuedPart) -> Result<(), QueuedPart> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return Err(part) };
        let leased = Leased { part, since: Instant::now(), permit };
        self.parts.try_send(leased).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(leased) | mpsc::error::TrySendError::Closed(leased) => leased.part,
        })
    }

    /// Whether parts may be handed over at `now`; else, when that may change by itself.
    fn open(&self, now: Instant) -> Result<(), Option<Instant>> {
        if !self.may_submit.load(Ordering::Relaxed) {
            return Err(None);
        }
        match *self.pause() {
            Some(until) if until > now => Err(Some(until)),
            Some(_) | None => Ok(()),
        }
    }

    fn pause(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which lines can take parts now.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Lines with room, by id.
    pub(crate) lines: Vec<(Id<Carrier>, usize)>,
    /// Lines that could take parts if they were not full.
    pub(crate) full: Vec<Id<Carrier>>,
    /// When a paused line goes on.
    pub(crate) next_at: Option<Instant>,
}

impl Lines {
    /// Puts a line in the place of the carrier's former one, if any.
    pub(crate) fn put(&self, line: Arc<Line>) {
        self.lock().insert(line.facts.id, line);
    }

    /// Takes a line out, unless another has taken its place.
    pub(crate) fn remove(&self, line: &Arc<Line>) {
        let mut lines = self.lock();
        if lines.get(&line.facts.id).is_some_and(|current| Arc::ptr_eq(current, line)) {
            lines.remove(&line.facts.id);
        }
    }

    /// The carrier's line.
    pub(crate) fn get(&self, carrier: Id<Carrier>) -> Option<Arc<Line>> {
        self.lock().get(&carrier).cloned()
    }

    /// The lines that can take parts at `now`.
    pub(crate) fn open(&self, now: Instant) -> Open {
        let mut open = Open::default();
        for (id, line) in self.lock().iter() {
            match line.open(now) {
                Ok(()) => match line.permits.available_permits() {
                    0 => open.full.push(*id),
                    room => open.lines.push((*id, room)),
                },
                Err(until) => open.next_at = [open.next_at, until].into_iter().flatten().min(),
            }
        }
        open
    }

    /// Every line, by id.
    pub(crate) fn status(&self) -> Vec<BindStatus> {
        let status = |line: &Arc<Line>| BindStatus {
            carrier: line.facts.id,
            name: line.facts.name.clone(),
            bound: line.bound.load(Ordering::Relaxed),
            texts: line.capacity.saturating_sub(line.permits.available_permits()),
        };
        self.lock().values().map(status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Id<Carrier>, Arc<Line>>> {
        self.by_carrier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
