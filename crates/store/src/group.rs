//! Group commit: what calls and texts write is gathered and committed together, one flush to disk for all of it.
//!
//! Nothing waits on purpose: while one batch is being committed the next one gathers, so a lone request goes at once
//! and a busy switch gets large batches. Every request is safe to run again (its row says whether it was done), so a
//! batch that fails for one request is undone and its requests run one by one.

use std::sync::Arc;
use std::time::Duration;

use base::Id;
use base::id::kind::Message;
use domain::ports::{InboundOutcome, ReceiptOutcome};
use domain::sms::{InboundPart, NewMessage, QueuedPart, ReceiptReport, StatusChange, SubmitOutcome};
use domain::wallet::Grant;
use tokio::sync::{mpsc, oneshot};

use crate::billing::{Extension, Opening, Progress, Settlement};
use crate::error::{Error, Result};
use crate::pool::Tx;
use crate::{Core, Store, billing, sms_queue};

/// Requests that wait for the writer; when full, callers wait too, which slows down what comes in.
const QUEUE_MAX: usize = 4_096;
/// Most requests in one transaction: about 20 ms of SQLite.
const BATCH_MAX: usize = 256;
/// How often a batch is tried again when the database cannot answer.
const RETRIES: u32 = 3;
/// Pause before the first retry; later ones wait longer.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// What is written in groups.
pub(crate) enum Request {
    OpenCall(Box<Opening>),
    ExtendCall(Extension),
    ProgressCall(Progress),
    SettleCall(Box<Settlement>),
    AcceptText(Box<NewMessage>),
    Unclaim(Vec<QueuedPart>),
    Submitted(Vec<SubmitOutcome>),
    Receipt(Box<ReceiptReport>),
    Inbound(Box<InboundPart>),
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Done,
    Granted(Option<Grant>),
    Accepted(Id<Message>),
    Submitted(Vec<StatusChange>),
    Receipt(ReceiptOutcome, Vec<StatusChange>),
    Inbound(InboundOutcome),
}

/// The inner result is the answer to one request, which leaves the others alone; the outer one undoes the batch.
pub(crate) type Outcome = Result<Result<Answer>>;

struct Job {
    request: Request,
    reply: oneshot::Sender<Result<Answer>>,
}

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Group {
    jobs: mpsc::Sender<Job>,
}

impl Group {
    /// Starts the writer. It ends when the last handle is gone and everything that was asked is done.
    pub(crate) fn start(core: Arc<Core>) -> Self {
        let (jobs, mut inbox) = mpsc::channel::<Job>(QUEUE_MAX);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            while inbox.recv_many(&mut batch, BATCH_MAX).await > 0 {
                run(&core, std::mem::take(&mut batch)).await;
            }
        });
        Self { jobs }
    }

    async fn ask(&self, request: Request) -> Result<Answer> {
        let gone = |_| Error::Unavailable("the store is closed".into());
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { request, reply }).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

impl Store {
    /// Has a request written together with others.
    pub(crate) async fn enqueue(&self, request: Request) -> Result<Answer> {
        self.group.ask(request).await
    }
}

/// Runs a batch, and when it cannot be run as one, its requests one by one.
async fn run(core: &Core, jobs: Vec<Job>) {
    match run_retrying(core, &jobs).await {
        Ok(answers) => reply(jobs, answers),
        Err(error) if jobs.len() == 1 => reply(jobs, vec![Err(error)]),
        Err(error) => {
            tracing::warn!(%error, requests = jobs.len(), "a batch failed, its requests run one by one");
            for job in jobs {
                let answer = run_retrying(core, std::slice::from_ref(&job)).await;
                let answer = answer.and_then(|mut a| a.pop().unwrap_or(Err(Error::Busy("writer"))));
                reply(vec![job], vec![answer]);
            }
        }
    }
}

fn reply(jobs: Vec<Job>, answers: Vec<Result<Answer>>) {
    for (job, answer) in jobs.into_iter().zip(answers) {
        // Whoever asked may have gone; what was written stays.
        _ = job.reply.send(answer);
    }
}

async fn run_retrying(core: &Core, jobs: &[Job]) -> Result<Vec<Result<Answer>>> {
    let mut attempt = 0;
    loop {
        match run_once(core, jobs).await {
            Err(Error::Unavailable(why)) if attempt < RETRIES && !core.database.is_closed() => {
                attempt += 1;
                tracing::debug!(why, attempt, "the writer tries again");
                tokio::time::sleep(RETRY_PAUSE * attempt).await;
            }
            done => return done,
        }
    }
}

async fn run_once(core: &Core, jobs: &[Job]) -> Result<Vec<Result<Answer>>> {
    let mut tx = core.database.begin().await?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(perform(core, &mut tx, &job.request).await?);
    }
    tx.commit().await?;
    Ok(answers)
}

async fn perform(core: &Core, tx: &mut Tx<'_>, request: &Request) -> Outcome {
    match request {
        Request::OpenCall(opening) => billing::open(tx, opening, core.instance).await,
        Request::ExtendCall(extension) => billing::extend(tx, extension).await,
        Request::ProgressCall(progress) => billing::progress(tx, progress).await,
        Request::SettleCall(settlement) => billing::settle(tx, settlement, core.instance).await,
        Request::AcceptText(message) => sms_queue::accept(tx, message).await,
        Request::Unclaim(parts) => sms_queue::unclaim(tx, parts).await,
        Request::Submitted(outcomes) => sms_queue::submitted(tx, outcomes).await,
        Request::Receipt(report) => sms_queue::receipt(tx, report).await,
        Request::Inbound(part) => sms_queue::inbound(tx, part).await,
    }
}
