//! Drives one session: carries octets between the connection and the machine, parts from the line into it, and what it
//! tells to the store.
//!
//! A deliver_sm is answered when the store has said yes, and with a temporary error when the store cannot answer, so
//! that the carrier keeps it. While [`DELIVERIES_MAX`] are being stored nothing more is read from the connection.

use std::sync::Arc;

use base::Id;
use base::id::kind::Carrier;
use bytes::{Buf, BytesMut};
use domain::ports::{InboundOutcome, ReceiptOutcome};
use domain::sms::{InboundPart, ReceiptReport, SubmitOutcome, SubmitResult};
use smpp_proto::session::{Answer, CloseReason, Request, RequestId, Role};
use smpp_proto::{Body, CommandStatus, Event, Input, Message, Output, Pdu, Receipt, Session, SessionConfig, SmppError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use super::client::Bind;
use super::held::Held;
use crate::inbound;
use crate::lines::Leased;
use crate::outbound::{NO_ANSWER, Submit, Verdict, judge};
use crate::settle::Entry;
use crate::{Shared, stop_asked};

/// Deliveries of one bind that are being stored at the same time.
const DELIVERIES_MAX: usize = 64;
/// Octets read from the connection at once.
const READ_OCTETS: usize = 16_384;
/// Parts taken from the line in one go.
const SUBMITS_AT_ONCE: usize = 64;
/// How often parts that wait for too long are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How long the last octets may take to leave.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// One session on one connection.
pub(super) struct Drive<'a> {
    bind: &'a Bind,
    session: Session,
    held: Held,
    out: BytesMut,
    deliveries: JoinSet<(RequestId, CommandStatus)>,
    /// When the carrier answered a submit_sm last.
    answered_at: Option<Instant>,
    closed: Option<CloseReason>,
    unbinding: bool,
}

