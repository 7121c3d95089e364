//! Why an address cannot be listened on, and what to do about it.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;

use mcp_gateway::{ListenError, StartError};

use crate::exit::{Error, Exit};

/// What is said when the gateway does not start.
pub(crate) fn cannot_start(error: StartError) -> Error {
    match error {
        StartError::Listen(error) => {
            let hint = hint(&error).map(|hint| format!("; {hint}")).unwrap_or_default();
            Error::new(Exit::Unexpected, "CANNOT_LISTEN", format!("{error}{hint}"))
        }
        error => Error::new(Exit::Unexpected, "STATE_UNAVAILABLE", error.to_string()),
    }
}

fn hint(error: &ListenError) -> Option<String> {
    let address = error.address;
    match error.why.kind() {
        ErrorKind::AddrInUse => {
            let holder = holder(address).map_or_else(
                || "is another mcp-manager running?".to_owned(),
                |holder| format!("{holder} has it."),
            );
            Some(format!(
                "{holder} Choose other ports with --listen and --admin (port 0 takes a free one)"
            ))
        }
        ErrorKind::PermissionDenied => Some(format!(
            "port {} needs rights that this process does not have (CAP_NET_BIND_SERVICE): choose one \
             from 1024 upwards, or have the socket passed (LISTEN_FDS)",
            address.port()
        )),
        _ if address.is_ipv6() => {
            let v4 = if address.ip().is_loopback() { "127.0.0.1" } else { "0.0.0.0" };
            Some(format!(
                "is IPv6 off on this machine, or the address another one's? IPv4 would be {v4}:{}",
                address.port()
            ))
        }
        ErrorKind::AddrNotAvailable => {
            Some("no interface of this machine has this address".to_owned())
        }
        _ => None,
    }
}

/// The process that listens on this port, if the system lets us see it.
fn holder(address: SocketAddr) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, address.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let mut processes = fs::read_dir("/proc").ok()?.flatten();
    processes.find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let leads = |file: &fs::DirEntry| {
            let target = fs::read_link(file.path()).unwrap_or_default();
            inodes.iter().any(|inode| target.as_os_str() == inode.as_str())
        };
        files.any(|file| leads(&file)).then(|| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("process {pid} ({})", crate::output::printable(name.trim_end()))
        })
    })
}

/// The inodes of the sockets in one of the kernel's tables that listen on `port`.
fn listeners(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|row| {
        let (local, state, inode) = (row.get(1)?, row.get(3)?, row.get(9)?);
        (local.ends_with(&wanted) && *state == LISTEN).then(|| (*inode).to_owned())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_who_listens() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \u{20}  0: 0100007F:1CFC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            \u{20}  1: 0100007F:1CFC 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n";
        assert_eq!(listeners(table, 7420), ["4711"]);
        assert!(listeners(table, 7421).is_empty());
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = holder(listening.local_addr().unwrap());
        // Where there is no /proc, nobody is named.
        let own = format!("process {} (", std::process::id());
        assert!(holder.is_none_or(|holder| holder.starts_with(&own)));
    }
}
