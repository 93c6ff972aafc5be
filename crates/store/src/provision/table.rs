//! Bringing the rows of one table to what is wanted: compared by natural key, inserted by the hundred, updated one by one.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::any::AnyRow;

use super::Difference;
use crate::Store;
use crate::dialect::value_rows;
use crate::error::{Error, Result};
use crate::pool::{Query, Tx, composed};
use crate::row::Columns;

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// NULL.
    Null,
    /// A BIGINT.
    Int(i64),
    /// A TEXT.
    Text(String),
    /// Whatever is there stays; NULL in a new row.
    Keep,
    /// Whatever is there stays; this word in a new row.
    AtFirst(&'static str),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value {
    fn shown(&self) -> String {
        match self {
            Self::Null | Self::Keep => "none".into(),
            Self::Int(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::AtFirst(value) => (*value).to_owned(),
        }
    }

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        match self {
            // The engines want to know the type of a NULL; every nullable column that is provisioned may hold either.
            Self::Null | Self::Keep => query.bind(None::<String>),
            Self::Int(value) => query.bind(*value),
            Self::Text(value) => query.bind(value.clone()),
            Self::AtFirst(value) => query.bind(*value),
        }
    }
}

/// A column that provisioning sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// BIGINT; else TEXT.
    pub(super) int: bool,
    /// Part of the natural key.
    pub(super) key: bool,
    /// Shown in differences; ids and secrets are not.
    pub(super) shown: bool,
    /// How firmly it keeps its value.
    pub(super) hold: Hold,
}

/// How firmly a column keeps its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It changes with the manifest.
    Free,
    /// A row that this source did not bring is adopted only with the value that it has: nothing is taken from its owner.
    Owner,
    /// It never changes.
    Forever,
}

/// A TEXT column.
pub(super) const fn text(name: &'static str) -> Column {
    Column { name, int: false, key: false, shown: true, hold: Hold::Free }
}
/// A BIGINT column.
pub(super) const fn int(name: &'static str) -> Column {
    Column { name, int: true, key: false, shown: true, hold: Hold::Free }
}
impl Column {
    pub(super) const fn key(self) -> Self {
        Self { key: true, ..self }
    }
    pub(super) const fn hidden(self) -> Self {
        Self { shown: false, ..self }
    }
    pub(super) const fn hold(self, hold: Hold) -> Self {
        Self { hold, ..self }
    }
}

/// How rows leave.
#[derive(Debug, Clone, Copy)]
pub(super) enum Removal {
    /// `status` becomes this word.
    Status(&'static str),
    /// `deleted_at_ms` is set.
    DeletedAt,
    /// The row goes.
    Delete,
}

/// A table as provisioning sees it.
#[derive(Debug)]
pub(super) struct Table {
    /// What a person calls its rows.
    pub(super) what: &'static str,
    pub(super) name: &'static str,
    /// Key columns first.
    pub(super) columns: &'static [Column],
    pub(super) removal: Removal,
    /// Whether it has updated_at_ms.
    pub(super) updated_at: bool,
    /// Whether a row of this source that left comes back as the same row, when it is wanted again.
    pub(super) returns: bool,
}

/// A row that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// For a person.
    pub(super) label: String,
    /// One per column of the table.
    pub(super) values: Vec<Value>,
}

/// A row that is there.
#[derive(Debug)]
struct Present {
    id: i64,
    managed_by: Option<String>,
    values: Vec<Value>,
    /// It left before.
    gone: bool,
}

