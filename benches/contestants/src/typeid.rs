//! TypeIDs: a prefix, an underscore, and a UUID in 26 characters of base 32.

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;
/// The prefix has three letters.
const LENGTH: usize = 4 + DIGITS;

/// A typed id as text, which needs no allocation.
#[derive(Clone, Copy)]
pub struct TypeId([u8; LENGTH]);

impl TypeId {
    /// The id of this type and UUID.
    pub fn new(prefix: &[u8; 3], uuid: Uuid) -> Self {
        let mut text = [b'_'; LENGTH];
        text[..3].copy_from_slice(prefix);
        let value = uuid.as_u128();
        for (at, digit) in text[4..].iter_mut().enumerate() {
            *digit = ALPHABET[(value >> (5 * (DIGITS - 1 - at))) as usize & 31];
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl serde::Serialize for TypeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The UUID of an id of this type; nothing for any other text.
pub fn parse(prefix: &[u8; 3], text: &str) -> Option<Uuid> {
    let digits = text
        .as_bytes()
        .strip_prefix(prefix)?
        .strip_prefix(b"_")
        .filter(|digits| digits.len() == DIGITS && digits[0] <= b'7')?;
    let value = digits.iter().try_fold(0_u128, |value, digit| {
        let digit = ALPHABET.iter().position(|known| known == digit)?;
        Some(value << 5 | digit as u128)
    })?;
    Some(Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_spelled_as_companion_spells_it_and_reads_back() {
        let uuid = Uuid::from_u128(0x019a_a000_0000_7000_8000_0002_0000_0007);
        let text = "cty_01kag00000e008000008000007";
        assert_eq!(TypeId::new(b"cty", uuid).as_str(), text);
        assert_eq!(parse(b"cty", text), Some(uuid));
        for (prefix, bad) in [
            (b"prv", text),
            (b"cty", "cty_01kag00000e00800000800000"),
            (b"cty", "cty_81kag00000e008000008000007"),
            (b"cty", "cty_01kag00000e00800000800000u"),
            (b"cty", "cty01kag00000e0080000080000070"),
        ] {
            assert_eq!(parse(prefix, bad), None);
        }
    }
}
