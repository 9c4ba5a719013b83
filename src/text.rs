//! Checks what a person types (api.md, "Text").
//!
//! Every check answers the text in the form in which it is kept, or a [`TextError`] whose message
//! goes to the user beside the field's path. Services run all checks of an input and report all
//! bad fields together. Passwords, tokens, init data and keys never come through here: they are
//! kept as they are.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization;
use url::Url;

/// The longest address of the web that is kept, in characters.
pub const MAX_URL_LENGTH: usize = 2048;
/// The longest e-mail address, in characters (RFC 5321).
pub const MAX_EMAIL_LENGTH: usize = 254;

/// What is wrong with a text. [`TextError::message`] says it to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but space where something is needed.
    #[error("must not be empty")]
    Empty,
    /// Fewer characters than needed.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// More characters than fit.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A control character, a line break in one line, or NUL.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// A character that turns the direction of the text around it.
    #[error("must not contain characters that change the direction of text")]
    DirectionOverride,
    /// Only characters that nobody can see.
    #[error("must contain a visible character")]
    Invisible,
    /// No e-mail address.
    #[error("must be an e-mail address such as name@example.com")]
    Email,
    /// No address of the web.
    #[error("must be an http or https address")]
    Url,
    /// No user name.
    #[error("must be 3 to 32 letters a-z, digits or _, beginning with a letter")]
    Username,
    /// No zone of the IANA database.
    #[error("must be an IANA time zone such as Europe/Berlin")]
    TimeZone,
}

impl TextError {
    /// The sentence for the user, without the field's name.
    pub fn message(self) -> String {
        self.to_string()
    }
}

/// One line: NFC, trimmed, `length` counted in characters.
///
/// Refused are control characters, line and paragraph separators, and the embeddings, overrides
/// and isolates of bidirectional text (U+202A–202E, U+2066–2069): in a name they would reorder
/// what stands after it. Zero-width joiners stay, since scripts and emoji need them, but a text
/// of nothing visible is refused.
///
/// # Errors
/// What is wrong first.
pub fn single_line(text: &str, length: RangeInclusive<usize>) -> Result<String, TextError> {
    let text = normalised(text);
    if text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Err(TextError::ControlCharacter);
    }
    if text
        .chars()
        .any(|c| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'))
    {
        return Err(TextError::DirectionOverride);
    }
    sized(text, length)
}

/// Several lines: as one line, but line breaks, tabs and marks of direction are allowed, and
/// every kind of line break (CRLF, CR) becomes LF.
///
/// # Errors
/// What is wrong first.
pub fn multi_line(text: &str, length: RangeInclusive<usize>) -> Result<String, TextError> {
    let text = normalised(&text.replace("\r\n", "\n").replace('\r', "\n"));
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(TextError::ControlCharacter);
    }
    sized(text, length)
}

/// An e-mail address: trimmed, its domain in lower case and ASCII, at most 254 characters.
///
/// One plain address: no display name, no comment, no quoted local part, no IP address. The local
/// part keeps its case, since only its host knows whether case matters.
///
/// # Errors
/// [`TextError::Email`], [`TextError::TooLong`].
pub fn email(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(TextError::Email)?;
    let atom = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    if local.len() > 64 || !local.split('.').all(atom) {
        return Err(TextError::Email);
    }
    // A URL's host may be written with percents, an address's may not.
    if domain.contains('%') {
        return Err(TextError::Email);
    }
    let Ok(url::Host::Domain(domain)) = url::Host::parse(domain) else {
        return Err(TextError::Email);
    };
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if !domain.contains('.') || !domain.split('.').all(label) {
        return Err(TextError::Email);
    }
    let address = format!("{local}@{domain}");
    if address.len() > MAX_EMAIL_LENGTH {
        return Err(TextError::TooLong(MAX_EMAIL_LENGTH));
    }
    Ok(address)
}

/// An http or https address with a host and without user and password, in its normal form, at
/// most [`MAX_URL_LENGTH`] characters.
///
/// # Errors
/// [`TextError::Url`], [`TextError::TooLong`], [`TextError::ControlCharacter`].
pub fn http_url(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    // The parser would silently drop tabs and line breaks.
    if text.chars().any(char::is_control) {
        return Err(TextError::ControlCharacter);
    }
    let url = Url::parse(text).map_err(|_| TextError::Url)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none();
    if !plain {
        return Err(TextError::Url);
    }
    let url = String::from(url);
    if url.len() > MAX_URL_LENGTH {
        return Err(TextError::TooLong(MAX_URL_LENGTH));
    }
    Ok(url)
}

