//! Converting between units of the same dimension.

use super::number::rounded;
use crate::demo::arguments::Misuse;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    Length,
    Mass,
    Temperature,
    Time,
    Data,
}

/// A unit: its name, and the linear function that leads to the base unit of its dimension.
struct Unit {
    name: &'static str,
    dimension: Dimension,
    factor: f64,
    offset: f64,
}

const fn unit(name: &'static str, dimension: Dimension, factor: f64) -> Unit {
    Unit { name, dimension, factor, offset: 0.0 }
}

const fn temperature(name: &'static str, factor: f64, offset: f64) -> Unit {
    Unit { name, dimension: Dimension::Temperature, factor, offset }
}

/// The base units are m, kg, K, s and bytes. Yards, pounds and what follows from them are exact
/// since the agreement of 1959.
static UNITS: [Unit; 38] = {
    use Dimension::{Data, Length, Mass, Time};
    [
        unit("mm", Length, 1e-3),
        unit("cm", Length, 1e-2),
        unit("m", Length, 1.0),
        unit("km", Length, 1e3),
        unit("in", Length, 0.0254),
        unit("ft", Length, 0.3048),
        unit("yd", Length, 0.9144),
        unit("mi", Length, 1609.344),
        unit("nmi", Length, 1852.0),
        unit("mg", Mass, 1e-6),
        unit("g", Mass, 1e-3),
        unit("kg", Mass, 1.0),
        unit("t", Mass, 1e3),
        unit("oz", Mass, 0.028_349_523_125),
        unit("lb", Mass, 0.453_592_37),
        unit("st", Mass, 6.350_293_18),
        temperature("C", 1.0, 273.15),
        temperature("F", 5.0 / 9.0, 459.67 * 5.0 / 9.0),
        temperature("K", 1.0, 0.0),
        unit("us", Time, 1e-6),
        unit("ms", Time, 1e-3),
        unit("s", Time, 1.0),
        unit("min", Time, 60.0),
        unit("h", Time, 3600.0),
        unit("d", Time, 86_400.0),
        unit("wk", Time, 604_800.0),
        unit("bit", Data, 0.125),
        unit("B", Data, 1.0),
        unit("kB", Data, 1e3),
        unit("MB", Data, 1e6),
        unit("GB", Data, 1e9),
        unit("TB", Data, 1e12),
        unit("PB", Data, 1e15),
        unit("KiB", Data, 1024.0),
        unit("MiB", Data, 1_048_576.0),
        unit("GiB", Data, 1_073_741_824.0),
        unit("TiB", Data, 1_099_511_627_776.0),
        unit("PiB", Data, 1_125_899_906_842_624.0),
    ]
};

/// `value` of the unit `from` in the unit `to`.
pub(super) fn convert(value: f64, from: &str, to: &str) -> Result<f64, Misuse> {
    let (source, target) = (find(from)?, find(to)?);
    if source.dimension != target.dimension {
        let alike = UNITS.iter().filter(|unit| unit.dimension == source.dimension);
        let units: Vec<_> = alike.map(|unit| unit.name).collect();
        let why = format!("`{from}` does not convert to `{to}`, but to {}.", units.join(", "));
        return Err(Misuse(why));
    }
    if source.name == target.name {
        return Ok(value);
    }
    let base = value * source.factor + source.offset;
    let converted = rounded((base - target.offset) / target.factor);
    if converted.is_finite() { Ok(converted) } else { Err(Misuse::new("`value` is too large.")) }
}

/// The names of all units.
pub(super) fn names() -> Vec<&'static str> {
    UNITS.iter().map(|unit| unit.name).collect()
}

fn find(name: &str) -> Result<&'static Unit, Misuse> {
    let unknown = || {
        let name = mcp_wire::quoted(name);
        let units = names().join(", ");
        Misuse(format!("Unknown unit {name}. The units, case matters: {units}."))
    };
    UNITS.iter().find(|unit| unit.name == name).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn converts() {
        for (value, from, to, expected) in [
            (1.0, "mi", "km", 1.609344),
            (12.0, "in", "ft", 1.0),
            (100.0, "C", "F", 212.0),
            (-40.0, "F", "C", -40.0),
            (0.0, "K", "C", -273.15),
            (1.0, "st", "lb", 14.0),
            (90.0, "min", "h", 1.5),
            (1.0, "GiB", "MB", 1073.741824),
            (8.0, "bit", "B", 1.0),
        ] {
            assert_eq!(convert(value, from, to), Ok(expected), "{value} {from} in {to}");
        }
    }

    #[test]
    fn says_which_units_there_are() {
        let Misuse(why) = convert(1.0, "km", "kg").unwrap_err();
        assert!(why.contains("`km` does not convert to `kg`, but to mm, cm, m, km,"), "{why}");
        let Misuse(why) = convert(1.0, "mb", "B").unwrap_err();
        assert!(why.contains("Unknown unit \"mb\"") && why.contains("MB"), "{why}");
        assert!(convert(f64::MAX, "km", "mm").is_err());
    }

    proptest! {
        #[test]
        fn there_and_back(value in -1e9f64..1e9, from in 0..UNITS.len(), to in 0..UNITS.len()) {
            let (from, to) = (&UNITS[from], &UNITS[to]);
            prop_assume!(from.dimension == to.dimension);
            let there = convert(value, from.name, to.name).unwrap();
            let back = convert(there, to.name, from.name).unwrap();
            let scale = value.abs().max(from.offset / from.factor).max(to.offset / from.factor);
            prop_assert!((back - value).abs() <= 1e-10 * scale.max(1.0));
        }
    }
}