/// The session's clock is tokio's, so that tests may hold it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl<'a> Drive<'a> {
    /// Starts the session; its bind request waits to be written.
    ///
    /// # Errors
    /// When the carrier's credentials fit no PDU.
    pub(super) fn start(bind: &'a Bind, role: Role, config: SessionConfig) -> Result<Self, SmppError> {
        let session = Session::start(now(), role, config)?;
        let (held, out, deliveries) = (Held::default(), BytesMut::new(), JoinSet::new());
        Ok(Self { bind, session, held, out, deliveries, answered_at: None, closed: None, unbinding: false })
    }

    /// Runs to the end of the session. Every part taken from the line is settled when it returns.
    pub(super) async fn run(
        mut self,
        stream: TcpStream,
        parts: &mut mpsc::Receiver<Leased>,
        stopped: &mut watch::Receiver<bool>,
    ) -> CloseReason {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; READ_OCTETS];
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.drain().await;
            if let Some(reason) = self.closed.take() {
                self.finish(&mut writer).await;
                return reason;
            }
            let deadline = self.session.poll_timeout().map(Instant::from_std);
            tokio::select! {
                read = read(&mut reader, &mut buffer), if self.deliveries.len() < DELIVERIES_MAX => match read {
                    Some(octets) => self.session.handle(now(), Input::Received(&buffer[..octets])),
                    None => self.session.handle(now(), Input::Disconnected),
                },
                written = writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(octets) if octets > 0 => self.out.advance(octets),
                    Ok(_) | Err(_) => self.session.handle(now(), Input::Disconnected),
                },
                () = sleep_until(deadline) => self.session.handle(now(), Input::Timeout),
                Some(leased) = parts.recv() => self.take(leased, parts).await,
                Some(done) = self.deliveries.join_next() => self.answer_delivery(done),
                () = stop_asked(stopped), if !self.unbinding => self.unbind(),
                _ = tick.tick() => self.give_back_the_stale(),
            }
        }
    }

    /// Does what the session wants done.
    async fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Transmit(frame) => self.out.extend_from_slice(&frame),
                Output::Close(reason) => self.closed = Some(reason),
                Output::Event(event) => self.event(event).await,
            }
        }
    }

    async fn event(&mut self, event: Event) {
        let name = &self.bind.line.facts.name;
        match event {
            Event::Bound { mode, system_id, .. } => {
                tracing::info!(carrier = %name, ?mode, %system_id, "carrier bound");
                self.bind.shared.metrics.bound.with([name]).set(1);
                self.bind.line.set_bound(true, mode.may_submit());
                self.bind.shared.deps.queued.notify_one();
            }
            Event::Answered(answer) => self.answered(answer).await,
            Event::Unsent { key } => {
                if let Some(leased) = self.held.take(key) {
                    self.bind.give_back(leased).await;
                }
            }
            Event::Unanswered { key } => self.unanswered(key).await,
            Event::Requested(request) => self.requested(&request),
            Event::Throttled { pause } => {
                tracing::debug!(carrier = %name, pause_ms = pause.as_millis(), "the carrier throttles");
                self.bind.shared.metrics.pauses.with([name]).increment();
                self.bind.line.pause_for(pause);
                self.session.withdraw();
            }
            Event::PeerFault(fault) => tracing::warn!(carrier = %name, %fault, "the carrier breaks the protocol"),
            Event::BindRequested { .. } => tracing::warn!(carrier = %name, "the carrier wants to bind to us"),
        }
    }

    /// Submits a part, and what else waits, in one go.
    async fn take(&mut self, leased: Leased, parts: &mut mpsc::Receiver<Leased>) {
        self.submit(leased).await;
        for _ in 1..SUBMITS_AT_ONCE {
            match parts.try_recv() {
                Ok(leased) => self.submit(leased).await,
                Err(_) => return,
            }
        }
    }

    async fn submit(&mut self, leased: Leased) {
        let shared = &self.bind.shared;
        if !self.session.may_send() || self.unbinding {
            return self.bind.give_back(leased).await;
        }
        if leased.part.valid_until <= shared.now() {
            let result = SubmitResult::Failed { code: CommandStatus::ESME_RINVEXPIRY.0 };
            return self.settle(leased, result).await;
        }
        let submit = match Submit::new(&leased.part, shared.now(), &shared.config) {
            Ok(submit) => submit,
            Err(error) => {
                tracing::warn!(carrier = %self.bind.line.facts.name, %error, "a text cannot go to this carrier");
                return self
                    .settle(leased, SubmitResult::NextCarrier { code: CommandStatus::ESME_RSUBMITFAIL.0 })
                    .await;
            }
        };
        let key = self.held.put(leased);
        match self.session.submit(now(), key, &Body::SubmitSm(submit.message())) {
            Ok(()) => {}
            Err(SmppError::RefusedState | SmppError::UnavailableRoom) => {
                if let Some(leased) = self.held.take(key) {
                    self.bind.give_back(leased).await;
                }
            }
            Err(error) => {
                tracing::warn!(carrier = %self.bind.line.facts.name, %error, "a text fits no submit_sm");
                if let Some(leased) = self.held.take(key) {
                    self.settle(leased, SubmitResult::NextCarrier { code: CommandStatus::ESME_RSUBMITFAIL.0 }).await;
                }
            }
        }
    }

    async fn answered(&mut self, answer: Answer) {
        let (name, shared) = (&self.bind.line.facts.name, &self.bind.shared);
        let status = answer.status.name().map_or_else(|| answer.status.to_string(), str::to_owned);
        shared.metrics.answers.with([name, &status]).increment();
        self.answered_at = Some(Instant::now());
        if answer.late {
            return self.answered_late(answer).await;
        }
        let Some(part) = self.held.get(answer.key) else { return };
        let verdict = judge(part, answer.status, &answer.message_id, shared.now(), &shared.config);
        let Some(leased) = self.held.take(answer.key) else { return };
        shared.metrics.answer_wait.with([name]).observe(leased.since.elapsed().as_secs_f64());
        match verdict {
            Verdict::GiveBack => self.bind.give_back(leased).await,
            Verdict::Note(result) => {
                if let SubmitResult::NextCarrier { .. } = result {
                    tracing::info!(carrier = %name, message = %leased.part.message, %status, "text refused by the carrier");
                }
                self.settle(leased, result).await;
            }
        }
    }

    /// A late yes corrects what was noted; a late no changes nothing, the part is on its way again already.
    async fn answered_late(&mut self, answer: Answer) {
        let Some(part) = self.held.take_late(answer.key).filter(|_| answer.status.is_ok()) else { return };
        let result = SubmitResult::Accepted { carrier_message_id: answer.message_id };
        let outcome = self.outcome(part, result);
        self.bind.settle((Entry::Outcome(outcome), None)).await;
    }

    /// The carrier may have the text, but nobody will know: it counts as a temporary error, so that a text that breaks
    /// the carrier's link each time comes to an end.
    async fn unanswered(&mut self, key: u64) {
        let (name, shared) = (&self.bind.line.facts.name, &self.bind.shared);
        shared.metrics.unanswered.with([name]).increment();
        let Some(Leased { part, since, permit }) = self.held.take_unanswered(key) else { return };
        tracing::warn!(carrier = %name, message = %part.message, part = part.part, "no answer to a text");
        if self.answered_at.is_none_or(|at| at < since) {
            // Nothing at all was answered meanwhile: it is not this text. Others get what could go here.
            self.bind.line.pause_for(Duration::from_millis(shared.config.response_timeout_ms));
        }
        let entry = match judge(&part, NO_ANSWER, "", shared.now(), &shared.config) {
            Verdict::Note(result) => Entry::Outcome(self.outcome(part, result)),
            Verdict::GiveBack => Entry::Unsent(part),
        };
        self.bind.settle((entry, Some(permit))).await;
    }

    async fn settle(&self, leased: Leased, result: SubmitResult) {
        let outcome = self.outcome(leased.part, result);
        self.bind.settle((Entry::Outcome(outcome), Some(leased.permit))).await;
    }

    fn outcome(&self, part: domain::sms::QueuedPart, result: SubmitResult) -> SubmitOutcome {
        let at = self.bind.shared.now();
        SubmitOutcome { message: part.message, part: part.part, carrier: part.carrier, at, result }
    }

    /// Stores what the carrier delivers; the answer follows when that is done.
    fn requested(&mut self, request: &Request) {
        // The session hands out readable requests only.
        let Ok(pdu) = Pdu::decode(&request.frame) else { return };
        let message = match pdu.body {
            Body::DeliverSm(message) => message,
            Body::DataSm(data) => data.as_message(),
            _ => return,
        };
        let (shared, carrier) = (Arc::clone(&self.bind.shared), Arc::clone(&self.bind.line.facts));
        let delivery = Delivery::read(&shared, carrier.id, self.bind.receipts_for, &message);
        let id = request.id;
        self.deliveries.spawn(async move {
            let (status, outcome) = match delivery {
                Ok(delivery) => delivery.store(&shared).await,
                Err((status, outcome)) => (status, outcome),
            };
            shared.metrics.deliveries.with([&carrier.name, outcome]).increment();
            (id, status)
        });
    }

    fn answer_delivery(&mut self, done: Result<(RequestId, CommandStatus), tokio::task::JoinError>) {
        match done {
            // Refused when the session has ended meanwhile: the carrier will deliver again.
            Ok((id, status)) => _ = self.session.respond(id, status, ""),
            Err(error) => tracing::error!(%error, "storing a delivery has died; the carrier gets no answer"),
        }
    }

    fn unbind(&mut self) {
        self.unbinding = true;
        self.bind.line.set_bound(false, false);
        self.session.unbind(now());
    }

    /// Parts whose lease would be over before their answer could come go back to the queue, and the line rests for as
    /// long, so that another carrier of their plan gets them.
    fn give_back_the_stale(&mut self) {
        let (queued, _) = self.session.load();
        let wait_max = self.bind.shared.config.queue_wait_max();
        if self.held.queued_since(queued).is_some_and(|since| since.elapsed() > wait_max) {
            tracing::warn!(carrier = %self.bind.line.facts.name, queued, "the carrier is too slow for what waits for it");
            self.bind.line.pause_for(wait_max);
            self.session.withdraw();
        }
    }

    /// Lets deliveries be stored and the last octets leave.
    async fn finish(&mut self, writer: &mut WriteHalf<TcpStream>) {
        let flush = async {
            writer.write_all(&self.out).await?;
            writer.shutdown().await
        };
        // Whether they arrive is up to the peer; the session is over.
        _ = tokio::time::timeout(FLUSH_MAX, flush).await;
        while self.deliveries.join_next().await.is_some() {}
    }
}

