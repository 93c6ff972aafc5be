//! Telephone numbers that we route.

use std::sync::Arc;

use base::id::kind::{Number, Tenant};
use base::{E164, Id};
use serde::{Deserialize, Serialize};

use crate::account::UserFacts;
use crate::rule::Rule;

/// Where a number is in its life (N8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberStatus {
    /// Routes calls and texts.
    Active,
    /// Owned, but switched off.
    Inactive,
    /// On its way in from another carrier.
    Porting,
    /// Given back, in quarantine.
    Released,
}

impl NumberStatus {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Porting => "porting",
            Self::Released => "released",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Inactive, Self::Porting, Self::Released].into_iter().find(|s| s.as_str() == text)
    }
}

/// A number as calls and texts need it.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberFacts {
    /// The number's row.
    pub id: Id<Number>,
    /// The number.
    pub number: E164,
    /// Whose it is.
    pub tenant: Id<Tenant>,
    /// Its user; a number in stock has none.
    pub owner: Option<Arc<UserFacts>>,
    /// Whether it routes.
    pub status: NumberStatus,
    /// IANA time zone of its rules' schedules.
    pub time_zone: String,
    /// Its rules by ascending priority; inactive ones are left out.
    pub rules: Vec<Rule>,
}
