//! What an operator asks for.

use http::Method;
use mcp_manager::Action;

/// One thing that can be asked of the admin port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Ready,
    Status,
    Server(String),
    Logs(String),
    Add,
    Update(String),
    Remove(String),
    Act(Action, String),
    Scale(String),
    /// What is done to the replica of this number.
    Replica(ToReplica, String, usize),
    Circuit(String),
    FailOver(String),
    FailBack(String),
    Bulk,
    Reload,
}

/// What is done to one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToReplica {
    Drain,
    Eject,
    Restore,
}

/// Why there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Path,
    /// There is something at this path, for other methods.
    Method(&'static str),
}

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Result<Self, Missing> {
        let reads = *method == Method::GET || *method == Method::HEAD;
        let read = |route| if reads { Ok(route) } else { Err(Missing::Method("GET, HEAD")) };
        let post =
            |route| if *method == Method::POST { Ok(route) } else { Err(Missing::Method("POST")) };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments[..] {
            ["healthz"] => read(Self::Health),
            ["readyz"] => read(Self::Ready),
            ["status"] => read(Self::Status),
            ["servers"] if reads => Ok(Self::Status),
            ["servers"] if *method == Method::POST => Ok(Self::Add),
            ["servers"] => Err(Missing::Method("GET, HEAD, POST")),
            ["bulk"] => post(Self::Bulk),
            ["-", "reload"] => post(Self::Reload),
            ["servers", name] => {
                let name = name_in(name)?;
                match *method {
                    Method::GET | Method::HEAD => Ok(Self::Server(name)),
                    Method::PUT => Ok(Self::Update(name)),
                    Method::DELETE => Ok(Self::Remove(name)),
                    _ => Err(Missing::Method("GET, HEAD, PUT, DELETE")),
                }
            }
            ["servers", name, what] => {
                let name = name_in(name)?;
                match what {
                    "logs" => read(Self::Logs(name)),
                    "scale" => post(Self::Scale(name)),
                    "circuit" => post(Self::Circuit(name)),
                    "failover" => post(Self::FailOver(name)),
                    "failback" => post(Self::FailBack(name)),
                    _ => post(Self::Act(action(what).ok_or(Missing::Path)?, name)),
                }
            }
            ["servers", name, "replicas", number, what] => {
                let what = match what {
                    "drain" => ToReplica::Drain,
                    "eject" => ToReplica::Eject,
                    "restore" => ToReplica::Restore,
                    _ => return Err(Missing::Path),
                };
                let number = number.parse().map_err(|_| Missing::Path)?;
                post(Self::Replica(what, name_in(name)?, number))
            }
            _ => Err(Missing::Path),
        }
    }

    /// Whether everybody who reaches the port may ask this.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Health | Self::Ready | Self::Status | Self::Server(_))
    }
}

/// The action of this name.
pub(super) fn action(name: &str) -> Option<Action> {
    match name {
        "start" => Some(Action::Start),
        "stop" => Some(Action::Stop),
        "restart" => Some(Action::Restart),
        _ => None,
    }
}

/// A name as a segment of a path, decoded once.
fn name_in(segment: &str) -> Result<String, Missing> {
    crate::endpoint::decoded(segment).filter(|name| !name.is_empty()).ok_or(Missing::Path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_say() {
        let route = |method: &Method, path: &str| Route::of(method, path);
        let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
        assert_eq!(route(&get, "/status"), Ok(Route::Status));
        assert_eq!(route(&get, "/servers/a%20b"), Ok(Route::Server("a b".to_owned())));
        assert_eq!(route(&put, "/servers/a"), Ok(Route::Update("a".to_owned())));
        assert_eq!(route(&Method::DELETE, "/servers/a"), Ok(Route::Remove("a".to_owned())));
        assert_eq!(route(&post, "/servers"), Ok(Route::Add));
        assert_eq!(route(&post, "/servers/a/scale"), Ok(Route::Scale("a".to_owned())));
        assert_eq!(
            route(&post, "/servers/a/restart"),
            Ok(Route::Act(Action::Restart, "a".to_owned()))
        );
        let eject = Route::Replica(ToReplica::Eject, "a".to_owned(), 2);
        assert_eq!(route(&post, "/servers/a/replicas/2/eject"), Ok(eject));
        assert_eq!(route(&post, "/servers/a/circuit"), Ok(Route::Circuit("a".to_owned())));
        assert_eq!(route(&post, "/-/reload"), Ok(Route::Reload));
        assert_eq!(route(&get, "/-/reload"), Err(Missing::Method("POST")));
        assert_eq!(route(&post, "/servers/a"), Err(Missing::Method("GET, HEAD, PUT, DELETE")));
        for nowhere in [
            "/servers/a/replicas/x/eject",
            "/servers/a/replicas/1/kick",
            "/",
            "/servers/",
            "/servers//restart",
            "/servers/a/b/c",
            "/servers/a/x",
            "",
        ] {
            assert_eq!(route(&post, nowhere), Err(Missing::Path), "{nowhere}");
        }
    }

    #[test]
    fn what_changes_something_is_not_open() {
        let open = ["/healthz", "/readyz", "/status", "/servers", "/servers/a"];
        for path in open {
            assert!(Route::of(&Method::GET, path).unwrap().is_open(), "{path}");
        }
        assert!(!Route::of(&Method::GET, "/servers/a/logs").unwrap().is_open());
        for path in ["/servers", "/bulk", "/-/reload", "/servers/a/stop", "/servers/a/scale"] {
            assert!(!Route::of(&Method::POST, path).unwrap().is_open(), "{path}");
        }
    }
}
