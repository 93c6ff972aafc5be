//! Why calls end: one vocabulary, mapped to SIP status, Q.850 cause and the states of the record in one place each.

use domain::call_record::CallState;
use serde::{Deserialize, Serialize};

/// A refusal as the caller's leg hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Final SIP status, 300 to 699.
    pub status: u16,
    /// Q.850 cause value for the Reason header (RFC 3326).
    pub q850: u8,
    /// Word for the record.
    pub cause: Cause,
}

impl Rejection {
    /// The refusal with this status; the cause value follows from it.
    pub fn new(status: u16, cause: Cause) -> Self {
        Self { status, q850: q850_of_status(status), cause }
    }
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody hung up.
    Normal,
    /// The caller gave up before an answer.
    Cancelled,
    /// The callee was busy or declined.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// No device is registered, or none could be reached.
    Unreachable,
    /// The number does not exist or is switched off.
    Unallocated,
    /// No trunk leads there.
    NoRoute,
    /// Do not disturb.
    DoNotDisturb,
    /// The wallet is empty.
    NoCredit,
    /// A user, tenant or number may not do this.
    Forbidden,
    /// Too many forwards.
    Loop,
    /// The offered media cannot be carried.
    Media,
    /// No packet came for too long.
    MediaTimeout,
    /// The far network failed.
    Failure,
    /// We have no room, or a part of ours did not answer.
    Unavailable,
    /// An administrator or a drain ended it.
    Administrative,
}

impl Cause {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Unreachable => "unreachable",
            Self::Unallocated => "unallocated",
            Self::NoRoute => "no_route",
            Self::DoNotDisturb => "do_not_disturb",
            Self::NoCredit => "no_credit",
            Self::Forbidden => "forbidden",
            Self::Loop => "loop",
            Self::Media => "media",
            Self::MediaTimeout => "media_timeout",
            Self::Failure => "failure",
            Self::Unavailable => "unavailable",
            Self::Administrative => "administrative",
        }
    }

    /// Q.850 value with which a running call is ended for this cause (ITU-T Q.850 table 1).
    pub const fn q850(self) -> u8 {
        match self {
            Self::Normal | Self::Cancelled => 16,
            Self::Busy => 17,
            Self::NoAnswer => 19,
            Self::Unreachable => 20,
            Self::Unallocated => 1,
            Self::NoRoute => 3,
            Self::DoNotDisturb | Self::Forbidden => 21,
            Self::NoCredit => 50,
            Self::Loop => 25,
            Self::Media => 65,
            Self::MediaTimeout => 102,
            Self::Failure => 38,
            Self::Unavailable => 41,
            Self::Administrative => 31,
        }
    }

    /// The final state of a call that ended for this cause without having been answered.
    pub const fn unanswered_state(self) -> CallState {
        match self {
            Self::Busy | Self::DoNotDisturb => CallState::Busy,
            Self::NoAnswer | Self::Cancelled | Self::Normal => CallState::NoAnswer,
            Self::Unreachable
            | Self::Unallocated
            | Self::NoRoute
            | Self::NoCredit
            | Self::Forbidden
            | Self::Loop
            | Self::Media
            | Self::MediaTimeout
            | Self::Failure
            | Self::Unavailable
            | Self::Administrative => CallState::Failed,
        }
    }
}

/// Who hung up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// Leg 0.
    Caller,
    /// The leg that answered, or all that refused.
    Callee,
    /// We.
    Switch,
}

impl EndedBy {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Switch => "switch",
        }
    }
}

/// Q.850 cause value for a SIP status (RFC 3398 §8.2.6.1, with 6xx as Table of §7.2.4.1 read backwards).
pub const fn q850_of_status(status: u16) -> u8 {
    match status {
        400 | 481 | 500 => 41,
        401 | 402 | 403 | 407 | 603 => 21,
        404 => 1,
        405 => 63,
        406 | 415 | 488 | 606 => 79,
        408 | 504 => 102,
        410 => 22,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        485 | 604 => 1,
        486 | 600 => 17,
        487 => 16,
        501 => 79,
        502 => 38,
        503 => 41,
        _ => 31,
    }
}

/// What a final status of a leg says about the callee.
pub const fn outcome_of_status(status: u16, rang: bool) -> Cause {
    match status {
        486 | 600 | 603 => Cause::Busy,
        404 | 410 | 484 | 485 | 604 => Cause::Unallocated,
        408 | 480 if rang => Cause::NoAnswer,
        408 | 480 | 430 => Cause::Unreachable,
        401 | 403 | 407 => Cause::Forbidden,
        402 => Cause::NoCredit,
        415 | 488 | 606 => Cause::Media,
        482 | 483 => Cause::Loop,
        _ => Cause::Failure,
    }
}
