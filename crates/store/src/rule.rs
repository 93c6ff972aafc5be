//! Call rules of a number (R8-R12).

use base::id::kind::{Number, Rule as RuleId, Tenant};
use base::{E164, Id, Timestamp};
use domain::rule::{Rule, RuleKind, Schedule};
use sqlx::any::AnyRow;

use crate::Store;
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::naming;
use crate::pool::{Tx, sql};
use crate::row::{Columns, json};

/// Most rules of one number; each call looks through all of them.
pub const RULES_PER_NUMBER_MAX: i64 = 50;

/// A rule as its owner sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleRow {
    /// What it says.
    pub rule: Rule,
    /// Its number's row.
    pub number: Id<Number>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// Whether it is evaluated.
    pub active: bool,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A rule to make or what one is to become.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleData {
    /// Lower numbers are looked at first.
    pub priority: i32,
    /// What it does.
    pub kind: RuleKind,
    /// Where calls go.
    pub forward_to: Option<E164>,
    /// How long devices ring before `forward_no_answer`, 1 to 120 seconds.
    pub timeout_s: Option<u32>,
    /// When it holds; always when `None`.
    pub schedule: Option<Schedule>,
    /// Whether it is evaluated.
    pub active: bool,
}

impl RuleData {
    /// Whether the rule is whole, on `number`.
    pub fn check(&self, number: &E164) -> Result<()> {
        let rule = Rule {
            id: Id::from_i64(0),
            priority: self.priority,
            kind: self.kind,
            forward_to: self.forward_to.clone(),
            timeout_s: self.timeout_s,
            schedule: self.schedule.clone(),
        };
        if self.timeout_s.is_some_and(|t| !(1..=120).contains(&t)) {
            return Err(Error::malformed("timeout_seconds", "1 to 120"));
        }
        rule.check(number).map_err(|e| Error::malformed("rule", e))
    }
}

pub(crate) fn facts(row: &AnyRow) -> Result<Rule> {
    Ok(Rule {
        id: row.id("id")?,
        priority: row.number("priority")?,
        kind: row.word("kind", RuleKind::parse)?,
        forward_to: row.e164_opt("forward_to")?,
        timeout_s: row.number_opt("timeout_s")?,
        schedule: row.json_opt("schedule")?,
    })
}

fn read(row: &AnyRow) -> Result<RuleRow> {
    Ok(RuleRow {
        rule: facts(row)?,
        number: row.id("number_id")?,
        tenant: row.id("tenant_id")?,
        active: row.flag("active")?,
        managed_by: row.text_opt("managed_by")?,
        created_at: row.time("created_at_ms")?,
        updated_at: row.time("updated_at_ms")?,
    })
}

impl Store {
    /// Rules of a number, active or not, in the order in which they are looked at.
    pub async fn list_rules(&self, number: Id<Number>) -> Result<Vec<RuleRow>> {
        let query = sql("SELECT * FROM rules WHERE number_id = $1 ORDER BY priority, id").bind(number.as_i64());
        self.database().rows(query).await?.iter().map(read).collect()
    }

    /// A rule, within a tenant or (`None`) anywhere.
    pub async fn find_rule(&self, scope: Option<Id<Tenant>>, rule: Id<RuleId>) -> Result<RuleRow> {
        let row = self.database().row(sql("SELECT * FROM rules WHERE id = $1").bind(rule.as_i64())).await?;
        let found = row.as_ref().map(read).transpose()?;
        found.filter(|r| scope.is_none_or(|t| t == r.tenant)).ok_or(Error::NotFound("rule"))
    }

    /// Adds a rule to a number. Numbers of a manifest take rules of their owners too.
    pub async fn create_rule(&self, scope: Option<Id<Tenant>>, number: Id<Number>, data: &RuleData) -> Result<RuleRow> {
        let row = self.find_number(scope, number).await?;
        data.check(&row.number)?;
        let mut tx = self.begin().await?;
        let count = tx.row(sql("SELECT COUNT(*) AS n FROM rules WHERE number_id = $1").bind(number.as_i64())).await?;
        if count.map_or(Ok(0), |r| r.int("n"))? >= RULES_PER_NUMBER_MAX {
            return Err(Error::Conflict(format!("a number has at most {RULES_PER_NUMBER_MAX} rules")));
        }
        let id: Id<RuleId> = tx.id();
        insert(&mut tx, id, row.tenant, number, data, None).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_rule(scope, id).await
    }

    /// Makes a rule into what `data` says.
    pub async fn update_rule(&self, scope: Option<Id<Tenant>>, rule: Id<RuleId>, data: &RuleData) -> Result<RuleRow> {
        let row = self.find_rule(scope, rule).await?;
        naming::unmanaged(row.managed_by.as_deref())?;
        data.check(&self.find_number(scope, row.number).await?.number)?;
        let mut tx = self.begin().await?;
        let update = sql("UPDATE rules SET priority = $1, kind = $2, forward_to = $3, timeout_s = $4, schedule = $5, \
             active = $6, updated_at_ms = $7 WHERE id = $8");
        let now_ms = tx.now.as_millis();
        let update = update
            .bind(i64::from(data.priority))
            .bind(data.kind.as_str())
            .bind(data.forward_to.as_ref().map(|n| n.as_str().to_owned()))
            .bind(data.timeout_s.map(i64::from))
            .bind(data.schedule.as_ref().map(json).transpose()?)
            .bind(i64::from(data.active))
            .bind(now_ms)
            .bind(rule.as_i64());
        tx.execute(update).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_rule(scope, rule).await
    }

    /// Removes a rule.
    pub async fn delete_rule(&self, scope: Option<Id<Tenant>>, rule: Id<RuleId>) -> Result<()> {
        naming::unmanaged(self.find_rule(scope, rule).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        tx.execute(sql("DELETE FROM rules WHERE id = $1").bind(rule.as_i64())).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await
    }
}

pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    id: Id<RuleId>,
    tenant: Id<Tenant>,
    number: Id<Number>,
    data: &RuleData,
    managed_by: Option<&str>,
) -> Result<()> {
    let insert = sql("INSERT INTO rules (id, tenant_id, number_id, priority, kind, forward_to, timeout_s, schedule, \
         active, managed_by, created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)");
    let now_ms = tx.now.as_millis();
    let insert = insert
        .bind(id.as_i64())
        .bind(tenant.as_i64())
        .bind(number.as_i64())
        .bind(i64::from(data.priority))
        .bind(data.kind.as_str())
        .bind(data.forward_to.as_ref().map(|n| n.as_str().to_owned()))
        .bind(data.timeout_s.map(i64::from))
        .bind(data.schedule.as_ref().map(json).transpose()?)
        .bind(i64::from(data.active))
        .bind(managed_by.map(str::to_owned))
        .bind(now_ms);
    tx.execute(insert).await?;
    Ok(())
}
