//! What clients carry for us and bring back: they can neither read it nor change it.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::failure::Failure;

/// A key of this process: what it has sealed is worth nothing to another one, or to the next.
#[derive(Debug)]
pub(crate) struct Seal {
    key: LessSafeKey,
    /// How often the key was used: no nonce is used twice.
    used: AtomicU64,
}

impl Seal {
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut bytes = [0; 32];
        let made = SystemRandom::new().fill(&mut bytes);
        let key = made.and_then(|()| UnboundKey::new(&CHACHA20_POLY1305, &bytes));
        let why = "the system has no randomness to give".to_owned();
        let key = key.map_err(|_| Failure::System { why })?;
        Ok(Self { key: LessSafeKey::new(key), used: AtomicU64::new(0) })
    }

    /// Seals `text` for one `purpose`; only the same purpose opens it. The result is letters,
    /// digits, `-` and `_`.
    pub(crate) fn close(&self, purpose: &str, text: &str) -> String {
        let number = self.used.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut sealed =
            Vec::with_capacity(number.len() + text.len() + CHACHA20_POLY1305.tag_len());
        sealed.extend_from_slice(text.as_bytes());
        let aad = Aad::from(purpose.as_bytes());
        if self.key.seal_in_place_append_tag(nonce(number), aad, &mut sealed).is_err() {
            // Only a text of 256 GiB is too long; what nobody can open is the honest answer to it.
            sealed.clear();
        }
        sealed.splice(0..0, number);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// What was sealed for `purpose`; `None` if it was sealed by another, for something else, or
    /// changed since.
    pub(crate) fn open(&self, purpose: &str, sealed: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (number, sealed) = sealed.split_first_chunk()?;
        let mut text = sealed.to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let text = self.key.open_in_place(nonce(*number), aad, &mut text).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

fn nonce(number: [u8; 8]) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - number.len()..].copy_from_slice(&number);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_seal_and_purpose_open_it() {
        let (seal, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        let sealed = seal.close("cursor", "page 2 of \"a\"");
        assert_eq!(seal.open("cursor", &sealed).as_deref(), Some("page 2 of \"a\""));
        assert_eq!(seal.open("state", &sealed), None);
        assert_eq!(other.open("cursor", &sealed), None);
        assert_ne!(sealed, seal.close("cursor", "page 2 of \"a\""));
    }

    #[test]
    fn one_changed_letter_opens_nothing() {
        let seal = Seal::new().unwrap();
        let sealed = seal.close("cursor", "page 2");
        for at in 0..sealed.len() {
            let mut bad = sealed.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open("cursor", &String::from_utf8(bad).unwrap()), None, "at {at}");
            assert_eq!(seal.open("cursor", &sealed[..at]), None);
        }
    }
}