/// A user name: 3 to 32 of a–z, 0–9 and `_`, beginning with a letter. Upper case is accepted and
/// kept in lower case, so that two people never differ in case alone.
///
/// # Errors
/// [`TextError::Username`].
pub fn username(text: &str) -> Result<String, TextError> {
    let name = text.trim().to_ascii_lowercase();
    let good = (3..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if good {
        Ok(name)
    } else {
        Err(TextError::Username)
    }
}

/// A zone of the IANA database, in the database's own spelling.
///
/// # Errors
/// [`TextError::TimeZone`], also for the files of a system's database that are no zones and for
/// its `posix/` and `right/` copies.
pub fn time_zone(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    let plain = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_-+".contains(&b))
        && !["posix/", "right/", "posixrules", "localtime", "factory"]
            .iter()
            .any(|start| text.to_ascii_lowercase().starts_with(start));
    if !plain {
        return Err(TextError::TimeZone);
    }
    let zone = jiff::tz::TimeZone::get(text).map_err(|_| TextError::TimeZone)?;
    zone.iana_name()
        .map(str::to_owned)
        .ok_or(TextError::TimeZone)
}

/// Checks that no text inside `value`, names of members included, holds NUL, which PostgreSQL
/// cannot keep.
///
/// # Errors
/// [`TextError::ControlCharacter`].
pub fn json_without_nul(value: &serde_json::Value) -> Result<(), TextError> {
    use serde_json::Value;
    // A stack of our own: JSON that was built, not parsed, has no bound on its depth.
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) if text.contains('\0') => return Err(TextError::ControlCharacter),
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => {
                if members.keys().any(|name| name.contains('\0')) {
                    return Err(TextError::ControlCharacter);
                }
                rest.extend(members.values());
            }
            _ => {}
        }
    }
    Ok(())
}

fn normalised(text: &str) -> String {
    let text: String = text.nfc().collect();
    text.trim().to_owned()
}

fn sized(text: String, length: RangeInclusive<usize>) -> Result<String, TextError> {
    let count = text.chars().count();
    if count == 0 && *length.start() > 0 {
        return Err(TextError::Empty);
    }
    if count < *length.start() {
        return Err(TextError::TooShort(*length.start()));
    }
    if count > *length.end() {
        return Err(TextError::TooLong(*length.end()));
    }
    if count > 0 && text.chars().all(invisible) {
        return Err(TextError::Invisible);
    }
    Ok(text)
}

