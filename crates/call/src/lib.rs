//! One call as a state machine: legs, media between them, money while they talk, records when they end.
//!
//! It knows no SIP message, socket, clock or database. A driver feeds [`Input`]s (what a leg said, what a port answered,
//! that time passed) and carries out [`Output`]s (say this on a leg, ask that of a port) until [`Output::Finished`].
//! Everything in it is plain data, so a running call can be written down and restored.
//!
//! Reading order: [`plan`] (what to try), [`input`], [`output`], then [`call::Call`].

mod account;
mod call;
mod cause;
mod end;
mod input;
mod leg;
mod meter;
mod output;
mod plan;

pub use account::Account;
pub use call::{Call, CallConfig, Caller};
pub use cause::{Cause, EndedBy, Rejection, outcome_of_status, q850_of_status};
pub use input::{Input, LegEvent, Now};
pub use output::{Ask, Diversion, LegCommand, Output};
pub use plan::{Conditional, Plan, Step, Target};
