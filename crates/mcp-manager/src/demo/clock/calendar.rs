//! A month as text.

use std::fmt::Write as _;

use super::civil::{Date, days_in};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The weeks of a month, from Monday, each after its ISO number.
pub(super) fn month(year: i32, month: u8) -> String {
    let name = MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&"");
    let title = format!("{name} {year}");
    let mut text = format!("{}\nWk  Mo Tu We Th Fr Sa Su", format!("{title:^24}").trim_end());
    for day in 1..=days_in(year, month) {
        let Some(date) = Date::new(year, month, day) else { continue };
        let weekday = date.weekday_from_monday();
        if day == 1 || weekday == 0 {
            let (_, week) = date.iso_week();
            let indent = " ".repeat(3 * weekday as usize);
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{week:>2} {indent}");
        }
        let _ = write!(text, " {day:>2}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_that_begins_on_a_sunday() {
        let expected = "     November 2026\n\
            Wk  Mo Tu We Th Fr Sa Su\n\
            44                     1\n\
            45   2  3  4  5  6  7  8\n\
            46   9 10 11 12 13 14 15\n\
            47  16 17 18 19 20 21 22\n\
            48  23 24 25 26 27 28 29\n\
            49  30";
        assert_eq!(month(2026, 11), expected);
    }

    #[test]
    fn a_leap_february_that_begins_on_a_monday() {
        let month = month(2044, 2);
        assert!(month.ends_with("\n 9  29"), "{month}");
    }
}
