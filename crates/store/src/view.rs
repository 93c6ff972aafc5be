//! Small questions of the API that no aggregate answers.

use base::E164;
use base::id::kind::{Device, Number, User};
use base::{Id, Timestamp};

use crate::Store;
use crate::dialect::placeholders;
use crate::error::{Error, Result};
use crate::pool::{composed, sql};
use crate::row::Columns;

impl Store {
    /// Whether a number that we route can send and receive texts; `false` for an unknown one.
    pub async fn number_takes_texts(&self, number: &E164) -> Result<bool> {
        let select = sql("SELECT sms FROM numbers WHERE number = $1 AND status <> 'released'");
        let row = self.database().row(select.bind(number.as_str().to_owned())).await?;
        row.map_or(Ok(false), |row| row.flag("sms"))
    }

    /// Devices of these users that are registered at `now`, with the end of their longest binding.
    pub async fn online_devices(&self, users: &[Id<User>], now: Timestamp) -> Result<Vec<(Id<Device>, Timestamp)>> {
        if users.is_empty() {
            return Ok(vec![]);
        }
        let list = placeholders(2, users.len());
        let mut select = composed(format!(
            "SELECT device_id, MAX(expires_at_ms) AS until_ms FROM bindings \
             WHERE expires_at_ms > $1 AND user_id IN ({list}) GROUP BY device_id ORDER BY device_id"
        ))
        .bind(now.as_millis());
        for user in users {
            select = select.bind(user.as_i64());
        }
        let rows = self.database().rows(select).await?;
        rows.iter().map(|row| Ok((row.id("device_id")?, row.time("until_ms")?))).collect()
    }

    /// The number that a user presents when it chose none: the first active one in its own order, else the first.
    pub async fn primary_number(&self, user: Id<User>) -> Result<Option<Id<Number>>> {
        let select = sql("SELECT id FROM numbers WHERE user_id = $1 AND status <> 'released' \
                          ORDER BY CASE status WHEN 'active' THEN 0 ELSE 1 END, position, id LIMIT 1");
        self.database().row(select.bind(user.as_i64())).await?.map(|row| row.id("id")).transpose()
    }

    /// What stands in a user's profile: calls and texts since a moment, devices and numbers now.
    pub async fn user_figures(&self, user: Id<User>, since: Timestamp) -> Result<UserFigures> {
        let select = sql("SELECT \
            (SELECT COUNT(*) FROM calls WHERE user_id = $1 AND started_at_ms >= $2) AS calls, \
            (SELECT CAST(COALESCE(SUM(talked_s), 0) AS BIGINT) FROM calls WHERE user_id = $1 AND started_at_ms >= $2) AS talked_s, \
            (SELECT COUNT(*) FROM messages WHERE user_id = $1 AND created_at_ms >= $2 AND direction = 'outbound') AS sent, \
            (SELECT COUNT(*) FROM messages WHERE user_id = $1 AND created_at_ms >= $2 AND direction = 'inbound') AS got, \
            (SELECT COUNT(*) FROM devices WHERE user_id = $1 AND status <> 'deleted') AS devices, \
            (SELECT COUNT(*) FROM numbers WHERE user_id = $1 AND status <> 'released') AS numbers");
        let row = self.database().row(select.bind(user.as_i64()).bind(since.as_millis())).await?;
        let row = row.ok_or(Error::NotFound("user"))?;
        Ok(UserFigures {
            calls: row.int("calls")?,
            talked_s: row.int("talked_s")?,
            texts_sent: row.int("sent")?,
            texts_received: row.int("got")?,
            devices: row.int("devices")?,
            numbers: row.int("numbers")?,
        })
    }
}

/// Figures of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserFigures {
    /// Calls that it made.
    pub calls: i64,
    /// Seconds of talk in them.
    pub talked_s: i64,
    /// Texts that it sent.
    pub texts_sent: i64,
    /// Texts that came to it.
    pub texts_received: i64,
    /// Its devices.
    pub devices: i64,
    /// Its numbers.
    pub numbers: i64,
}
