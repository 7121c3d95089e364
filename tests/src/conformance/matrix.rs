//! Which conversations there are: what stands between suite and fixture, and who speaks which era.

use std::fmt;
use std::str::FromStr;

use crate::fixture::Era;

/// A way from the suite to a fixture of one era or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two things that vary")]
pub struct Pairing {
    /// How the suite reaches the fixture.
    pub door: Door,
    /// What the fixture speaks.
    pub era: Era,
}

/// What stands between the suite and the fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the gateway's ways to a server are few")]
pub enum Door {
    /// Nothing: what the fixture itself can do.
    Direct,
    /// The gateway, with the fixture as its child.
    Stdio,
    /// The gateway, with the fixture as a remote server.
    Http,
    /// The same, over a WebSocket.
    WebSocket,
}

/// The scenarios of one protocol version, spoken in that version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    version: &'static str,
    /// The suite has frozen what this version requires; for the others it runs whatever applies.
    pub(super) frozen: bool,
}

/// The whole matrix: each set, through each door, with a server of both eras and with one that does
/// not speak the era of the set. Nothing can be asked directly of a server that does not speak it.
pub(super) fn whole() -> Vec<(Pairing, Set)> {
    let mut runs = Vec::new();
    for door in Door::ALL {
        for set in Set::ALL {
            runs.push((Pairing { door, era: Era::Both }, set));
            if door != Door::Direct {
                let era = if set.era() == Era::Legacy { Era::Modern } else { Era::Legacy };
                runs.push((Pairing { door, era }, set));
            }
        }
    }
    runs
}

impl Set {
    /// Every set, the newest version first: it is the largest, and so the last to end.
    pub(super) const ALL: [Self; 4] = [
        Self { version: "2026-07-28", frozen: true },
        Self { version: "2025-11-25", frozen: true },
        Self { version: "2025-06-18", frozen: false },
        Self { version: "2025-03-26", frozen: false },
    ];

    /// The protocol version.
    pub fn version(self) -> &'static str {
        self.version
    }

    /// The era of a client that speaks this version.
    pub fn era(self) -> Era {
        if self.version >= "2026" { Era::Modern } else { Era::Legacy }
    }
}

impl Door {
    const ALL: [Self; 4] = [Self::Direct, Self::Stdio, Self::Http, Self::WebSocket];

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct-http",
            Self::Stdio => "gateway-stdio",
            Self::Http => "gateway-http",
            Self::WebSocket => "gateway-ws",
        }
    }
}

impl fmt::Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.era {
            Era::Both => f.write_str(self.door.name()),
            era => write!(f, "{}-{era}", self.door.name()),
        }
    }
}

impl FromStr for Pairing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = || {
            let eras = [Era::Both, Era::Legacy, Era::Modern];
            let of = move |door| eras.map(|era| Self { door, era });
            Door::ALL.into_iter().flat_map(of)
        };
        all().find(|pairing| pairing.to_string() == text).ok_or_else(|| {
            let names: Vec<_> = all().map(|pairing| pairing.to_string()).collect();
            format!("there are client, {}", names.join(", "))
        })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version)
    }
}

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(|set| set.version).join(", ");
        Self::ALL
            .into_iter()
            .find(|set| set.version == text)
            .ok_or_else(|| format!("there are {}", names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pairing_is_found_by_its_name() {
        for (pairing, set) in whole() {
            assert_eq!(pairing.to_string().parse(), Ok(pairing));
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert!("gateway".parse::<Pairing>().is_err());
    }

    #[test]
    fn every_era_of_client_meets_every_era_of_server_through_every_door() {
        for door in [Door::Stdio, Door::Http] {
            for client in [Era::Legacy, Era::Modern] {
                let met = |server| {
                    whole().iter().any(|(pairing, set)| {
                        let speaks =
                            pairing.era == server || pairing.era == Era::Both && client == server;
                        pairing.door == door && set.era() == client && speaks
                    })
                };
                assert!(met(Era::Legacy) && met(Era::Modern), "{door:?}, {client:?}");
            }
        }
    }
}