async fn read(reader: &mut ReadHalf<TcpStream>, buffer: &mut [u8]) -> Option<usize> {
    match reader.read(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(octets) => Some(octets),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What a carrier delivered, read and ready to be stored.
enum Delivery {
    Receipt(ReceiptReport),
    Text(InboundPart),
}

impl Delivery {
    /// Reads it; an error is what to answer at once and how to count it.
    fn read(
        shared: &Shared,
        carrier: Id<Carrier>,
        receipts_for: Id<Carrier>,
        message: &Message<'_>,
    ) -> Result<Self, (CommandStatus, &'static str)> {
        let (now, config) = (shared.now(), &shared.config);
        if Receipt::is_receipt(message) {
            return inbound::receipt(message, receipts_for, now, config).map(Self::Receipt).map_err(|error| {
                tracing::warn!(%carrier, %error, "a receipt names no text");
                (CommandStatus::ESME_ROK, "receipt_unreadable")
            });
        }
        inbound::part(message, (shared.deps.message_id)(), carrier, now, config)
            .map(Self::Text)
            .map_err(|status| (status, "text_unroutable"))
    }

    /// Stores it; returns the answer for the carrier and how to count it.
    async fn store(self, shared: &Shared) -> (CommandStatus, &'static str) {
        let refused = (CommandStatus::ESME_RX_T_APPN, "store_unavailable");
        match self {
            Self::Receipt(report) => match shared.deps.queue.receipt(report).await {
                Ok((outcome, changes)) => {
                    shared.publish(changes);
                    match outcome {
                        ReceiptOutcome::Matched(_) => (CommandStatus::ESME_ROK, "receipt"),
                        ReceiptOutcome::Parked => (CommandStatus::ESME_ROK, "receipt_early"),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a receipt cannot be stored; the carrier keeps it");
                    refused
                }
            },
            Self::Text(part) => {
                let to = part.to.clone();
                match shared.deps.queue.inbound(part).await {
                    Ok(InboundOutcome::Stored(message)) => {
                        shared.announce(&to, message).await;
                        (CommandStatus::ESME_ROK, "text")
                    }
                    Ok(InboundOutcome::PartStored) => (CommandStatus::ESME_ROK, "text_part"),
                    Ok(InboundOutcome::Duplicate) => (CommandStatus::ESME_ROK, "text_duplicate"),
                    Ok(InboundOutcome::UnknownNumber) => (CommandStatus::ESME_RINVDSTADR, "text_unroutable"),
                    Err(error) => {
                        tracing::warn!(%error, "an inbound text cannot be stored; the carrier keeps it");
                        refused
                    }
                }
            }
        }
    }
}
