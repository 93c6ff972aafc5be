//! The audit log of the API: who changed what, when, by which request. Details are JSON without secrets; rows are only
//! ever added.

use base::id::kind::{Audit, Tenant, User};
use base::{Id, Timestamp};

use crate::Store;
use crate::error::Result;
use crate::filter::Filter;
use crate::pool::sql;
use crate::row::Columns;

/// Something that was done.
#[derive(Debug, Clone)]
pub struct NewAudit<'a> {
    /// Whose object it is; `None`: the whole switch's.
    pub tenant: Option<Id<Tenant>>,
    /// Who did it; `None`: nobody who is known, such as a failed login.
    pub actor: Option<Id<User>>,
    /// In which role.
    pub actor_role: &'a str,
    /// What: `user.create`, `wallet.adjust` ...
    pub action: &'a str,
    /// What kind of object.
    pub object_kind: &'a str,
    /// Which object, as the number of its id.
    pub object: Option<i64>,
    /// What exactly, as JSON.
    pub detail: &'a serde_json::Value,
    /// By which request.
    pub request: &'a str,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// The row.
    pub id: Id<Audit>,
    /// When.
    pub at: Timestamp,
    /// Whose object it is.
    pub tenant: Option<Id<Tenant>>,
    /// Who did it.
    pub actor: Option<Id<User>>,
    /// In which role.
    pub actor_role: String,
    /// What.
    pub action: String,
    /// What kind of object.
    pub object_kind: String,
    /// Which object, as the number of its id.
    pub object: Option<i64>,
    /// What exactly.
    pub detail: serde_json::Value,
    /// By which request.
    pub request: String,
}

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this tenant.
    pub tenant: Option<Id<Tenant>>,
    /// By this user.
    pub actor: Option<Id<User>>,
    /// This action.
    pub action: Option<String>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl Store {
    /// Adds a row.
    pub async fn audit(&self, new: NewAudit<'_>) -> Result<Id<Audit>> {
        let mut tx = self.begin().await?;
        let id: Id<Audit> = tx.id();
        let insert = sql("INSERT INTO audit_log (id, at_ms, tenant_id, actor_id, actor_role, action, object_kind, \
                          object_id, detail, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
        let insert = insert
            .bind(id.as_i64())
            .bind(tx.now.as_millis())
            .bind(new.tenant.map(Id::as_i64))
            .bind(new.actor.map(Id::as_i64))
            .bind(new.actor_role.to_owned())
            .bind(new.action.to_owned())
            .bind(new.object_kind.to_owned())
            .bind(new.object)
            .bind(new.detail.to_string())
            .bind(new.request.to_owned());
        tx.execute(insert).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// At most `limit` rows, newest first, all older than `before`.
    pub async fn audit_log(
        &self,
        wanted: &AuditFilter,
        before: Option<Id<Audit>>,
        limit: u32,
    ) -> Result<Vec<AuditRow>> {
        let mut filter = Filter::new("SELECT * FROM audit_log");
        filter.and_int_opt("tenant_id =", wanted.tenant.map(Id::as_i64));
        filter.and_int_opt("actor_id =", wanted.actor.map(Id::as_i64));
        filter.and_text_opt("action =", wanted.action.as_deref());
        filter.and_int_opt("at_ms >=", wanted.from.map(Timestamp::as_millis));
        filter.and_int_opt("at_ms <", wanted.until.map(Timestamp::as_millis));
        filter.and_int_opt("id <", before.map(Id::as_i64));
        let rows = self.database().rows(filter.query(" ORDER BY id DESC", limit)).await?;
        rows.iter()
            .map(|row| {
                Ok(AuditRow {
                    id: row.id("id")?,
                    at: row.time("at_ms")?,
                    tenant: row.id_opt("tenant_id")?,
                    actor: row.id_opt("actor_id")?,
                    actor_role: row.text("actor_role")?,
                    action: row.text("action")?,
                    object_kind: row.text("object_kind")?,
                    object: row.int_opt("object_id")?,
                    detail: row.json("detail")?,
                    request: row.text("request_id")?,
                })
            })
            .collect()
    }
}
