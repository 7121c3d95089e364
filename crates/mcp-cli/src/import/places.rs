//! Where other clients keep their servers: the nearest file first.

use std::path::{Path, PathBuf};

use crate::args::Client;
use crate::exit::Error;

/// The files in which `client` may have its servers, here and for this user.
pub(super) fn places(client: Client) -> Result<Vec<PathBuf>, Error> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| {
        Error::usage("HOME is not set, so nobody knows where to look; --file names the file")
    })?;
    let here = std::env::current_dir().unwrap_or_default();
    Ok(files(client, &here, &home))
}

fn files(client: Client, here: &Path, home: &Path) -> Vec<PathBuf> {
    let support = home.join("Library/Application Support");
    match client {
        Client::Claude => vec![
            here.join(".mcp.json"),
            home.join(".claude.json"),
            home.join(".config/Claude/claude_desktop_config.json"),
            support.join("Claude/claude_desktop_config.json"),
        ],
        Client::Cursor => vec![here.join(".cursor/mcp.json"), home.join(".cursor/mcp.json")],
        Client::Vscode => vec![
            here.join(".vscode/mcp.json"),
            home.join(".config/Code/User/mcp.json"),
            support.join("Code/User/mcp.json"),
        ],
    }
}

/// The folder that `${workspaceFolder}` and relative paths in the file at `path` mean.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().unwrap_or(Path::new("/"));
    let own = dir.file_name().is_some_and(|name| name == ".vscode" || name == ".cursor");
    if own { dir.parent().unwrap_or(dir) } else { dir }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_comes_before_the_user() {
        let (here, home) = (Path::new("/project"), Path::new("/home/ada"));
        let first = |client| files(client, here, home).remove(0);
        assert_eq!(first(Client::Claude), Path::new("/project/.mcp.json"));
        assert_eq!(first(Client::Cursor), Path::new("/project/.cursor/mcp.json"));
        assert_eq!(first(Client::Vscode), Path::new("/project/.vscode/mcp.json"));
    }

    #[test]
    fn a_workspace_is_above_its_settings() {
        assert_eq!(folder_of(Path::new("/p/.vscode/mcp.json")), Path::new("/p"));
        assert_eq!(folder_of(Path::new("/p/.mcp.json")), Path::new("/p"));
    }
}
