//! The port `Locations`: bindings, written behind by the registrar, read at its start and by the API.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base::id::kind::User;
use base::{Id, Timestamp};
use domain::ports::{BindingChange, Locations, StoredBinding, Unavailable};
use sqlx::any::AnyRow;

use crate::Store;
use crate::dialect::{placeholders, value_rows};
use crate::error::Result;
use crate::pool::{composed, sql};
use crate::row::Columns;

/// Rows of one statement.
const ROWS_PER_STATEMENT: usize = 500;

fn read(row: &AnyRow) -> Result<StoredBinding> {
    Ok(StoredBinding {
        user: row.id("user_id")?,
        device: row.id("device_id")?,
        key: row.text("binding_key")?,
        data: row.text("data")?,
        expires_at: row.time("expires_at_ms")?,
    })
}

impl Store {
    /// Bindings of a user that have not expired at `now`.
    pub async fn bindings_of(&self, user: Id<User>, now: Timestamp) -> Result<Vec<StoredBinding>> {
        let query = sql("SELECT * FROM bindings WHERE user_id = $1 AND expires_at_ms > $2 ORDER BY binding_key");
        let rows = self.database().rows(query.bind(user.as_i64()).bind(now.as_millis())).await?;
        rows.iter().map(read).collect()
    }

    async fn load_bindings(&self, now: Timestamp) -> Result<Vec<StoredBinding>> {
        let query = sql("SELECT * FROM bindings WHERE expires_at_ms > $1 ORDER BY user_id, binding_key");
        let rows = self.database().rows(query.bind(now.as_millis())).await?;
        rows.iter().map(read).collect()
    }

    async fn write_bindings(&self, changes: &[BindingChange]) -> Result<()> {
        // Of several changes to one binding the last one counts.
        let mut last: BTreeMap<(i64, &str), Option<&StoredBinding>> = BTreeMap::new();
        for change in changes {
            match change {
                BindingChange::Put(binding) => last.insert((binding.user.as_i64(), &binding.key), Some(binding)),
                BindingChange::Remove { user, key } => last.insert((user.as_i64(), key), None),
            };
        }
        let puts: Vec<_> = last.values().flatten().collect();
        let removes: Vec<_> = last.iter().filter(|(_, put)| put.is_none()).map(|(key, _)| key).collect();
        let mut tx = self.begin().await?;
        for rows in puts.chunks(ROWS_PER_STATEMENT) {
            let text = format!(
                "INSERT INTO bindings (user_id, binding_key, device_id, data, expires_at_ms) VALUES {} \
                 ON CONFLICT (user_id, binding_key) DO UPDATE SET device_id = excluded.device_id, \
                 data = excluded.data, expires_at_ms = excluded.expires_at_ms",
                value_rows(rows.len(), 5)
            );
            let query = rows.iter().fold(composed(text), |query, b| {
                let query = query.bind(b.user.as_i64()).bind(b.key.clone()).bind(b.device.as_i64());
                query.bind(b.data.clone()).bind(b.expires_at.as_millis())
            });
            tx.execute(query).await?;
        }
        for rows in removes.chunks(ROWS_PER_STATEMENT) {
            let pairs: Vec<_> = (0..rows.len()).map(|n| format!("({})", placeholders(n * 2 + 1, 2))).collect();
            let text = format!("DELETE FROM bindings WHERE (user_id, binding_key) IN (VALUES {})", pairs.join(", "));
            let query =
                rows.iter().fold(composed(text), |query, (user, key)| query.bind(*user).bind((*key).to_owned()));
            tx.execute(query).await?;
        }
        Ok(tx.commit().await?)
    }
}

#[async_trait]
impl Locations for Store {
    async fn load(&self, now: Timestamp) -> Result<Vec<StoredBinding>, Unavailable> {
        Ok(self.load_bindings(now).await?)
    }

    async fn write(&self, changes: &[BindingChange]) -> Result<(), Unavailable> {
        Ok(self.write_bindings(changes).await?)
    }
}
