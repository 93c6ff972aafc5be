//! Weekly windows in a time zone, right across daylight-saving changes: the window is of the clock on the wall.

use base::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

/// Which side of the window counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The rule holds inside the window.
    #[default]
    Inside,
    /// The rule holds outside the window.
    Outside,
}

/// Days, and hours on each of them. A window whose end is not after its start runs past midnight into the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Days on which the window opens.
    pub days: Vec<Weekday>,
    /// `HH:MM`, inclusive.
    pub start: String,
    /// `HH:MM`, exclusive; `24:00` is allowed.
    pub end: String,
    /// Which side counts.
    #[serde(default)]
    pub when: When,
}

/// A schedule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// Not `HH:MM`.
    #[error("not a time of day (HH:MM): {0}")]
    Time(String),
    /// No day at all.
    #[error("a schedule needs at least one day")]
    NoDay,
}

/// Whether an IANA time zone is known.
pub fn is_time_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

impl Schedule {
    /// Whether it can be read.
    pub fn check(&self) -> Result<(), BadSchedule> {
        minutes(&self.start)?;
        minutes(&self.end)?;
        if self.days.is_empty() { Err(BadSchedule::NoDay) } else { Ok(()) }
    }

    /// Whether the rule holds at `at` in `time_zone` (IANA name; an unknown one counts as UTC). A schedule that cannot be
    /// read never holds.
    pub fn holds(&self, at: Timestamp, time_zone: &str) -> bool {
        let (Ok(start), Ok(end)) = (minutes(&self.start), minutes(&self.end)) else { return false };
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return false };
        let local = instant.to_zoned(zone);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let today = weekday(local.weekday());
        let yesterday = weekday(local.weekday().previous());
        let inside = if end > start {
            self.days.contains(&today) && (start..end).contains(&minute)
        } else {
            (self.days.contains(&today) && minute >= start) || (self.days.contains(&yesterday) && minute < end)
        };
        match self.when {
            When::Inside => inside,
            When::Outside => !inside,
        }
    }
}

fn minutes(text: &str) -> Result<i32, BadSchedule> {
    let bad = || BadSchedule::Time(text.to_owned());
    let (h, m) = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2).ok_or_else(bad)?;
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse::<i32>().ok()).flatten();
    match (digits(h).ok_or_else(bad)?, digits(m).ok_or_else(bad)?) {
        (24, 0) => Ok(24 * 60),
        (h @ 0..=23, m @ 0..=59) => Ok(h * 60 + m),
        _ => Err(bad()),
    }
}

const fn weekday(day: jiff::civil::Weekday) -> Weekday {
    match day {
        jiff::civil::Weekday::Monday => Weekday::Mon,
        jiff::civil::Weekday::Tuesday => Weekday::Tue,
        jiff::civil::Weekday::Wednesday => Weekday::Wed,
        jiff::civil::Weekday::Thursday => Weekday::Thu,
        jiff::civil::Weekday::Friday => Weekday::Fri,
        jiff::civil::Weekday::Saturday => Weekday::Sat,
        jiff::civil::Weekday::Sunday => Weekday::Sun,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn office(days: &[Weekday], start: &str, end: &str) -> Schedule {
        Schedule { days: days.to_vec(), start: start.into(), end: end.into(), when: When::Inside }
    }

    #[test]
    fn r6_the_window_follows_the_wall_clock_across_a_daylight_saving_change() {
        // New York changes to daylight-saving time on 2026-03-08, and back on 2026-11-01, both Sundays.
        let sunday = office(&[Weekday::Sun], "09:00", "17:00");
        for (utc, inside) in [
            ("2026-03-01T13:59:00Z", false), // 08:59 EST
            ("2026-03-01T14:00:00Z", true),  // 09:00 EST
            ("2026-03-08T12:59:00Z", false), // 08:59 EDT
            ("2026-03-08T13:00:00Z", true),  // 09:00 EDT
            ("2026-11-01T21:59:00Z", true),  // 16:59 EST
            ("2026-11-01T22:00:00Z", false), // 17:00 EST
        ] {
            assert_eq!(sunday.holds(at(utc), "America/New_York"), inside, "{utc}");
        }
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_on_which_it_opens() {
        let friday_night = office(&[Weekday::Fri], "22:00", "06:00");
        assert!(friday_night.holds(at("2026-11-20T23:00:00Z"), "UTC")); // Friday
        assert!(friday_night.holds(at("2026-11-21T05:59:00Z"), "UTC")); // Saturday morning
        assert!(!friday_night.holds(at("2026-11-21T06:00:00Z"), "UTC"));
        assert!(!friday_night.holds(at("2026-11-20T05:00:00Z"), "UTC")); // Friday morning
    }

    #[test]
    fn outside_is_the_complement_and_bad_times_are_refused() {
        let outside = Schedule { when: When::Outside, ..office(&[Weekday::Mon], "09:00", "24:00") };
        assert!(outside.holds(at("2026-11-23T08:00:00Z"), "UTC") && !outside.holds(at("2026-11-23T23:59:00Z"), "UTC"));
        for bad in ["9:00", "24:01", "12:60", "", "aa:bb", "+9:00"] {
            assert!(office(&[Weekday::Mon], bad, "10:00").check().is_err(), "{bad}");
        }
        assert_eq!(office(&[], "09:00", "10:00").check(), Err(BadSchedule::NoDay));
    }
}
