//! Reserving money before it is spent: what the store does in one statement, said in the language of the business.

use base::id::kind::{Reservation, Wallet};
use base::{Id, Money};

/// Money that was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// What to extend, settle or release.
    pub reservation: Id<Reservation>,
    /// All that is set aside under it now, this grant included.
    pub total: Money,
}

/// How much to set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// From which wallet.
    pub wallet: Id<Wallet>,
    /// What one would like, e.g. the price of a quota of 60 s.
    pub wanted: Money,
    /// The least that is of use, e.g. the price of the first increment; less is refused.
    pub least: Money,
}

impl Hold {
    /// What a wallet with `free_micros` (balance plus credit limit minus open holds) grants: all that is wanted, else
    /// what is there, else nothing.
    pub fn granted_micros(&self, free_micros: i64) -> Option<i64> {
        let granted = self.wanted.micros.min(free_micros.max(0));
        (granted >= self.least.micros).then_some(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Currency;

    #[test]
    fn a_wallet_grants_what_it_has_but_never_less_than_is_of_use() {
        let usd = |micros| Money::new(micros, Currency::USD);
        let hold = Hold { wallet: Id::from_i64(1), wanted: usd(60), least: usd(10) };
        assert_eq!(hold.granted_micros(100), Some(60));
        assert_eq!(hold.granted_micros(30), Some(30));
        assert_eq!(hold.granted_micros(9), None);
        assert_eq!(hold.granted_micros(-5), None);
    }
}
