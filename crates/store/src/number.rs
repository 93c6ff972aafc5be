//! Telephone numbers: stock, ownership, and the legal steps of their life (N8).

use base::id::kind::{Number, Tenant, User};
use base::{E164, Id, Timestamp};
use domain::number::NumberStatus;
use sqlx::any::AnyRow;

use crate::Store;
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::{self, Page};
use crate::pool::sql;
use crate::row::Columns;

/// What sort of number it is (N8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// Of a place.
    Local,
    /// Of a mobile network.
    Mobile,
    /// Free for who calls it.
    TollFree,
}

impl NumberKind {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Mobile => "mobile",
            Self::TollFree => "toll_free",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Local, Self::Mobile, Self::TollFree].into_iter().find(|k| k.as_str() == text)
    }
}

/// Whether a number may go from one status to another; staying is always allowed.
pub fn may_become(from: NumberStatus, to: NumberStatus) -> bool {
    use NumberStatus::{Active, Inactive, Porting, Released};
    match (from, to) {
        (Active, Inactive | Released) | (Inactive, Active | Released) | (Porting, Active | Inactive | Released) => true,
        (Released, _) | (Active | Inactive, Porting) => from == to,
        (Active, Active) | (Inactive, Inactive) | (Porting, Porting) => true,
    }
}

/// A number as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRow {
    /// Its row.
    pub id: Id<Number>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// Its user; `None`: in stock.
    pub user: Option<Id<User>>,
    /// The number.
    pub number: E164,
    /// What sort.
    pub kind: NumberKind,
    /// Whether it routes.
    pub status: NumberStatus,
    /// IANA time zone of its rules.
    pub time_zone: String,
    /// Place among its user's numbers; the least is the primary one.
    pub position: i64,
    /// Whether it takes calls.
    pub voice: bool,
    /// Whether it takes and sends texts.
    pub sms: bool,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A number to take into a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNumber {
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// Its user; `None`: in stock.
    pub user: Option<Id<User>>,
    /// The number.
    pub number: E164,
    /// What sort.
    pub kind: NumberKind,
    /// Active, inactive or porting.
    pub status: NumberStatus,
    /// IANA time zone of its rules.
    pub time_zone: String,
    /// Whether it takes and sends texts.
    pub sms: bool,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberChange {
    /// Its user; `Some(None)` puts it in stock.
    pub user: Option<Option<Id<User>>>,
    /// Only legal steps ([`may_become`]), else [`Error::Conflict`].
    pub status: Option<NumberStatus>,
    /// IANA time zone of its rules.
    pub time_zone: Option<String>,
    /// Makes it the primary number of its user.
    pub primary: bool,
    /// Whether it takes and sends texts.
    pub sms: Option<bool>,
}

/// Which numbers to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberFilter {
    /// Only of this user.
    pub user: Option<Id<User>>,
    /// Only with this status; released ones only when asked for.
    pub status: Option<NumberStatus>,
    /// Only this one.
    pub number: Option<E164>,
}

fn read(row: &AnyRow) -> Result<NumberRow> {
    Ok(NumberRow {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        user: row.id_opt("user_id")?,
        number: row.e164("number")?,
        kind: row.word("kind", NumberKind::parse)?,
        status: row.word("status", NumberStatus::parse)?,
        time_zone: row.text("time_zone")?,
        position: row.int("position")?,
        voice: row.flag("voice")?,
        sms: row.flag("sms")?,
        managed_by: row.text_opt("managed_by")?,
        created_at: row.time("created_at_ms")?,
        updated_at: row.time("updated_at_ms")?,
    })
}

impl Store {
    /// Numbers of a tenant or (`None`) of all, newest first.
    pub async fn list_numbers(
        &self,
        scope: Option<Id<Tenant>>,
        filter: &NumberFilter,
        page: Page,
    ) -> Result<Vec<NumberRow>> {
        let mut query = Filter::new("SELECT * FROM numbers");
        query.and_int_opt("tenant_id =", scope.map(Id::as_i64));
        query.and_int_opt("user_id =", filter.user.map(Id::as_i64));
        query.and_text_opt("number =", filter.number.as_ref().map(E164::as_str));
        match filter.status {
            Some(status) => query.and_text("status =", status.as_str()),
            None => query.and("status <> 'released'"),
        }
        query.and_int_opt("id <", page.before);
        let rows = self.database().rows(query.query(" ORDER BY id DESC", page.limit)).await?;
        rows.iter().map(read).collect()
    }

