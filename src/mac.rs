//! HMAC-SHA256, which Telegram, Stripe and our own tokens all build on.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A keyed MAC that takes its message in parts and compares in constant time
/// ([`Mac::verify_slice`]).
pub(crate) type HmacSha256 = Hmac<Sha256>;

/// A MAC under `key`, which may have any length; an empty one is the caller's to refuse.
pub(crate) fn hmac_sha256(key: &[u8]) -> HmacSha256 {
    match HmacSha256::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes a key of any length"),
    }
}

/// The MAC of one whole message.
pub(crate) fn hmac_sha256_of(key: &[u8], message: &[u8]) -> [u8; 32] {
    hmac_sha256(key)
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

/// Reads a MAC in its one accepted spelling, 64 lowercase hex digits.
pub(crate) fn mac_from_hex(text: &str) -> Option<[u8; 32]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut mac = [0; 32];
    hex::decode_to_slice(text, &mut mac).ok()?;
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        assert_eq!(
            hex::encode(hmac_sha256_of(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        // A key longer than a block of SHA-256.
        assert_eq!(
            hex::encode(hmac_sha256_of(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn only_64_lowercase_hex_digits_are_a_mac() {
        let good = "0123456789abcdef".repeat(4);
        assert!(mac_from_hex(&good).is_some());
        for bad in [
            "",
            "00",
            &good[1..],
            &format!("{good}0"),
            &format!("{good}00"),
            &good.to_uppercase(),
            &good.replace('a', "A"),
            &good.replace('a', "g"),
            &good.replacen('0', " ", 1),
            &format!("0x{}", &good[2..]),
        ] {
            assert!(mac_from_hex(bad).is_none(), "{bad:?}");
        }
    }
}