/// One provisioning under way.
pub(super) struct Sync<'s> {
    pub(super) store: &'s Store,
    pub(super) tx: Tx<'s>,
    source: &'s str,
    difference: Difference,
    /// Ids by natural names, for the objects that refer to each other.
    pub(super) ids: HashMap<(&'static str, String), i64>,
    leaving: Vec<(&'static Table, Vec<i64>)>,
    /// Ids of rows that came now.
    new: HashSet<i64>,
}

impl<'s> Sync<'s> {
    pub(super) async fn begin(store: &'s Store, source: &'s str) -> Result<Self> {
        let tx = store.begin().await?;
        let (difference, ids, leaving, new) = (Difference::default(), HashMap::new(), Vec::new(), HashSet::new());
        Ok(Self { store, tx, source, difference, ids, leaving, new })
    }

    pub(super) fn finish(self) -> (Tx<'s>, Difference) {
        (self.tx, self.difference)
    }

    /// Says a change that is not one of a row; what is new is said as new only.
    pub(super) fn say_change(&mut self, what: &'static str, id: i64, label: &str, change: &str) {
        if !self.new.contains(&id) {
            self.difference.change(what, label, change);
        }
    }

    /// The id of an object by its natural name, of this source or of the store.
    pub(super) fn known(&self, what: &'static str, name: &str) -> Option<i64> {
        self.ids.get(&(what, name.to_owned())).copied()
    }

    /// Brings the rows to what is wanted; returns their ids in the same order. Rows of this source that nobody wants any
    /// more are remembered, and leave at the end, when nothing refers to them.
    pub(super) async fn rows(&mut self, table: &'static Table, wanted: Vec<Wanted>) -> Result<Vec<i64>> {
        let mut present = self.present(table).await?;
        let mut seen = HashSet::new();
        let (mut ids, mut new) = (Vec::with_capacity(wanted.len()), Vec::new());
        for row in wanted {
            let key = key_of(table, &row.values);
            if !seen.insert(key.clone()) {
                return Err(Error::Malformed { what: table.what, why: format!("{} stands twice", row.label) });
            }
            match present.remove(&key) {
                Some(there) => {
                    ids.push(there.id);
                    self.update(table, &there, &row).await?;
                }
                None => {
                    let id = self.tx.id::<()>().as_i64();
                    ids.push(id);
                    self.new.insert(id);
                    self.difference.add(table.what, &row.label);
                    new.push((id, row.values));
                }
            }
        }
        self.insert(table, new).await?;
        let ours = |p: &Present| !p.gone && p.managed_by.as_deref() == Some(self.source);
        let leaving: Vec<_> = present.into_values().filter(ours).collect();
        for row in &leaving {
            let shown = row.values.iter().zip(table.columns).filter(|(_, c)| c.key && c.shown);
            let label = shown.map(|(v, _)| v.shown()).collect::<Vec<_>>().join(" ");
            self.difference.remove(table.what, &label);
        }
        self.leaving.push((table, leaving.into_iter().map(|p| p.id).collect()));
        Ok(ids)
    }

    async fn present(&mut self, table: &Table) -> Result<BTreeMap<String, Present>> {
        let columns: Vec<_> = table.columns.iter().map(|c| c.name).collect();
        let live = match table.removal {
            Removal::Status(gone) => format!("status <> '{gone}'"),
            Removal::DeletedAt => "deleted_at_ms IS NULL".into(),
            Removal::Delete => "1 = 1".into(),
        };
        let scope = if table.returns { format!("{live} OR managed_by = $1") } else { live.clone() };
        let query = composed(format!(
            "SELECT id, managed_by, CASE WHEN {live} THEN 0 ELSE 1 END AS gone, {} FROM {} WHERE {scope} ORDER BY id",
            columns.join(", "),
            table.name
        ));
        let query = if table.returns { query.bind(self.source.to_owned()) } else { query };
        let mut present: BTreeMap<String, Present> = BTreeMap::new();
        for row in self.tx.rows(query).await? {
            let values = table.columns.iter().map(|c| read(&row, c)).collect::<Result<Vec<_>>>()?;
            let key = key_of(table, &values);
            let gone = row.number::<i64>("gone")? != 0;
            let found = Present { id: row.int("id")?, managed_by: row.text_opt("managed_by")?, values, gone };
            // Of several rows of one name the one in use counts, else the one that left last.
            if !gone || present.get(&key).is_none_or(|p| p.gone) {
                present.insert(key, found);
            }
        }
        Ok(present)
    }

    async fn update(&mut self, table: &Table, there: &Present, wanted: &Wanted) -> Result<()> {
        if let Some(other) = there.managed_by.as_deref().filter(|m| *m != self.source) {
            return Err(Error::Conflict(format!("{} {} is managed by {other}", table.what, wanted.label)));
        }
        let pairs = table.columns.iter().zip(there.values.iter().zip(&wanted.values));
        let stays = |new: &Value| match new {
            Value::Keep => true,
            Value::AtFirst(_) => !there.gone,
            Value::Null | Value::Int(_) | Value::Text(_) => false,
        };
        let changed: Vec<_> = pairs.filter(|(_, (old, new))| !stays(new) && old != new).collect();
        let adopted = there.managed_by.is_none();
        if changed.is_empty() && !adopted {
            return Ok(());
        }
        for (column, _) in &changed {
            let why = match column.hold {
                Hold::Owner if adopted => format!("belongs to somebody else ({})", column.name),
                Hold::Forever => format!("{} never changes", column.name),
                Hold::Owner | Hold::Free => continue,
            };
            return Err(Error::Conflict(format!("{} {} {why}", table.what, wanted.label)));
        }
        let say = |(column, (old, new)): &(&Column, (&Value, &Value))| match column.shown {
            true => format!("{} {} -> {}", column.name, old.shown(), new.shown()),
            false => format!("{} changes", column.name),
        };
        let mut fields: Vec<String> = changed.iter().map(say).collect();
        if adopted {
            fields.push(format!("managed by {}", self.source));
        }
        self.difference.change(table.what, &wanted.label, &fields.join(", "));
        let mut sets: Vec<String> =
            changed.iter().enumerate().map(|(n, (c, _))| format!("{} = {}", c.name, parameter(n + 3, c))).collect();
        sets.push("managed_by = $2".into());
        if table.updated_at {
            sets.push(format!("updated_at_ms = {}", self.tx.now.as_millis()));
        }
        let query = composed(format!("UPDATE {} SET {} WHERE id = $1", table.name, sets.join(", ")));
        let query = query.bind(there.id).bind(self.source.to_owned());
        let query = changed.iter().fold(query, |query, (_, (_, new))| new.bind(query));
        self.tx.execute(query).await?;
        Ok(())
    }

    async fn insert(&mut self, table: &Table, rows: Vec<(i64, Vec<Value>)>) -> Result<()> {
        let now_ms = self.tx.now.as_millis();
        let times: &[&str] = if table.updated_at { &["created_at_ms", "updated_at_ms"] } else { &["created_at_ms"] };
        let names: Vec<_> = ["id", "managed_by"].into_iter().chain(table.columns.iter().map(|c| c.name)).collect();
        let names: Vec<_> = names.into_iter().chain(times.iter().copied()).collect();
        let chunk = (self.tx.engine().parameters_max() / names.len()).min(500);
        for rows in rows.chunks(chunk.max(1)) {
            let places = typed_rows(table, rows.len(), names.len());
            let query = composed(format!("INSERT INTO {} ({}) VALUES {places}", table.name, names.join(", ")));
            let query = rows.iter().fold(query, |query, (id, values)| {
                let query = query.bind(*id).bind(self.source.to_owned());
                let query = values.iter().fold(query, |query, value| value.bind(query));
                times.iter().fold(query, |query, _| query.bind(now_ms))
            });
            self.tx.execute(query).await?;
        }
        Ok(())
    }

    /// Rows that nobody wants any more, in the reverse order of the tables.
    pub(super) async fn remove_what_left(&mut self) -> Result<()> {
        let now_ms = self.tx.now.as_millis();
        for (table, ids) in std::mem::take(&mut self.leaving).into_iter().rev() {
            let touched = if table.updated_at { format!(", updated_at_ms = {now_ms}") } else { String::new() };
            let text = match table.removal {
                Removal::Status(gone) => format!("UPDATE {} SET status = '{gone}'{touched} WHERE id = $1", table.name),
                Removal::DeletedAt => format!("UPDATE {} SET deleted_at_ms = {now_ms} WHERE id = $1", table.name),
                Removal::Delete => format!("DELETE FROM {} WHERE id = $1", table.name),
            };
            for id in ids {
                self.tx.execute(composed(text.clone()).bind(id)).await?;
            }
        }
        Ok(())
    }
}

fn read(row: &AnyRow, column: &Column) -> Result<Value> {
    Ok(if column.int { row.int_opt(column.name)?.into() } else { row.text_opt(column.name)?.into() })
}

fn key_of(table: &Table, values: &[Value]) -> String {
    let parts = values.iter().zip(table.columns).filter(|(_, c)| c.key).map(|(v, _)| v.shown());
    parts.collect::<Vec<_>>().join("\u{1f}")
}

/// A placeholder that says its type, so that a NULL bound as text fits a BIGINT column in PostgreSQL.
fn parameter(number: usize, column: &Column) -> String {
    if column.int { format!("CAST(${number} AS BIGINT)") } else { format!("${number}") }
}

fn typed_rows(table: &Table, rows: usize, width: usize) -> String {
    if table.columns.iter().all(|c| !c.int) {
        return value_rows(rows, width);
    }
    let mut text = String::new();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for n in 0..width {
            let number = row * width + n + 1;
            let column = n.checked_sub(2).and_then(|c| table.columns.get(c));
            let place = column.map_or_else(|| format!("${number}"), |c| parameter(number, c));
            text.push_str(if n == 0 { "" } else { ", " });
            text.push_str(&place);
        }
        text.push(')');
    }
    text
}
