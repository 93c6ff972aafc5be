//! The few fragments of SQL that differ between SQLite and PostgreSQL. Everything else is one text for both.

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file, one writer.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// How a transaction that writes begins: SQLite takes the write lock at once, so that it never has to upgrade a
    /// read lock (which fails when another process wrote in between).
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Ends a sub-select that picks queue rows: rows that another worker is just claiming are left out.
    pub(crate) const fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE OF p SKIP LOCKED",
        }
    }

    /// Ends a select whose rows are changed next in the same transaction.
    pub(crate) const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Most parameters of one statement: 65,535 in PostgreSQL's protocol, 32,766 in SQLite as built.
    pub(crate) const fn parameters_max(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::Postgres => 65_535,
        }
    }
}

/// `($1, $2), ($3, $4)` … for a multi-row insert.
pub(crate) fn value_rows(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        text.push_str(&placeholders(row * columns + 1, columns));
        text.push(')');
    }
    text
}

/// `$first, $first+1` … for an IN list of `count` values.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(count * 6);
    for n in first..first + count {
        // Writing to a string cannot fail.
        _ = write!(text, "{}${n}", if n == first { "" } else { ", " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_through() {
        assert_eq!(value_rows(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(placeholders(4, 2), "$4, $5");
    }
}
