//! Offsets from UTC, as RFC 3339 writes them.

/// The time zones in use reach from -12:00 to +14:00.
const SECONDS_MAX: i64 = 14 * 3600;

/// The seconds of an offset such as `+02:00`; `None` if it is none.
pub(super) fn seconds(offset: &str) -> Option<i64> {
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let two_digits = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok())?
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let seconds = hours * 3600 + minutes * 60;
    (minutes < 60 && seconds <= SECONDS_MAX).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_nothing_else() {
        assert_eq!(seconds("+02:00"), Some(7200));
        assert_eq!(seconds("-05:30"), Some(-19800));
        assert_eq!(seconds("+14:00"), Some(50400));
        for wrong in ["", "+", "02:00", "+2:00", "+14:01", "+00:60", "+0a:00", "+é2:00", "Z"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
