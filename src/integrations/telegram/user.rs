//! The `user` field of init data: rule 6 of security.md.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Telegram's ids fit in 52 bits.
const MAX_ID: u64 = 1 << 52;

/// Objects and arrays inside each other, the user itself counted. Telegram sends one level.
const MAX_DEPTH: u32 = 8;

/// The most characters of a name; Telegram allows 64.
const MAX_NAME: usize = 256;

/// A person as Telegram describes them.
///
/// Texts have no control characters, and names and codes at most 256 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelegramUser {
    /// Telegram's number of the account, 1…2^52: never changes, never another's.
    pub id: i64,
    /// The first name; empty if Telegram gave none.
    pub first_name: String,
    /// The last name.
    pub last_name: Option<String>,
    /// The public handle without its `@`. It can change hands: no key for anything.
    pub username: Option<String>,
    /// The IETF tag of the app's language.
    pub language_code: Option<String>,
    /// Whether the account has Telegram Premium.
    pub is_premium: bool,
    /// The address of the photo, `https` alone.
    pub photo_url: Option<String>,
}

impl TelegramUser {
    /// Reads the JSON of the field, or `None` where it is no person that can sign in.
    pub(super) fn parse(json: &str) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(json);
        let user = json.deserialize_map(UserVisitor).ok()?;
        json.end().ok()?;
        Some(user)
    }
}

struct UserVisitor;

impl<'de> Visitor<'de> for UserVisitor {
    type Value = TelegramUser;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Telegram user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TelegramUser, A::Error> {
        let mut user = TelegramUser::default();
        let mut id = None;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                // An integer alone: a float or a text is an error of its own.
                "id" => id = Some(map.next_value::<u64>()?),
                "is_bot" => {
                    if map.next_value::<bool>()? {
                        return Err(A::Error::custom("a bot"));
                    }
                }
                "first_name" => user.first_name = text(&mut map, MAX_NAME)?.unwrap_or_default(),
                "last_name" => user.last_name = text(&mut map, MAX_NAME)?,
                "username" => user.username = text(&mut map, MAX_NAME)?,
                "language_code" => user.language_code = text(&mut map, MAX_NAME)?,
                "is_premium" => user.is_premium = map.next_value()?,
                "photo_url" => {
                    // Init data is at most 8 KiB long, which bounds this as well.
                    user.photo_url =
                        text(&mut map, usize::MAX)?.filter(|url| url.starts_with("https://"));
                }
                _ => map.next_value_seed(Strict { depth: 1 })?,
            }
            if !seen.insert(key) {
                return Err(A::Error::custom("a key given twice"));
            }
        }
        let id = id
            .filter(|id| (1..=MAX_ID).contains(id))
            .ok_or_else(|| A::Error::custom("no fit id"))?;
        user.id = i64::try_from(id).map_err(A::Error::custom)?;
        Ok(user)
    }
}

/// A text or `null`, of at most `max` characters, none of them a control character: PostgreSQL
/// stores no NUL, and a name is one line. An empty one is as good as none.
fn text<'de, A: MapAccess<'de>>(map: &mut A, max: usize) -> Result<Option<String>, A::Error> {
    let text = map.next_value::<Option<String>>()?;
    if let Some(text) = &text
        && (text.chars().any(char::is_control) || text.chars().count() > max)
    {
        return Err(A::Error::custom("not a text for this field"));
    }
    Ok(text.filter(|text| !text.is_empty()))
}

/// Reads past a value we have no use for, with the same strictness as for the rest.
#[derive(Clone, Copy)]
struct Strict {
    /// Objects and arrays around this value.
    depth: u32,
}

impl Strict {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while seq.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(inside)?;
            if !seen.insert(key) {
                return Err(A::Error::custom("a key given twice"));
            }
        }
        Ok(())
    }
}
