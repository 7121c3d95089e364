//! Who may talk to us at all: the checks that keep web pages out (DNS rebinding).

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::{HOST, HeaderValue, ORIGIN};

use crate::Options;

/// Accepts requests that were sent to us by name, and not by some web page.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Loopback names are accepted with any port: a tunnel may have another one.
    loopback: bool,
}

/// The names by which a machine calls itself.
const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

impl Guard {
    pub(crate) fn new(listening: SocketAddr, options: &Options) -> Self {
        let lower = |all: &[String]| all.iter().map(|one| one.to_ascii_lowercase()).collect();
        let mut hosts: Vec<String> = lower(&options.allowed_hosts);
        if !listening.ip().is_unspecified() {
            hosts.push(listening.to_string());
        }
        let loopback = listening.ip().is_loopback() || listening.ip().is_unspecified();
        Self { hosts, origins: lower(&options.allowed_origins), loopback }
    }

    /// Why a request with these headers is refused, if it is.
    pub(crate) fn refuses(&self, headers: &HeaderMap) -> Option<&'static str> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Some("exactly one Host header is needed");
        };
        if !text(host).is_some_and(|host| self.knows_host(&host)) {
            return Some("this Host is not served here (see allowedHosts)");
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None)
                if text(origin).is_some_and(|origin| self.knows_origin(&origin)) =>
            {
                None
            }
            _ => Some("this Origin is not allowed (see allowedOrigins)"),
        }
    }

    fn knows_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known == host) || (self.loopback && is_loopback(host))
    }

    /// A page that this machine serves to itself may call us; every other one must be named.
    fn knows_origin(&self, origin: &str) -> bool {
        if self.origins.iter().any(|known| known == origin) {
            return true;
        }
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        self.loopback && host.is_some_and(is_loopback)
    }
}

fn text(value: &HeaderValue) -> Option<String> {
    value.to_str().ok().map(str::to_ascii_lowercase)
}

/// Whether `host` is a loopback name, with or without a port.
fn is_loopback(host: &str) -> bool {
    LOOPBACK.iter().any(|name| match host.strip_prefix(name) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let options = Options {
            allowed_hosts: vec!["mcp.example.com".to_owned()],
            allowed_origins: vec!["https://app.example.com".to_owned()],
            ..Options::default()
        };
        Guard::new(([127, 0, 0, 1], 7420).into(), &options).refuses(&map).is_some()
    }

    #[test]
    fn hosts() {
        for host in ["localhost", "LOCALHOST:7420", "127.0.0.1:9", "[::1]:7420", "mcp.example.com"]
        {
            assert!(!refused(&[("host", host)]), "{host}");
        }
        let strangers = [
            "evil.com",
            "localhost.evil.com",
            "localhost:",
            "localhost:x",
            "127.0.0.1.",
            "user@localhost",
            "mcp.example.com:1",
            "",
            "localhost:99999",
        ];
        for host in strangers {
            assert!(refused(&[("host", host)]), "{host}");
        }
        assert!(refused(&[]));
        assert!(refused(&[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn origins() {
        let with = |origin| refused(&[("host", "localhost"), ("origin", origin)]);
        assert!(!with("http://localhost:3000"));
        assert!(!with("https://app.example.com"));
        for origin in [
            "null",
            "http://evil.com",
            "http://localhost.evil",
            "localhost",
            "file://",
            "http://localhost@evil.com",
            "https://app.example.com.evil",
        ] {
            assert!(with(origin), "{origin}");
        }
        let twice =
            [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")];
        assert!(refused(&twice));
    }
}
