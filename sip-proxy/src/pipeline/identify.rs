//! Who calls, and as what number: an authenticated user, or a trunk by its address (T4, T9).

use std::sync::Arc;

use base::E164;
use call::Rejection;
use domain::account::{AccountStatus, DeviceCredentials, UserFacts};
use domain::ports::Directory;
use domain::trunk::TrunkFacts;
use sip_proto::{HeaderName, Message, NameAddr};

use crate::refuse;

/// The caller, identified.
#[derive(Debug, Clone)]
pub(crate) enum CallerFacts {
    /// One of our users.
    User {
        user: Arc<UserFacts>,
        device: Arc<DeviceCredentials>,
        /// The number that it presents; `None`: it has none and shows its name.
        caller_id: Option<E164>,
        /// It withholds its number.
        private: bool,
    },
    /// A trunk.
    Trunk {
        trunk: Arc<TrunkFacts>,
        /// What it says who calls: a number, or a name.
        from: String,
        display_name: Option<String>,
        /// The caller withholds its number.
        private: bool,
    },
}

/// A user's call: status checked, caller id chosen and owned.
pub(crate) async fn user(
    directory: &dyn Directory,
    device: Arc<DeviceCredentials>,
    request: &Message,
) -> Result<CallerFacts, Rejection> {
    let user = directory.user(device.user).await.map_err(refuse::unavailable)?.ok_or_else(refuse::forbidden)?;
    if user.status != AccountStatus::Active || device.status != AccountStatus::Active {
        return Err(refuse::forbidden());
    }
    let caller_id = match chosen_number(request, &device) {
        None => user.primary_number().cloned(),
        Some(Ok(number)) if user.owns(&number) => Some(number),
        // A number that is not the user's own is refused, not replaced: who asked for it should know.
        Some(Ok(_) | Err(())) => return Err(refuse::forbidden()),
    };
    let anonymous = request.from().is_some_and(|f| is_anonymous(&f));
    Ok(CallerFacts::User { user, device, caller_id, private: anonymous || wants_privacy(request) })
}

/// The number that a request asks to present: X-Caller-Id, else P-Preferred-Identity (RFC 3325 §9.2), else a From user that
/// is not the device's own name. `Some(Err)`: something that is no number.
fn chosen_number(request: &Message, device: &DeviceCredentials) -> Option<Result<E164, ()>> {
    if let Some(text) = request.header_by_name("X-Caller-Id") {
        return Some(E164::parse_lenient(text.trim()).map_err(drop));
    }
    let preferred = request.name_addr(HeaderName::PPreferredIdentity);
    let preferred_user = preferred.and_then(|p| p.uri.user_unescaped().map(|u| u.into_owned()));
    if let Some(user) = preferred_user {
        return number_in(&user).map(Ok);
    }
    let from = request.from().filter(|f| !is_anonymous(f))?;
    let user = from.uri.user_unescaped()?;
    if user.eq_ignore_ascii_case(&device.username) { None } else { number_in(&user).map(Ok) }
}

/// A trunk's call: what it says about the caller is passed on, since trunks are trusted peers (P-Asserted-Identity first).
pub(crate) fn trunk(trunk: Arc<TrunkFacts>, request: &Message) -> CallerFacts {
    let asserted = request.name_addr(HeaderName::PAssertedIdentity);
    let name_addr = asserted.or_else(|| request.from());
    let user = name_addr.as_ref().and_then(|n| n.uri.user_unescaped().map(|u| u.into_owned()));
    let from = match user {
        Some(user) => number_in(&user).map_or(user, |n| n.to_string()),
        None => "anonymous".into(),
    };
    let display = name_addr.as_ref().map(|n| n.display_name().into_owned()).filter(|d| !d.is_empty());
    CallerFacts::Trunk { trunk, from, display_name: display, private: wants_privacy(request) }
}

/// Whether Privacy asks to withhold who calls (RFC 3323 §4.2, RFC 3325 §9.3).
fn wants_privacy(request: &Message) -> bool {
    let wanted = ["id", "user", "header", "full"];
    let asks = |v: &str| v.split(';').any(|p| wanted.iter().any(|w| p.trim().eq_ignore_ascii_case(w)));
    request.header_by_name("Privacy").is_some_and(asks)
}

/// The From of a caller that hides (RFC 3323 §4.1.1.3).
pub(crate) fn is_anonymous(from: &NameAddr) -> bool {
    from.uri.host().eq_ignore_ascii_case("anonymous.invalid")
        || from.uri.user().is_some_and(|u| u.eq_ignore_ascii_case("anonymous"))
}

/// `user` as a number, when it is written like one: `+` and digits, or at least seven digits.
pub(crate) fn number_in(user: &str) -> Option<E164> {
    let user = user.split(';').next().unwrap_or(user);
    let digits = user.strip_prefix('+').unwrap_or(user);
    let plain = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.' | '(' | ')'));
    if !plain || (!user.starts_with('+') && digits.len() < 7) {
        return None;
    }
    E164::parse_lenient(user).ok()
}

impl CallerFacts {
    /// How the record and the callee name the caller.
    pub(crate) fn presented(&self) -> String {
        match self {
            Self::User { caller_id: Some(number), .. } => number.to_string(),
            Self::User { user, .. } => user.address_of_record(),
            Self::Trunk { from, .. } => from.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_taken_for_numbers() {
        for (user, number) in [
            ("+15551234567", Some("+15551234567")),
            ("15551234567", Some("+15551234567")),
            ("0015551234567", Some("+15551234567")),
            ("+1-555-123-4567;phone-context=x", Some("+15551234567")),
            ("alice", None),
            ("100", None),
            ("*43", None),
            ("", None),
        ] {
            assert_eq!(number_in(user).map(|n| n.to_string()).as_deref(), number, "{user}");
        }
    }
}
