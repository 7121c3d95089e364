//! The clock: dates, and a countdown that reports progress.

mod calendar;
mod civil;
mod offset;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use mcp_wire::ErrorObject;
use mcp_wire::serve::{Call, Description, Service};
use serde_json::json;

use self::civil::Date;
use super::arguments::{Arguments, Misuse};
use super::tool::{self, Effect, Outcome, Output, Tool};

const SECONDS_A_DAY: i64 = 86_400;
const COUNTDOWN_SECONDS_MAX: f64 = 60.0;
const TICKS_A_SECOND: f64 = 10.0;

/// The server; told what time it is by a function, so that tests can tell it theirs.
pub(super) struct Clock {
    unix_seconds: fn() -> i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { unix_seconds }
    }
}

/// The one place of the demo that reads the system's clock.
#[expect(clippy::disallowed_methods, reason = "telling the time of day is what this server does")]
fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.ok().and_then(|since| since.as_secs().try_into().ok()).unwrap_or(0)
}

impl Service for Clock {
    fn describe(&self) -> Description {
        let capabilities = json!({ "tools": {} });
        let instructions = "Dates are written YYYY-MM-DD, in the Gregorian calendar.";
        super::description("clock", "Clock", &capabilities, instructions)
    }

    async fn call(&self, call: Call) -> Result<String, ErrorObject> {
        match call.method() {
            "tools/list" => Ok(tool::list(&call, &TOOLS)),
            "tools/call" => {
                let (name, arguments) = tool::chosen(&call, &TOOLS)?;
                Ok(tool::result(match arguments {
                    Ok(arguments) if name == "countdown" => countdown(&arguments, &call).await,
                    Ok(arguments) => self.run(name, &arguments).map(Output::Text),
                    Err(misuse) => Err(misuse),
                }))
            }
            _ => Err(call.unknown_method()),
        }
    }
}

impl Clock {
    fn run(&self, tool: &str, arguments: &Arguments) -> Result<String, Misuse> {
        let date = |name| arguments.text(name).and_then(|text| read_date(name, text));
        match tool {
            "now" => self.now(arguments),
            "calendar" => {
                let year = arguments.integer("year", 1..=i64::from(civil::YEAR_MAX))?;
                let month = arguments.integer("month", 1..=12)?;
                Ok(calendar::month(year as i32, month as u8))
            }
            "days_between" => Ok((date("to")?.days() - date("from")?.days()).to_string()),
            "add_days" => {
                let days = arguments.integer("days", -civil::DAYS_MAX..=civil::DAYS_MAX)?;
                let last = civil::YEAR_MAX;
                let why = format!("The result is outside the years 1 to {last}: add fewer `days`.");
                let date = Date::from_days(date("date")?.days() + days).ok_or(Misuse(why))?;
                Ok(format!("{date} {}", date.weekday()))
            }
            _ => {
                let date = date("date")?;
                let (year, week) = date.iso_week();
                let (weekday, day) = (date.weekday(), date.day_of_year());
                Ok(format!("{weekday}, ISO week {week} of {year}, day {day} of the year"))
            }
        }
    }

