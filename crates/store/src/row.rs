//! Reading columns by name: what cannot be read is `Misbehaved`, with the column's name.

use base::{Currency, E164, Id, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::error::{Error, Result};

/// Typed access to the columns of a row.
pub(crate) trait Columns {
    fn int(&self, name: &str) -> Result<i64>;
    fn int_opt(&self, name: &str) -> Result<Option<i64>>;
    fn text(&self, name: &str) -> Result<String>;
    fn text_opt(&self, name: &str) -> Result<Option<String>>;

    fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.int(name)? != 0)
    }
    fn id<K>(&self, name: &str) -> Result<Id<K>> {
        self.int(name).map(Id::from_i64)
    }
    fn id_opt<K>(&self, name: &str) -> Result<Option<Id<K>>> {
        Ok(self.int_opt(name)?.map(Id::from_i64))
    }
    fn time(&self, name: &str) -> Result<Timestamp> {
        self.int(name).map(Timestamp::from_millis)
    }
    fn time_opt(&self, name: &str) -> Result<Option<Timestamp>> {
        Ok(self.int_opt(name)?.map(Timestamp::from_millis))
    }
    /// A whole number of a smaller type.
    fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T> {
        T::try_from(self.int(name)?).map_err(|_| unreadable(name, "out of range"))
    }
    /// A whole number of a smaller type, or NULL.
    fn number_opt<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>> {
        self.int_opt(name)?.map(|v| T::try_from(v).map_err(|_| unreadable(name, "out of range"))).transpose()
    }
    /// An enum by its stored name.
    fn word<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        let text = self.text(name)?;
        parse(&text).ok_or_else(|| unreadable(name, &text))
    }
    /// An enum by its stored name, or NULL.
    fn word_opt<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        self.text_opt(name)?.map(|text| parse(&text).ok_or_else(|| unreadable(name, &text))).transpose()
    }
    fn currency(&self, name: &str) -> Result<Currency> {
        self.word(name, |t| t.parse().ok())
    }
    fn e164(&self, name: &str) -> Result<E164> {
        self.word(name, |t| t.parse().ok())
    }
    fn e164_opt(&self, name: &str) -> Result<Option<E164>> {
        self.word_opt(name, |t| t.parse().ok())
    }
    /// A JSON text.
    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_str(&self.text(name)?).map_err(|e| unreadable(name, &e.to_string()))
    }
    /// A JSON text, or NULL.
    fn json_opt<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.text_opt(name)?.map(|t| serde_json::from_str(&t).map_err(|e| unreadable(name, &e.to_string()))).transpose()
    }
}

impl Columns for AnyRow {
    fn int(&self, name: &str) -> Result<i64> {
        Ok(self.try_get::<i64, _>(name)?)
    }
    fn int_opt(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.try_get::<Option<i64>, _>(name)?)
    }
    fn text(&self, name: &str) -> Result<String> {
        Ok(self.try_get::<String, _>(name)?)
    }
    fn text_opt(&self, name: &str) -> Result<Option<String>> {
        Ok(self.try_get::<Option<String>, _>(name)?)
    }
}

fn unreadable(column: &str, what: &str) -> Error {
    Error::Misbehaved(format!("column {column}: {what}"))
}

/// A value as JSON text for a TEXT column.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Misbehaved(format!("as JSON: {e}")))
}
