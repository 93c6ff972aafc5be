//! Small questions of the API that no aggregate answers.

use base::E164;
use base::id::kind::{Device, User};
use base::{Id, Timestamp};

use crate::Store;
use crate::error::Result;
use crate::pool::sql;
use crate::row::Columns;

impl Store {
    /// Whether a number that we route can send and receive texts; `false` for an unknown one.
    pub async fn number_takes_texts(&self, number: &E164) -> Result<bool> {
        let select = sql("SELECT sms FROM numbers WHERE number = $1 AND status <> 'released'");
        let row = self.database().row(select.bind(number.as_str().to_owned())).await?;
        row.map_or(Ok(false), |row| row.flag("sms"))
    }

    /// Devices of a user that are registered at `now`, with the end of their longest binding.
    pub async fn online_devices(&self, user: Id<User>, now: Timestamp) -> Result<Vec<(Id<Device>, Timestamp)>> {
        let select = sql("SELECT device_id, MAX(expires_at_ms) AS until_ms FROM bindings \
                          WHERE user_id = $1 AND expires_at_ms > $2 GROUP BY device_id ORDER BY device_id");
        let rows = self.database().rows(select.bind(user.as_i64()).bind(now.as_millis())).await?;
        rows.iter().map(|row| Ok((row.id("device_id")?, row.time("until_ms")?))).collect()
    }
}
