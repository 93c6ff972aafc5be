//! From a destination to an ordered list of trunks or carriers: longest prefix first, then priority.

use base::E164;

/// One row of a route table: numbers that begin with `prefix` may go by `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<T> {
    /// Digits without `+`; empty: every number.
    pub prefix: String,
    /// Lower ones are tried first.
    pub priority: i32,
    /// Where to.
    pub to: T,
}

/// Routes of the longest prefix that matches, by priority, then in the order given. Shorter prefixes are not a way out:
/// a route table that sends +1900 to one trunk means that one.
pub fn select<'a, T>(routes: impl IntoIterator<Item = &'a Route<T>>, number: &E164) -> Vec<&'a T> {
    let mut matching: Vec<&Route<T>> =
        routes.into_iter().filter(|r| number.digits().starts_with(r.prefix.as_str())).collect();
    let longest = matching.iter().map(|r| r.prefix.len()).max().unwrap_or(0);
    matching.retain(|r| r.prefix.len() == longest);
    matching.sort_by_key(|r| r.priority);
    matching.into_iter().map(|r| &r.to).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn t7_the_longest_prefix_decides_and_an_unknown_one_has_no_route() {
        let route = |prefix: &str, priority, to| Route { prefix: prefix.into(), priority, to };
        let table = [route("1", 1, "a"), route("1900", 2, "b"), route("1900", 1, "c"), route("44", 1, "d")];
        assert_eq!(select(&table, &"+19005551234".parse().unwrap()), [&"c", &"b"]);
        assert_eq!(select(&table, &"+15551234567".parse().unwrap()), [&"a"]);
        assert!(select(&table, &"+33123456".parse().unwrap()).is_empty());
    }
}
