//! Events between services: a ring in this process, from which every subscriber reads at its own pace. Facts are encoded
//! even here, so that what works in one process works over a network; no consumer may depend on never missing one.

mod local;

pub use local::{Delivery, LocalBus, Subscription};
