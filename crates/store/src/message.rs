//! Texts as users and administrators read them (M7, M29). They are written by `sms_queue`.

use base::id::kind::{Carrier, Message, Tenant, User};
use base::{Id, Money, Timestamp};
use domain::sms::{Encoding, MessageStatus};
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::Place;
use crate::pool::sql;
use crate::row::Columns;

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageDirection {
    /// From a user.
    Outbound,
    /// To a user.
    Inbound,
}

impl MessageDirection {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Outbound, Self::Inbound].into_iter().find(|d| d.as_str() == text)
    }
}

/// A text (M11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// The message.
    pub id: Id<Message>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// Its sender, or the owner of the number to which it came.
    pub user: Option<Id<User>>,
    /// Which way.
    pub direction: MessageDirection,
    /// Sender.
    pub from: String,
    /// Recipient.
    pub to: String,
    /// The whole text.
    pub body: String,
    /// Alphabet on the wire.
    pub encoding: Encoding,
    /// Segments.
    pub segments: u32,
    /// Where it is.
    pub status: MessageStatus,
    /// What receipts said last, by SMPP message_state.
    pub receipt: Option<String>,
    /// The carrier's raw code, when it failed.
    pub code: Option<String>,
    /// The carrier that took or brought it.
    pub carrier: Option<Id<Carrier>>,
    /// Price of all segments, as held when it was accepted; inbound texts have none.
    pub price: Option<Money>,
    /// What was charged, refunds taken off.
    pub charged: Option<Money>,
    /// When it was accepted or came.
    pub created_at: Timestamp,
    /// When it may leave.
    pub due_at: Timestamp,
    /// When the carrier had all of it.
    pub sent_at: Option<Timestamp>,
    /// When the recipient had all of it.
    pub delivered_at: Option<Timestamp>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
}

/// One thing that happened to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEvent {
    /// When.
    pub at: Timestamp,
    /// `queued`, `submitted`, `retry`, `next_carrier`, `rejected`, `expired`, `receipt`, or a new status of the text.
    pub event: String,
    /// Of which segment.
    pub part: Option<u32>,
    /// By which carrier.
    pub carrier: Option<Id<Carrier>>,
    /// The carrier's raw code.
    pub code: Option<String>,
    /// The carrier's own words: its id for the segment, or its receipt.
    pub raw: Option<String>,
}

/// Which texts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only of this user.
    pub user: Option<Id<User>>,
    /// Only from or to this number or name.
    pub peer: Option<String>,
    /// Only this way.
    pub direction: Option<MessageDirection>,
    /// Only in this status.
    pub status: Option<MessageStatus>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

fn read(row: &AnyRow) -> Result<MessageRow> {
    let currency = row.word_opt("currency", |t| t.parse().ok())?;
    let money = |name| Ok::<_, Error>(Some(row.int(name)?).zip(currency).map(|(micros, c)| Money::new(micros, c)));
    Ok(MessageRow {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        user: row.id_opt("user_id")?,
        direction: row.word("direction", MessageDirection::parse)?,
        from: row.text("from_party")?,
        to: row.text("to_party")?,
        body: row.text("body")?,
        encoding: row.word("encoding", Encoding::parse)?,
        segments: row.number("segments")?,
        status: row.word("status", MessageStatus::parse)?,
        receipt: row.text_opt("receipt")?,
        code: row.text_opt("code")?,
        carrier: row.id_opt("carrier_id")?,
        price: money("price_micros")?,
        charged: money("charged_micros")?,
        created_at: row.time("created_at_ms")?,
        due_at: row.time("due_at_ms")?,
        sent_at: row.time_opt("sent_at_ms")?,
        delivered_at: row.time_opt("delivered_at_ms")?,
        failed_at: row.time_opt("failed_at_ms")?,
    })
}

impl Store {
    /// Texts of a tenant or (`None`) of all, newest first, those after `before` if given.
    pub async fn list_messages(
        &self,
        scope: Option<Id<Tenant>>,
        filter: &MessageFilter,
        before: Option<Place>,
        limit: u32,
    ) -> Result<Vec<MessageRow>> {
        let mut query = Filter::new("SELECT * FROM messages");
        query.and_int_opt("tenant_id =", scope.map(Id::as_i64));
        query.and_int_opt("user_id =", filter.user.map(Id::as_i64));
        query.and_either_text(["from_party =", "to_party ="], filter.peer.as_deref());
        query.and_text_opt("direction =", filter.direction.map(MessageDirection::as_str));
        query.and_text_opt("status =", filter.status.map(MessageStatus::as_str));
        query.and_int_opt("created_at_ms >=", filter.from.map(Timestamp::as_millis));
        query.and_int_opt("created_at_ms <", filter.to.map(Timestamp::as_millis));
        query.before("created_at_ms", "id", before.map(Place::key));
        let rows = self.database().rows(query.query(" ORDER BY created_at_ms DESC, id DESC", limit)).await?;
        rows.iter().map(read).collect()
    }

    /// A text, within a tenant or (`None`) anywhere, and only of `user` if given.
    pub async fn find_message(
        &self,
        scope: Option<Id<Tenant>>,
        user: Option<Id<User>>,
        message: Id<Message>,
    ) -> Result<MessageRow> {
        let mut query = Filter::new("SELECT * FROM messages");
        query.and_int("id =", message.as_i64());
        query.and_int_opt("tenant_id =", scope.map(Id::as_i64));
        query.and_int_opt("user_id =", user.map(Id::as_i64));
        let row = self.database().row(query.query("", 1)).await?;
        row.as_ref().map(read).transpose()?.ok_or(Error::NotFound("message"))
    }

    /// Everything that happened to a text, oldest first.
    pub async fn message_events(&self, message: Id<Message>) -> Result<Vec<MessageEvent>> {
        let query = sql("SELECT * FROM message_events WHERE message_id = $1 ORDER BY id").bind(message.as_i64());
        let rows = self.database().rows(query).await?;
        rows.iter()
            .map(|row| {
                Ok(MessageEvent {
                    at: row.time("at_ms")?,
                    event: row.text("event")?,
                    part: row.number_opt("part")?,
                    carrier: row.id_opt("carrier_id")?,
                    code: row.text_opt("code")?,
                    raw: row.text_opt("raw")?,
                })
            })
            .collect()
    }
}
