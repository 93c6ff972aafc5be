//! The port `SmsQueue`: texts as rows, from acceptance to receipt.
//!
//! A message holds its price from acceptance on. Its parts are the queue; when the last of them has its answer, the
//! price of the accepted ones is captured and the rest released, in the transaction that notes the answer.

mod accept;
mod claim;
mod inbound;
mod receipt;
mod submit;
mod sweep;

use std::time::Duration;

use async_trait::async_trait;
use base::id::kind::{Carrier, Message};
use base::{Id, Timestamp};
use domain::ports::{InboundOutcome, ReceiptOutcome, SmsError, SmsQueue, SmsSwept, Unavailable};
use domain::sms::{InboundPart, NewMessage, QueuedPart, ReceiptReport, StatusChange, SubmitOutcome};

use crate::Store;
use crate::error::{Error, Result};
use crate::group::{Answer, Request};
use crate::pool::{Tx, sql};

pub(crate) use accept::accept;
pub(crate) use claim::unclaim;
pub(crate) use inbound::inbound;
pub(crate) use receipt::receipt;
pub(crate) use submit::submitted;

#[async_trait]
impl SmsQueue for Store {
    async fn accept(&self, message: NewMessage) -> Result<Id<Message>, SmsError> {
        match self.enqueue(Request::AcceptText(Box::new(message))).await? {
            Answer::Accepted(id) => Ok(id),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn claim(
        &self,
        available: &[Id<Carrier>],
        with_room: &[Id<Carrier>],
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<QueuedPart>, Unavailable> {
        Ok(self.claim_parts(available, with_room, limit, now, lease).await?)
    }

    async fn unclaim(&self, parts: &[QueuedPart]) -> Result<(), Unavailable> {
        self.enqueue(Request::Unclaim(parts.to_vec())).await?;
        Ok(())
    }

    async fn submitted(&self, outcomes: &[SubmitOutcome]) -> Result<Vec<StatusChange>, Unavailable> {
        match self.enqueue(Request::Submitted(outcomes.to_vec())).await? {
            Answer::Submitted(changes) => Ok(changes),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn receipt(&self, report: ReceiptReport) -> Result<(ReceiptOutcome, Vec<StatusChange>), Unavailable> {
        match self.enqueue(Request::Receipt(Box::new(report))).await? {
            Answer::Receipt(outcome, changes) => Ok((outcome, changes)),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn inbound(&self, part: InboundPart) -> Result<InboundOutcome, Unavailable> {
        match self.enqueue(Request::Inbound(Box::new(part))).await? {
            Answer::Inbound(outcome) => Ok(outcome),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn sweep(&self, now: Timestamp) -> Result<SmsSwept, Unavailable> {
        Ok(self.sweep_texts(now).await?)
    }
}

fn unexpected(answer: &Answer) -> Error {
    Error::Misbehaved(format!("unexpected answer {answer:?}"))
}

/// Something that happened to a text.
#[derive(Default)]
struct Note<'n> {
    event: &'n str,
    part: Option<u8>,
    carrier: Option<Id<Carrier>>,
    code: Option<String>,
    raw: Option<String>,
}

/// Adds to a text's history.
async fn note(tx: &mut Tx<'_>, message: Id<Message>, at: Timestamp, note: Note<'_>) -> Result<()> {
    let id: Id<base::id::kind::Event> = tx.id();
    let insert = sql("INSERT INTO message_events (id, message_id, at_ms, event, part, carrier_id, code, raw) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    let insert = insert
        .bind(id.as_i64())
        .bind(message.as_i64())
        .bind(at.as_millis())
        .bind(note.event.to_owned())
        .bind(note.part.map(i64::from))
        .bind(note.carrier.map(Id::as_i64))
        .bind(note.code)
        .bind(note.raw);
    tx.execute(insert).await?;
    Ok(())
}
