//! Random secrets of the switch itself (token keys, TURN secrets), made at first use and kept sealed.

use base::{Random, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::Store;
use crate::error::{Error, Result};
use crate::pool::sql;
use crate::row::Columns;

/// Octets of a named secret.
const SECRET_LEN: usize = 32;

impl Store {
    /// The secret of this name: 32 random octets in base64, the same for every process on this database.
    pub async fn named_secret(&self, name: &str) -> Result<Secret> {
        if let Some(secret) = self.sealed_secret(name).await? {
            return Ok(secret);
        }
        let mut bytes = [0u8; SECRET_LEN];
        Random::from_entropy().fill(&mut bytes);
        let sealed = self.key().seal(&purpose(name), &Secret::new(BASE64.encode(bytes)))?;
        let mut tx = self.begin().await?;
        let insert =
            sql("INSERT INTO secrets (name, sealed, created_at_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
        let now_ms = tx.now.as_millis();
        tx.execute(insert.bind(name.to_owned()).bind(sealed).bind(now_ms)).await?;
        tx.commit().await?;
        // Whoever came first decides; read back what is kept.
        self.sealed_secret(name).await?.ok_or(Error::NotFound("secret"))
    }

    async fn sealed_secret(&self, name: &str) -> Result<Option<Secret>> {
        let row = self.database().row(sql("SELECT sealed FROM secrets WHERE name = $1").bind(name.to_owned())).await?;
        row.map(|row| self.key().open(&purpose(name), &row.text("sealed")?)).transpose()
    }
}

fn purpose(name: &str) -> String {
    format!("secret {name}")
}
