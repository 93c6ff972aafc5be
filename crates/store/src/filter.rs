//! A SELECT with optional conditions, for lists. Values are always bound; only fixed fragments become text.

use crate::pool::{Query, composed};

/// Most rows of one page, whatever was asked.
const PAGE_MAX: u32 = 1_000;

/// A statement that grows by conditions.
pub(crate) struct Filter {
    text: String,
    values: Vec<Value>,
}

enum Value {
    Int(i64),
    Text(String),
}

impl Filter {
    /// `select` is everything up to WHERE.
    pub(crate) fn new(select: &'static str) -> Self {
        Self { text: format!("{select} WHERE 1 = 1"), values: vec![] }
    }

    /// A condition without a value.
    pub(crate) fn and(&mut self, condition: &'static str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    /// `condition` is a column and an operator, such as `tenant_id =`.
    pub(crate) fn and_int(&mut self, condition: &'static str, value: i64) {
        self.push(condition, Value::Int(value));
    }

    pub(crate) fn and_int_opt(&mut self, condition: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            self.and_int(condition, value);
        }
    }

    pub(crate) fn and_text(&mut self, condition: &'static str, value: &str) {
        self.push(condition, Value::Text(value.to_owned()));
    }

    pub(crate) fn and_text_opt(&mut self, condition: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.and_text(condition, value);
        }
    }

    /// One of the conditions holds for the same value.
    pub(crate) fn and_either_text(&mut self, conditions: [&'static str; 2], value: Option<&str>) {
        if let Some(value) = value {
            self.values.push(Value::Text(value.to_owned()));
            let n = self.values.len();
            self.text.push_str(&format!(" AND ({} ${n} OR {} ${n})", conditions[0], conditions[1]));
        }
    }

    /// Rows before a place in the order newest first: an earlier time, or the same time and a smaller id.
    pub(crate) fn before(&mut self, time: &'static str, id: &'static str, place: Option<(i64, i64)>) {
        if let Some((at, row)) = place {
            self.values.push(Value::Int(at));
            self.values.push(Value::Int(row));
            let n = self.values.len();
            self.text.push_str(&format!(" AND ({time}, {id}) < (${}, ${n})", n - 1));
        }
    }

    fn push(&mut self, condition: &'static str, value: Value) {
        self.values.push(value);
        self.text.push_str(&format!(" AND {condition} ${}", self.values.len()));
    }

    /// The statement, with an order and at most `limit` rows.
    pub(crate) fn query(self, order: &'static str, limit: u32) -> Query<'static> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut query = composed(format!("{}{order} LIMIT {limit}", self.text));
        for value in self.values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query
    }
}
