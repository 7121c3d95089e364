//! Durations and sizes as people write them.

use std::time::Duration;

/// The longest duration a setting takes: 30 days. Longer ones are typing errors, and a bound keeps
/// every later addition to a point in time far from overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// `500ms`, `30s`, `5m`, `1h`: a whole number and a unit. `None` if it is anything else.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// `4096B`, `64KiB`, `16MiB`, `1GiB`: a whole number and a unit, in bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A duration as it would be written in the file.
pub(super) fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if millis >= unit && millis.is_multiple_of(unit) {
            return format!("{}{name}", millis / unit);
        }
    }
    format!("{millis}ms")
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for text in ["1ms", "500ms", "30s", "90s", "5m", "1h", "720h"] {
            let read = duration(text);
            assert_eq!(read.map(show).as_deref(), Some(text));
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "5", "s", "1.5s", "-1s", "1d", "1m30s", "5 S", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "16", "MiB", "16MB", "16mib", "1.5KiB", "99999999999GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(bytes("16MiB"), Some(16 << 20));
    }
}
