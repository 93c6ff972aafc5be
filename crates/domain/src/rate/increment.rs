//! Seconds of talk to money: increments, connect fee, one rounding up per call.

use base::Money;

use super::Rate;

impl Rate {
    /// Seconds charged for `talked_s` seconds of talk: 61 s at 60/60 are 120, at 30/6 are 66, at 1/1 are 61.
    /// An answered call of no length counts as one second.
    pub fn billed_seconds(&self, talked_s: u64) -> u64 {
        let first = u64::from(self.first_increment_s.max(1));
        let next = u64::from(self.next_increment_s.max(1));
        let talked = talked_s.max(1);
        if talked <= first { first } else { first + (talked - first).div_ceil(next) * next }
    }

    /// The price of an answered call: connect fee plus micros per minute times billed seconds over 60, rounded up once.
    /// Saturates at the top of the range, which no wallet holds.
    pub fn price_of_call(&self, talked_s: u64) -> Money {
        let minutes = i128::from(self.price_micros) * i128::from(self.billed_seconds(talked_s));
        let micros = i128::from(self.connect_micros) + minutes.div_euclid(60) + i128::from(minutes.rem_euclid(60) != 0);
        Money::new(i64::try_from(micros).unwrap_or(i64::MAX), self.currency)
    }

    /// The longest talk, in whole seconds, whose price is at most `micros`; `None` when not even the first increment
    /// can be paid, `u64::MAX` when the call is free.
    pub fn seconds_for(&self, micros: i64) -> Option<u64> {
        if self.is_free() {
            return Some(u64::MAX);
        }
        if self.price_of_call(1).micros > micros {
            return None;
        }
        if self.price_micros == 0 {
            return Some(u64::MAX);
        }
        let next = u64::from(self.next_increment_s.max(1));
        let first = u64::from(self.first_increment_s.max(1));
        let affordable = i128::from(micros - self.connect_micros) * 60 / i128::from(self.price_micros);
        let affordable = u64::try_from(affordable).unwrap_or(0).max(first);
        Some(first + (affordable - first) / next * next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Currency, Id};
    use proptest::prelude::*;

    fn rate(price_micros: i64, connect_micros: i64, first: u32, next: u32) -> Rate {
        Rate {
            id: Id::from_i64(1),
            currency: Currency::USD,
            price_micros,
            connect_micros,
            first_increment_s: first,
            next_increment_s: next,
        }
    }

    #[test]
    fn increments_round_up_as_the_contract_says() {
        for (first, next, talked, billed) in
            [(60, 60, 61, 120), (60, 60, 60, 60), (1, 1, 61, 61), (6, 6, 61, 66), (30, 6, 61, 66), (30, 6, 0, 30)]
        {
            assert_eq!(rate(1, 0, first, next).billed_seconds(talked), billed, "{talked} s at {first}/{next}");
        }
    }

    #[test]
    fn a_price_is_rounded_up_once_per_call() {
        assert_eq!(rate(10_000, 0, 1, 1).price_of_call(1).micros, 167); // 166.67
        assert_eq!(rate(10_000, 0, 1, 1).price_of_call(61).micros, 10_167);
        assert_eq!(rate(10_000, 500, 60, 60).price_of_call(61).micros, 20_500);
    }

    proptest! {
        #[test]
        fn the_money_for_n_seconds_pays_for_n_seconds_and_not_for_more(
            price in 1i64..2_000_000, connect in 0i64..100_000, first in 1u32..90, next in 1u32..90, money in 0i64..500_000_000,
        ) {
            let rate = rate(price, connect, first, next);
            match rate.seconds_for(money) {
                None => prop_assert!(rate.price_of_call(1).micros > money),
                Some(seconds) => {
                    prop_assert!(rate.price_of_call(seconds).micros <= money);
                    prop_assert!(rate.price_of_call(seconds + 1).micros > money);
                }
            }
        }
    }
}
