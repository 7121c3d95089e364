//! The values of settings: durations, sizes, addresses and names, each refused by name.

use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;

use super::decode::{invalid, string, strings, wrong_type};
use super::report::Report;
use super::suggest::{list, quote};
use super::units;

pub(super) fn choice<T: Copy>(
    key: &str,
    value: &Value<'_>,
    names: &[(&'static str, T)],
    report: &mut Report<'_>,
) -> Option<T> {
    let all: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    let fix = format!("write one of {}", list(&all).replace(" and ", " or "));
    let lit = string(key, value, &fix, report)?;
    let chosen = names.iter().find(|(name, _)| *name == lit.value);
    if chosen.is_none() {
        let what = format!("{} is not a choice", quote(&lit.value));
        invalid(key, value.start(), what, &fix, report);
    }
    chosen.map(|(_, choice)| *choice)
}

pub(super) fn duration(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<Duration> {
    const FIX: &str =
        "write a whole number and a unit, such as \"500ms\", \"30s\", \"5m\" or \"1h\"";
    if value.as_number_lit().is_some() {
        invalid(key, value.start(), "a duration needs a unit", FIX, report);
        return None;
    }
    let lit = string(key, value, FIX, report)?;
    let Some(duration) = units::duration(&lit.value) else {
        let what = format!("{} is not a duration", quote(&lit.value));
        invalid(key, value.start(), what, FIX, report);
        return None;
    };
    if duration.is_zero() {
        invalid(key, value.start(), "must be longer than zero", FIX, report);
        return None;
    }
    if duration > units::DURATION_MAX {
        let max = units::show(units::DURATION_MAX);
        let what = format!("{} is too long", units::show(duration));
        invalid(key, value.start(), what, &format!("write at most {max}"), report);
        return None;
    }
    Some(duration)
}

pub(super) fn count(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<u64> {
    const FIX: &str = "write a whole number without quotes";
    let number = value.as_number_lit().map(|lit| lit.value);
    let count = number.and_then(|number| number.parse().ok());
    match (number, count) {
        (None, _) => wrong_type(key, value, "a number", FIX, report),
        (Some(number), None) => {
            let what = format!("{} is not a whole number", quote(number));
            invalid(key, value.start(), what, FIX, report);
        }
        (Some(_), Some(_)) => {}
    }
    count
}

pub(super) fn size(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<u64> {
    const FIX: &str = "write a number of bytes, or a string such as \"64KiB\" or \"16MiB\"";
    let Some(lit) = value.as_string_lit() else {
        if value.as_number_lit().is_none() {
            wrong_type(key, value, "a number of bytes", FIX, report);
            return None;
        }
        return count(key, value, report);
    };
    let size = units::bytes(&lit.value);
    if size.is_none() {
        let what = format!("{} is not a size", quote(&lit.value));
        invalid(key, value.start(), what, FIX, report);
    }
    size
}

/// A whole number within bounds.
pub(super) fn bounded<T: TryFrom<u64>>(
    key: &str,
    value: &Value<'_>,
    min: u64,
    max: u64,
    report: &mut Report<'_>,
) -> Option<T> {
    let number = within(key, value, count(key, value, report), min, max, report)?;
    T::try_from(number as u64).ok()
}

/// A number of processors, 0.01 to 1024, in thousandths.
pub(super) fn processors(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<u64> {
    const FIX: &str = "write a number of processors, at least 0.01 and at most 1024";
    let Some(lit) = value.as_number_lit() else {
        wrong_type(key, value, "a number", FIX, report);
        return None;
    };
    let number: Option<f64> = lit.value.parse().ok();
    let Some(number) = number.filter(|number| (0.01..=1024.0).contains(number)) else {
        invalid(key, value.start(), format!("{} is out of bounds", lit.value), FIX, report);
        return None;
    };
    // Within bounds that a float holds exactly.
    Some((number * 1000.0).round() as u64)
}

/// Sets what was understood.
pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

pub(super) fn within(
    key: &str,
    value: &Value<'_>,
    number: Option<u64>,
    min: u64,
    max: u64,
    report: &mut Report<'_>,
) -> Option<usize> {
    let number = number?;
    if !(min..=max).contains(&number) {
        let fix = format!("write at least {min} and at most {max}");
        invalid(key, value.start(), format!("{number} is out of bounds"), &fix, report);
        return None;
    }
    usize::try_from(number).ok()
}

pub(super) fn address(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<SocketAddr> {
    const FIX: &str =
        "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
    let lit = string(key, value, FIX, report)?;
    let address = lit.value.parse().ok();
    if address.is_none() {
        let what = format!("{} is not an address to listen on", quote(&lit.value));
        invalid(key, value.start(), what, FIX, report);
    }
    address
}

pub(super) fn directory<'v>(
    key: &str,
    value: &'v Value<'_>,
    report: &mut Report<'_>,
) -> Option<&'v str> {
    const FIX: &str =
        "write the path of a directory, such as \"state\" or \"/var/lib/mcp-manager\"";
    let lit = string(key, value, FIX, report)?;
    if lit.value.is_empty() || lit.value.contains('\0') {
        let what = format!("{} is not a path", quote(&lit.value));
        invalid(key, value.start(), what, FIX, report);
        return None;
    }
    Some(&lit.value)
}

pub(super) fn hosts(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Vec<String> {
    let is_host = |host: &str| {
        let authority = host.parse::<Authority>();
        !host.contains(['*', '@'])
            && authority
                .is_ok_and(|authority| !authority.host().is_empty() && port_is_valid(&authority))
    };
    let fix =
        "write a host and at most a port, such as \"mcp.example.com\"; there are no wildcards";
    names(key, value, "is not a host", fix, is_host, report)
}

pub(super) fn origins(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Vec<String> {
    let is_origin = |origin: &str| {
        let Ok(uri) = origin.parse::<Uri>() else { return false };
        let Some(authority) = uri.authority() else { return false };
        let whole = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        // Browsers send scheme, host and port, and nothing behind them.
        whole == origin && !origin.contains(['*', '@']) && port_is_valid(authority)
    };
    let fix = "write scheme, host and at most a port, such as \"https://app.example.com\"; there \
               are no wildcards";
    names(key, value, "is not an origin", fix, is_origin, report)
}

fn names(
    key: &str,
    value: &Value<'_>,
    complaint: &str,
    fix: &str,
    is_valid: impl Fn(&str) -> bool,
    report: &mut Report<'_>,
) -> Vec<String> {
    let mut names = Vec::new();
    for lit in strings(key, value, report) {
        if is_valid(&lit.value) {
            names.push(lit.value.clone().into_owned());
        } else {
            let what = format!("{} {complaint}", quote(&lit.value));
            invalid(key, lit.start(), what, fix, report);
        }
    }
    names
}

/// `http` keeps a port that is not a number from 0 to 65535, and then finds none.
pub(super) fn port_is_valid(authority: &Authority) -> bool {
    let tail = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, tail)| tail);
    tail.len() == authority.host().len() || authority.port_u16().is_some()
}
