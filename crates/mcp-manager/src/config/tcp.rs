//! Reads the entry of a server that is reached by TCP.

use http::uri::Authority;

use super::entry::{Entry, ignore};
use super::setting::port_is_valid;
use super::spec::Tcp;
use super::template::Mask;
use super::urls;
use super::value::{Complaint, Values};

const FIX: &str = "write it as \"host:port\" or \"tcp://host:port\", an IPv6 address in brackets";

pub(super) fn read(entry: &Entry<'_, '_>, values: &mut Values<'_, '_, '_>) -> Option<Tcp> {
    let why = "the server is not started here";
    ignore(entry, &["args", "env", "envFile", "cwd"], why, values.report);
    ignore(entry, &["headers"], "TCP carries messages and nothing else", values.report);
    let complain = |address: &str| {
        let complaint = Complaint { what: "is not a host and a port", fix: FIX };
        host_and_port(address).is_none().then_some(complaint)
    };
    let (address, more) = urls::read(entry, true, values, FIX, Mask::Open, complain)?;
    Some(Tcp { address, more })
}

/// The parts of `host:port` or `tcp://host:port`; an IPv6 address without its brackets.
pub(crate) fn host_and_port(address: &str) -> Option<(String, u16)> {
    let address = address.strip_prefix("tcp://").unwrap_or(address);
    let authority: Authority = address.strip_suffix('/').unwrap_or(address).parse().ok()?;
    let host = authority.host();
    let is_v6 = host.starts_with('[');
    // Without brackets, an IPv6 address is cut in two at its last colon.
    if host.is_empty() || authority.as_str().contains('@') || !is_v6 && host.contains(':') {
        return None;
    }
    let port = authority.port_u16().filter(|_| port_is_valid(&authority))?;
    Some((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let table = [
            ("h:1", Some(("h", 1))),
            ("tcp://mcp.example.com:7000", Some(("mcp.example.com", 7000))),
            ("tcp://127.0.0.1:7000/", Some(("127.0.0.1", 7000))),
            ("[::1]:9", Some(("::1", 9))),
            ("tcp://[fe80::1]:9", Some(("fe80::1", 9))),
            ("h", None),
            ("h:", None),
            (":1", None),
            ("h:65536", None),
            ("::1:9", None),
            ("u@h:1", None),
            ("h:1/path", None),
            ("http://h:1", None),
            ("tcp://", None),
            ("", None),
        ];
        for (address, expected) in table {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(address), expected, "{address:?}");
        }
    }
}
