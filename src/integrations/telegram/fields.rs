//! Init data taken apart: rules 1 to 3 of security.md.

use std::collections::BTreeMap;

use super::InitDataError::{self, Malformed};

/// Init data is at most this long, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// The decoded fields, each key once, in the order of the check string.
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Takes a query string apart and decodes it exactly once.
    ///
    /// Stricter than a browser where a second reading of the same signed text could mean
    /// something else: no key twice, no control character (a newline in a value would forge a
    /// line of the check string), no `=` in a key (it would move the border between key and
    /// value), no pair without `=` and no empty pair or key.
    pub(super) fn parse(init_data: &str) -> Result<Self, InitDataError> {
        if init_data.len() > MAX_BYTES {
            return Err(Malformed("longer than 8 KiB"));
        }
        if init_data.starts_with('?') {
            return Err(Malformed("a leading question mark"));
        }
        let mut fields = BTreeMap::new();
        for pair in init_data.split('&') {
            let (key, value) = pair
                .split_once('=')
                .ok_or(Malformed("a field without an equals sign"))?;
            let (key, value) = (decode(key)?, decode(value)?);
            if key.is_empty() {
                return Err(Malformed("a field without a name"));
            }
            if key.contains('=') {
                return Err(Malformed("an equals sign in a name"));
            }
            if fields.insert(key, value).is_some() {
                return Err(Malformed("a field given twice"));
            }
        }
        Ok(Self(fields))
    }

    /// The decoded value of a field.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The text that is signed: all fields but those, sorted by key, one a line. Unknown and
    /// empty fields belong to it.
    pub(super) fn check_string(&self, without: &[&str]) -> String {
        let mut text = String::new();
        for (key, value) in &self.0 {
            if without.contains(&key.as_str()) {
                continue;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(key);
            text.push('=');
            text.push_str(value);
        }
        text
    }
}

/// Decodes `%XX` and `+`, once.
fn decode(text: &str) -> Result<String, InitDataError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                high.zip(low)
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
                    .ok_or(Malformed("a broken percent code"))?
            }
            other => other,
        });
    }
    let text = String::from_utf8(decoded).map_err(|_| Malformed("not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(Malformed("a control character"));
    }
    Ok(text)
}
