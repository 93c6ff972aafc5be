//! Who pays for a call, at which price; one record each. A call has one account, and one more for each forward that
//! costs the forwarding user something.

use base::Id;
use base::id::kind::Wallet;
use domain::call_record::CallParties;
use domain::rate::Rate;

/// A record and what fills it with money.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Who called whom, who pays.
    pub parties: CallParties,
    /// Price and wallet; `None`: nothing is charged.
    pub tariff: Option<(Rate, Id<Wallet>)>,
}
