//! Figures that describe a list of numbers.

use serde_json::{Value, json};

use super::number::to_json;
use crate::demo::arguments::Misuse;

pub(super) const NUMBERS_MAX: usize = 10_000;

/// The figures, as the tool's output schema names them.
pub(super) fn of(numbers: &[Value]) -> Result<Value, Misuse> {
    let numbers: Option<Vec<f64>> = numbers.iter().map(Value::as_f64).collect();
    let numbers = numbers.filter(|all| (1..=NUMBERS_MAX).contains(&all.len()));
    let why = || Misuse(format!("`numbers` must be a list of 1 to {NUMBERS_MAX} numbers."));
    let mut numbers = numbers.ok_or_else(why)?;
    let (mean, squares) = moments(&numbers);
    let sum: f64 = numbers.iter().sum();
    numbers.sort_by(f64::total_cmp);
    let count = numbers.len();
    let (low, high) = (numbers[(count - 1) / 2], numbers[count / 2]);
    let deviation = |of: f64| (squares / of).sqrt();
    let figures = [sum, mean, squares];
    if figures.iter().any(|figure| !figure.is_finite()) {
        return Err(Misuse::new("The numbers are too large: their sum or squares have no value."));
    }
    let sample = (count > 1).then(|| to_json(deviation(count as f64 - 1.0)));
    Ok(json!({
        "count": count,
        "sum": to_json(sum),
        "mean": to_json(mean),
        "median": to_json(low / 2.0 + high / 2.0),
        "min": to_json(numbers[0]),
        "max": to_json(numbers[count - 1]),
        "standard_deviation": to_json(deviation(count as f64)),
        "sample_standard_deviation": sample,
    }))
}

/// The mean, and the sum of the squared distances from it, in one pass (Welford, "Note on a Method
/// for Calculating Corrected Sums of Squares and Products", 1962).
fn moments(numbers: &[f64]) -> (f64, f64) {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (index, number) in numbers.iter().enumerate() {
        let distance = number - mean;
        mean += distance / (index + 1) as f64;
        squares += distance * (number - mean);
    }
    (mean, squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> Vec<Value> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn describes() {
        let figures = of(&list("[2, 4, 4, 4, 5, 5, 7, 9]")).unwrap();
        for (name, expected) in [
            ("count", 8.0),
            ("sum", 40.0),
            ("mean", 5.0),
            ("median", 4.5),
            ("min", 2.0),
            ("max", 9.0),
            ("standard_deviation", 2.0),
        ] {
            assert_eq!(figures[name].as_f64(), Some(expected), "{name}");
        }
        let one = of(&list("[3]")).unwrap();
        assert_eq!((&one["median"], &one["sample_standard_deviation"]), (&json!(3), &Value::Null));
    }

    #[test]
    fn refuses_what_it_cannot_describe() {
        for wrong in ["[]", "[1, \"2\"]", "[null]"] {
            assert!(of(&list(wrong)).is_err(), "{wrong}");
        }
        assert!(of(&vec![Value::from(1); NUMBERS_MAX + 1]).is_err());
        assert!(of(&list("[1e308, 1e308]")).unwrap_err().0.contains("too large"));
    }
}
