//! Floating-point numbers as people and JSON write them.

use serde_json::Value;

/// Whole numbers up to here are exact in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// `value` without the fraction that a whole number does not have.
pub(super) fn to_json(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

/// `value` to twelve significant digits: without the dust of a conversion by a rounded factor.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_look_whole() {
        assert_eq!(to_json(4.0).to_string(), "4");
        assert_eq!(to_json(-0.5).to_string(), "-0.5");
        assert_eq!(to_json(1e300).to_string(), "1e+300");
        assert_eq!(rounded(211.999_999_999_999_94), 212.0);
        assert_eq!(rounded(0.1), 0.1);
    }
}
