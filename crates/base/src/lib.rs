//! The vocabulary that every crate shares: ids, time, money, telephone numbers, secrets, timers, limits, randomness.
//!
//! Layer 0: it imports none of our crates, does no I/O and reads no clock except through [`time::Clock`].

pub mod gsm;
pub mod id;
pub mod limits;
pub mod money;
pub mod phone;
pub mod rng;
pub mod secret;
pub mod time;
pub mod timers;

pub use id::{Id, IdGenerator};
pub use money::{Currency, Money};
pub use phone::E164;
pub use rng::Random;
pub use secret::{Pii, Secret};
pub use time::Timestamp;
