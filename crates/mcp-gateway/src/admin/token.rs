//! What an operator shows before something is changed: a token in a file that only its owner can
//! read.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Random bytes of a token, written as twice as many digits.
const BYTES: usize = 32;

/// The token of one admin port. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken(String);

impl AdminToken {
    /// A new one.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Writes it to `path`, which only the owner can read, in place of what was there. Directories
    /// above it are made, for the owner alone.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        // Under another name first: whoever reads it gets a whole one.
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}", std::process::id()));
        let new = Path::new(&new);
        let _ = fs::remove_file(new);
        let written = self.put(new).and_then(|()| fs::rename(new, path));
        if written.is_err() {
            let _ = fs::remove_file(new);
        }
        written
    }

    fn put(&self, path: &Path) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(format!("{}\n", self.0).as_bytes())
    }

    /// The token in the file at `path`.
    pub fn read(path: &Path) -> io::Result<Self> {
        fs::read_to_string(path).map(|text| Self(text.trim().to_owned()))
    }

    /// The value of the header `Authorization` that shows it.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a request with these headers shows it. How long that takes says nothing about it.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (all.next(), all.next()) else { return false };
        let Some((scheme, shown)) = value.to_str().ok().and_then(|value| value.split_once(' '))
        else {
            return false;
        };
        let (shown, own) = (shown.trim().as_bytes(), self.0.as_bytes());
        let differ = own.iter().zip(shown).fold(0, |differ, (own, shown)| differ | (own ^ shown));
        scheme.eq_ignore_ascii_case("bearer") && shown.len() == own.len() && differ == 0
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let all = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
        all.collect()
    }

    #[test]
    fn a_file_that_only_its_owner_reads_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/token");
        let first = AdminToken::generate().unwrap();
        first.write(&path).unwrap();
        assert_eq!(AdminToken::read(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let dir_mode = fs::metadata(path.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(dir_mode & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let second = AdminToken::generate().unwrap();
        second.write(&path).unwrap();
        assert_ne!(second, first, "each is another one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing else is left"
        );
        assert!(!format!("{second:?}").contains(&second.0));
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = AdminToken("abc123".to_owned());
        assert!(
            token.is_in(&headers(&["Bearer abc123"])) && token.is_in(&headers(&[&token.bearer()]))
        );
        for wrong in
            ["Bearer abc124", "Bearer abc12", "Bearer abc1234", "Basic abc123", "abc123", "Bearer "]
        {
            assert!(!token.is_in(&headers(&[wrong])), "{wrong}");
        }
        assert!(!token.is_in(&headers(&[])));
        assert!(!token.is_in(&headers(&["Bearer abc123", "Bearer abc123"])), "twice is not once");
    }
}
