//! Dates of the proleptic Gregorian calendar, and the days between them.

use std::fmt;

/// The last year that a date can be in; the first is 1. Four digits, as ISO 8601 writes them.
pub(super) const YEAR_MAX: i32 = 9999;

/// More days than any two dates are apart.
pub(super) const DAYS_MAX: i64 = 4_000_000;

/// Days from 0000-03-01, where the arithmetic starts, to 1970-01-01, where Unix time does.
const UNIX_EPOCH: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A date that exists, in the years 1 to [`YEAR_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date {
    year: i32,
    month: u8,
    day: u8,
}

impl Date {
    pub(super) fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let exists = (1..=YEAR_MAX).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// Reads `YYYY-MM-DD`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let shape = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        if text.len() != 10 || !text.bytes().enumerate().all(shape) {
            return None;
        }
        let (year, month, day) = (text.get(..4)?, text.get(5..7)?, text.get(8..)?);
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// The day's number, counted from 1970-01-01.
    ///
    /// `days_from_civil` and, below, `civil_from_days` of Howard Hinnant, "chrono-Compatible
    /// Low-Level Date Algorithms" (2013): years begin in March, so that the leap day is a year's
    /// last, and 400 of them make an era of always the same length.
    pub(super) fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_ERA + day_of_era - UNIX_EPOCH
    }

    /// The date with this number, see [`days`](Self::days).
    pub(super) fn from_days(days: i64) -> Option<Self> {
        let days = days.checked_add(UNIX_EPOCH)?;
        let era = days.div_euclid(DAYS_PER_ERA);
        let day_of_era = days.rem_euclid(DAYS_PER_ERA);
        let leap_days = day_of_era / 1460 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days + day_of_era / 36_524) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * months + 2) / 5 + 1;
        let month = if months < 10 { months + 3 } else { months - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?)
    }

    pub(super) fn weekday(self) -> &'static str {
        WEEKDAYS[self.weekday_from_monday() as usize]
    }

    /// 0 for Monday to 6 for Sunday.
    pub(super) fn weekday_from_monday(self) -> i64 {
        // 1970-01-01 was a Thursday.
        (self.days() + 3).rem_euclid(7)
    }

    /// 1 for the first of January.
    pub(super) fn day_of_year(self) -> i64 {
        let first = Self { month: 1, day: 1, ..self };
        self.days() - first.days() + 1
    }

    /// Year and number of the week by ISO 8601: a week belongs to the year of its Thursday.
    pub(super) fn iso_week(self) -> (i32, i64) {
        let thursday = self.days() - self.weekday_from_monday() + 3;
        match Self::from_days(thursday) {
            Some(thursday) => (thursday.year, (thursday.day_of_year() - 1) / 7 + 1),
            // Only the last days of the last year have no Thursday here: they begin a week.
            None => (self.year + 1, 1),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

pub(super) fn days_in(year: i32, month: u8) -> u8 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    #[test]
    fn known_days() {
        for (text, days, weekday, week) in [
            ("1970-01-01", 0, "Thursday", (1970, 1)),
            ("2000-02-29", 11_016, "Tuesday", (2000, 9)),
            ("2026-11-21", 20_778, "Saturday", (2026, 47)),
            ("2024-12-30", 20_087, "Monday", (2025, 1)),
            ("2021-01-03", 18_630, "Sunday", (2020, 53)),
            ("0001-01-01", -719_162, "Monday", (1, 1)),
            ("9999-12-31", 2_932_896, "Friday", (9999, 52)),
        ] {
            let date = date(text);
            assert_eq!((date.days(), date.weekday()), (days, weekday), "{text}");
            assert_eq!(date.iso_week(), week, "{text}");
        }
        assert_eq!(date("2024-12-31").day_of_year(), 366);
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "0000-01-01",
            "2026-1-01",
            "+026-01-01",
            "2026-01-01 ",
            "2026/01/01",
            "",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert_eq!(Date::from_days(i64::MAX), None);
        assert_eq!(Date::from_days(date("9999-12-31").days() + 1), None);
        assert_eq!(Date::from_days(date("0001-01-01").days() - 1), None);
    }

    proptest! {
        #[test]
        fn days_and_dates_are_one_to_one(days in -719_162i64..=2_932_896) {
            let date = Date::from_days(days).unwrap();
            prop_assert_eq!(date.days(), days);
            prop_assert_eq!(Date::parse(&date.to_string()), Some(date));
            let next = Date::from_days(days + 1);
            prop_assert!(next.is_none_or(|next| next > date));
            prop_assert!((1..=53).contains(&date.iso_week().1));
        }

        #[test]
        fn any_text_is_a_date_or_none(text in ".{0,12}") {
            let _ = Date::parse(&text);
        }
    }
}