    fn now(&self, arguments: &Arguments) -> Result<String, Misuse> {
        let text = if arguments.has("timezone_offset") {
            arguments.text("timezone_offset")?
        } else {
            "+00:00"
        };
        let why = "`timezone_offset` must look like \"+02:00\" or \"-05:30\", up to 14 hours.";
        let offset = offset::seconds(text).ok_or_else(|| Misuse::new(why))?;
        let local = (self.unix_seconds)() + offset;
        let why = "The system's clock is set to no year that this server knows.";
        let date = Date::from_days(local.div_euclid(SECONDS_A_DAY));
        let date = date.ok_or_else(|| Misuse::new(why))?;
        let second = local.rem_euclid(SECONDS_A_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let weekday = date.weekday();
        Ok(format!("{date}T{hour:02}:{minute:02}:{second:02}{text} {weekday}"))
    }
}

fn read_date(name: &str, text: &str) -> Result<Date, Misuse> {
    let why = || Misuse(format!("`{name}` must be a date that exists, written YYYY-MM-DD."));
    Date::parse(text).ok_or_else(why)
}

async fn countdown(arguments: &Arguments, call: &Call) -> Outcome {
    let seconds = arguments.number("seconds")?;
    if !(0.0..=COUNTDOWN_SECONDS_MAX).contains(&seconds) {
        return Err(Misuse(format!("`seconds` must be from 0 to {COUNTDOWN_SECONDS_MAX}.")));
    }
    let ticks = (seconds * TICKS_A_SECOND).round() as u32;
    let total = f64::from(ticks) / TICKS_A_SECOND;
    for tick in 1..=ticks {
        tokio::time::sleep(Duration::from_secs_f64(1.0 / TICKS_A_SECOND)).await;
        let elapsed = f64::from(tick) / TICKS_A_SECOND;
        let left = format!("{:.1} s left", total - elapsed);
        call.progress(elapsed, Some(total), Some(&left)).await;
    }
    Ok(Output::Text(format!("{total} s are over")))
}

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let date = json!({ "type": "string", "format": "date", "description": "YYYY-MM-DD" });
    let tool = |name, title, description, properties, required| Tool {
        name,
        title,
        description,
        properties,
        required,
        output: None,
        effect: Effect::Reads,
    };
    vec![
        tool(
            "now",
            "Date and time now",
            "The date, time and weekday now, in UTC or at an offset from it.",
            json!({ "timezone_offset": {
                "type": "string",
                "pattern": "^[+-][0-9]{2}:[0-9]{2}$",
                "description": "Offset from UTC, such as \"+02:00\". Default: UTC.",
            } }),
            &[],
        ),
        tool(
            "calendar",
            "Calendar of a month",
            "A month as a text calendar, weeks from Monday with their ISO numbers.",
            json!({
                "year": { "type": "integer", "minimum": 1, "maximum": civil::YEAR_MAX },
                "month": { "type": "integer", "minimum": 1, "maximum": 12 },
            }),
            &["year", "month"],
        ),
        tool(
            "days_between",
            "Days between two dates",
            "How many days `to` is after `from`; negative if it is before.",
            json!({ "from": date, "to": date }),
            &["from", "to"],
        ),
        tool(
            "add_days",
            "Add days to a date",
            "The date so many days later, or earlier if `days` is negative.",
            json!({ "date": date, "days": { "type": "integer" } }),
            &["date", "days"],
        ),
        tool(
            "weekday",
            "Weekday of a date",
            "The weekday, ISO week and day of the year of a date.",
            json!({ "date": date }),
            &["date"],
        ),
        tool(
            "countdown",
            "Count down",
            "Waits, reporting progress ten times a second. Can be cancelled.",
            json!({ "seconds": { "type": "number", "minimum": 0, "maximum": 60 } }),
            &["seconds"],
        ),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tool: &str, arguments: &str, expected: &str) {
        // 2026-11-21T23:30:05Z.
        let clock = Clock { unix_seconds: || 1_795_303_805 };
        let arguments = Arguments::read(arguments).unwrap();
        let outcome = clock.run(tool, &arguments).unwrap_or_else(|Misuse(why)| why);
        assert_eq!(outcome, expected);
    }

    #[test]
    fn tells_dates() {
        check("now", "{}", "2026-11-21T23:30:05+00:00 Saturday");
        let offset = r#"{"timezone_offset":"+02:00"}"#;
        check("now", offset, "2026-11-22T01:30:05+02:00 Sunday");
        check("days_between", r#"{"from":"2024-02-28","to":"2024-03-01"}"#, "2");
        check("days_between", r#"{"from":"2026-01-01","to":"2025-01-01"}"#, "-365");
        check("add_days", r#"{"date":"2023-12-31","days":60}"#, "2024-02-29 Thursday");
        let weekday = "Friday, ISO week 53 of 2026, day 1 of the year";
        check("weekday", r#"{"date":"2027-01-01"}"#, weekday);
    }

    #[test]
    fn says_how_to_ask_better() {
        let date = "`date` must be a date that exists, written YYYY-MM-DD.";
        check("weekday", r#"{"date":"2026-02-29"}"#, date);
        let outside = "The result is outside the years 1 to 9999: add fewer `days`.";
        check("add_days", r#"{"date":"9999-12-31","days":1}"#, outside);
        let offset = "`timezone_offset` must look like \"+02:00\" or \"-05:30\", up to 14 hours.";
        check("now", r#"{"timezone_offset":"CET"}"#, offset);
        let month = "`month` must be a whole number from 1 to 12.";
        check("calendar", r#"{"year":2026,"month":13}"#, month);
    }
}