/// Characters that show nothing by themselves.
fn invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn single_lines_are_normalised_and_trimmed() {
        assert_eq!(single_line("  Zoe\u{308} \n", 1..=10).unwrap(), "Zo\u{EB}");
        // Length is in characters after normalisation, not in bytes.
        assert_eq!(
            single_line("e\u{301}e\u{301}", 1..=2)
                .unwrap()
                .chars()
                .count(),
            2
        );
        assert_eq!(single_line("жук", 3..=3).unwrap(), "жук");
        // A family emoji lives of its joiners.
        assert!(single_line("👩\u{200D}👧", 1..=10).is_ok());
        assert_eq!(single_line("", 0..=3).unwrap(), "");
    }

    #[test]
    fn single_lines_refuse_what_they_say() {
        for (text, error) in [
            (" \t ", TextError::Empty),
            ("a", TextError::TooShort(2)),
            ("abcdef", TextError::TooLong(5)),
            ("a\0b", TextError::ControlCharacter),
            ("\0", TextError::ControlCharacter),
            ("a\nb", TextError::ControlCharacter),
            ("a\tb", TextError::ControlCharacter),
            ("a\u{85}b", TextError::ControlCharacter),
            ("a\u{2028}b", TextError::ControlCharacter),
            ("a\u{202E}b", TextError::DirectionOverride),
            ("a\u{2066}b", TextError::DirectionOverride),
            ("\u{200B}\u{200D}", TextError::Invisible),
            ("\u{3164}\u{3164}", TextError::Invisible),
        ] {
            assert_eq!(single_line(text, 2..=5), Err(error), "{text:?}");
        }
    }

    #[test]
    fn several_lines_keep_their_breaks_as_lf() {
        assert_eq!(
            multi_line(" a\r\nb\rc\n\td ", 1..=20).unwrap(),
            "a\nb\nc\n\td"
        );
        assert_eq!(multi_line("a\0", 1..=20), Err(TextError::ControlCharacter));
        assert_eq!(
            multi_line("a\u{1B}[0m", 1..=20),
            Err(TextError::ControlCharacter)
        );
        assert_eq!(multi_line("\r\n", 1..=20), Err(TextError::Empty));
        // CRLF counts once.
        assert!(multi_line("a\r\nb", 1..=3).is_ok());
    }

    #[test]
    fn email_addresses() {
        assert_eq!(
            email(" Ann.Lee+x@Example.COM ").unwrap(),
            "Ann.Lee+x@example.com"
        );
        assert_eq!(
            email("a@bücher.example").unwrap(),
            "a@xn--bcher-kva.example"
        );
        let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(63));
        assert!(email(&long).is_ok());
        for bad in [
            "",
            "a",
            "@b.c",
            "a@",
            "a@b",
            "a@@b.c",
            "a b@c.d",
            "Ann <a@b.c>",
            "a@b..c",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "\"a\"@b.c",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@-b.c",
            "a@b.c.",
            "a\0@b.c",
            "a@b\n.c",
            "ä@b.c",
            "a@b_c.d",
        ] {
            assert_eq!(email(bad), Err(TextError::Email), "{bad:?}");
        }
        assert_eq!(
            email(&format!("{}@b.c", "a".repeat(65))),
            Err(TextError::Email)
        );
        let labels = vec!["b".repeat(60); 4].join(".");
        assert_eq!(
            email(&format!("aaaaaaaaaaaaa@{labels}")),
            Err(TextError::TooLong(254))
        );
    }

    #[test]
    fn web_addresses() {
        assert_eq!(
            http_url(" HTTPS://Example.com ").unwrap(),
            "https://example.com/"
        );
        for bad in [
            "",
            "example.com",
            "javascript:alert(1)",
            "ftp://a.b",
            "https://u@a.b",
            "https://",
        ] {
            assert_eq!(http_url(bad), Err(TextError::Url), "{bad:?}");
        }
        assert_eq!(
            http_url("https://a.b/\nc"),
            Err(TextError::ControlCharacter)
        );
        let long = format!("https://a.b/{}", "x".repeat(MAX_URL_LENGTH));
        assert_eq!(http_url(&long), Err(TextError::TooLong(MAX_URL_LENGTH)));
    }

    #[test]
    fn user_names() {
        assert_eq!(username(" Ann_Lee9 ").unwrap(), "ann_lee9");
        let long = "a".repeat(33);
        for bad in [
            "ab",
            "9ab",
            "_ab",
            "a-b",
            "ann lee",
            "änn",
            "",
            long.as_str(),
        ] {
            assert_eq!(username(bad), Err(TextError::Username), "{bad:?}");
        }
    }

    #[test]
    fn zones() {
        assert_eq!(time_zone("Europe/Berlin").unwrap(), "Europe/Berlin");
        assert_eq!(time_zone("europe/berlin").unwrap(), "Europe/Berlin");
        assert_eq!(time_zone("UTC").unwrap(), "UTC");
        for bad in [
            "",
            "Mars/Base",
            "+02:00",
            "CET-1CEST",
            "posix/Europe/Berlin",
            "right/UTC",
            "localtime",
            "posixrules",
            "../../etc/passwd",
            "/etc/localtime",
            "Europe",
            "zone.tab",
            "Factory",
        ] {
            assert_eq!(time_zone(bad), Err(TextError::TimeZone), "{bad:?}");
        }
    }

    #[test]
    fn json_may_hold_no_nul() {
        let json = |text: &str| serde_json::from_str(text).unwrap();
        assert!(json_without_nul(&json(r#"{"a":["b",1,null,{"c":"d\n"}]}"#)).is_ok());
        for bad in [r#""\u0000""#, r#"[[{"a":"x\u0000"}]]"#, r#"{"a\u0000":1}"#] {
            assert!(json_without_nul(&json(bad)).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<serde_json::Value>(r#""\ud800""#).is_err());
    }

    proptest! {
        #[test]
        fn what_passes_once_passes_again_unchanged(text in "\\PC{0,40}|[ -~]{0,40}") {
            if let Ok(kept) = single_line(&text, 0..=40) {
                prop_assert_eq!(single_line(&kept, 0..=40), Ok(kept.clone()));
                prop_assert!(kept.chars().count() <= 40 && !kept.chars().any(char::is_control));
            }
            if let Ok(kept) = email(&text) {
                prop_assert_eq!(email(&kept), Ok(kept.clone()));
            }
            if let Ok(kept) = http_url(&text) {
                prop_assert_eq!(http_url(&kept), Ok(kept.clone()));
            }
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = (single_line(&text, 1..=9), multi_line(&text, 1..=9), email(&text));
            let _ = (http_url(&text), username(&text), time_zone(&text));
        }
    }
}
