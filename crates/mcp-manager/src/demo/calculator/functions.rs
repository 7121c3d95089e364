//! The names that an expression may use.

use std::f64::consts;

use super::expression::Problem;

/// All of them, as an error message lists them.
pub(super) const NAMES: &str =
    "pi, e, sqrt, abs, min, max, round, floor, ceil, ln, log10, sin and cos";

pub(super) fn constant(name: &str) -> Option<f64> {
    match name {
        "pi" => Some(consts::PI),
        "e" => Some(consts::E),
        _ => None,
    }
}

pub(super) fn is_function(name: &str) -> bool {
    unary(name).is_some() || matches!(name, "min" | "max")
}

/// The value of `name` at `arguments`; the caller has seen that it is a function.
pub(super) fn call(name: &str, arguments: &[f64]) -> Result<f64, Problem> {
    let many: Option<fn(f64, f64) -> f64> = match name {
        "min" => Some(f64::min),
        "max" => Some(f64::max),
        _ => None,
    };
    if let Some(of_two) = many {
        let value = arguments.iter().copied().reduce(of_two);
        return value.ok_or(Problem::Arguments { expected: "arguments", got: 0 });
    }
    match (unary(name), arguments) {
        (Some(function), [argument]) => {
            let value = function(*argument);
            if value.is_finite() { Ok(value) } else { Err(Problem::Undefined) }
        }
        _ => Err(Problem::Arguments { expected: "1 argument", got: arguments.len() }),
    }
}

fn unary(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "sqrt" => f64::sqrt,
        "abs" => f64::abs,
        "round" => f64::round,
        "floor" => f64::floor,
        "ceil" => f64::ceil,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        _ => return None,
    })
}