    /// A number by its row, within a tenant or (`None`) anywhere.
    pub async fn find_number(&self, scope: Option<Id<Tenant>>, number: Id<Number>) -> Result<NumberRow> {
        let row = self.database().row(sql("SELECT * FROM numbers WHERE id = $1").bind(number.as_i64())).await?;
        let found = row.as_ref().map(read).transpose()?;
        found.filter(|n| scope.is_none_or(|t| t == n.tenant)).ok_or(Error::NotFound("number"))
    }

    /// Takes a number into a tenant; one that is in use anywhere is a conflict.
    pub async fn create_number(&self, new: &NewNumber) -> Result<NumberRow> {
        naming::time_zone(&new.time_zone)?;
        if new.status == NumberStatus::Released {
            return Err(Error::malformed("status", "a new number is active, inactive or porting"));
        }
        self.find_tenant(new.tenant).await?;
        if let Some(user) = new.user {
            self.find_user(Some(new.tenant), user).await?;
        }
        let mut tx = self.begin().await?;
        let id: Id<Number> = tx.id();
        let now_ms = tx.now.as_millis();
        let insert =
            sql("INSERT INTO numbers (id, tenant_id, user_id, number, kind, status, time_zone, position, sms, \
             created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, \
             (SELECT COALESCE(MAX(position), -1) + 1 FROM numbers WHERE user_id = $3), $8, $9, $9)");
        let insert = insert
            .bind(id.as_i64())
            .bind(new.tenant.as_i64())
            .bind(new.user.map(Id::as_i64))
            .bind(new.number.as_str().to_owned())
            .bind(new.kind.as_str())
            .bind(new.status.as_str())
            .bind(new.time_zone.clone())
            .bind(i64::from(new.sms))
            .bind(now_ms);
        tx.execute(insert).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_number(None, id).await
    }

    /// Changes a number. A released one stays released.
    pub async fn update_number(
        &self,
        scope: Option<Id<Tenant>>,
        number: Id<Number>,
        change: &NumberChange,
    ) -> Result<NumberRow> {
        let row = self.find_number(scope, number).await?;
        naming::unmanaged(row.managed_by.as_deref())?;
        let status = change.status.unwrap_or(row.status);
        if !may_become(row.status, status) {
            return Err(Error::Conflict(format!("{} cannot become {}", row.status.as_str(), status.as_str())));
        }
        let time_zone = change.time_zone.clone().unwrap_or(row.time_zone);
        naming::time_zone(&time_zone)?;
        let user = change.user.unwrap_or(row.user);
        if let Some(user) = user {
            self.find_user(Some(row.tenant), user).await?;
        }
        let mut tx = self.begin().await?;
        let now_ms = tx.now.as_millis();
        let update =
            sql("UPDATE numbers SET user_id = $1, status = $2, time_zone = $3, sms = $4, updated_at_ms = $5, \
             position = CASE WHEN $6 = 1 THEN (SELECT COALESCE(MIN(o.position), 0) - 1 FROM numbers o \
             WHERE o.user_id = $1) ELSE position END WHERE id = $7");
        let update = update
            .bind(user.map(Id::as_i64))
            .bind(status.as_str())
            .bind(time_zone)
            .bind(i64::from(change.sms.unwrap_or(row.sms)))
            .bind(now_ms)
            .bind(i64::from(change.primary))
            .bind(number.as_i64());
        tx.execute(update).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_number(scope, number).await
    }

    /// Gives a number back: it stops routing, its record stays.
    pub async fn release_number(&self, scope: Option<Id<Tenant>>, number: Id<Number>) -> Result<NumberRow> {
        let change = NumberChange { status: Some(NumberStatus::Released), ..NumberChange::default() };
        self.update_number(scope, number, &change).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n8_only_the_legal_steps_are_possible() {
        use NumberStatus::{Active, Inactive, Porting, Released};
        for (from, to, legal) in [
            (Active, Inactive, true),
            (Inactive, Active, true),
            (Porting, Active, true),
            (Active, Released, true),
            (Active, Active, true),
            (Released, Active, false),
            (Released, Porting, false),
            (Active, Porting, false),
            (Inactive, Porting, false),
        ] {
            assert_eq!(may_become(from, to), legal, "{from:?} to {to:?}");
        }
    }
}
