//! Reads single settings and collects what is wrong with them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::settings::default_of;

/// Reads variables and collects every problem, so that all can be told at once.
///
/// After a problem each method answers some value of its type; the caller must not use the result
/// when `problems` is not empty. No message repeats a value that may be a secret.
pub(super) struct Reader<F> {
    vars: F,
    pub(super) problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    pub(super) fn new(vars: F) -> Self {
        Self {
            vars,
            problems: Vec::new(),
        }
    }

    /// Notes what is wrong with `name`.
    pub(super) fn problem(&mut self, name: &str, what: impl Display) {
        self.problems.push(format!("{name} {what}"));
    }

    /// The variable as it is set, without the table's default.
    pub(super) fn set(&mut self, name: &'static str) -> Option<String> {
        (self.vars)(name)
    }

    /// The variable or the table's default, `""` where it has none.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        self.set(name)
            .unwrap_or_else(|| default_of(name).unwrap_or_default().to_owned())
    }

    /// Text that must not be blank.
    pub(super) fn filled(&mut self, name: &'static str) -> String {
        let text = self.text(name);
        if text.trim().is_empty() {
            self.problem(name, "is empty");
        }
        text
    }

    /// A whole number within `range`.
    pub(super) fn number<T>(&mut self, name: &'static str, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let text = self.text(name);
        match text.trim().parse::<T>() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(
                    name,
                    format!(
                        "must be a whole number from {} to {}",
                        range.start(),
                        range.end()
                    ),
                );
                *range.start()
            }
        }
    }

    /// A length of time in whole seconds.
    pub(super) fn seconds(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(name, range))
    }

    /// A length of time in whole milliseconds.
    pub(super) fn millis(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(name, range))
    }

    /// `true` or `false` (also `1`, `0`, `yes`, `no`, `on`, `off`); `absent` where it is not set
    /// and the table has no default.
    pub(super) fn switch(&mut self, name: &'static str, absent: bool) -> bool {
        let Some(text) = self
            .set(name)
            .or_else(|| default_of(name).map(str::to_owned))
        else {
            return absent;
        };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.problem(name, "must be true or false");
                absent
            }
        }
    }

    /// One of the named choices; `absent` where it is not set and the table has no default.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
        absent: T,
    ) -> T {
        let Some(text) = self
            .set(name)
            .or_else(|| default_of(name).map(str::to_owned))
        else {
            return absent;
        };
        let found = choices
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
        if let Some((_, choice)) = found {
            return *choice;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.problem(name, format!("must be {}", words.join(" or ")));
        absent
    }

    /// The items of a list by comma, trimmed; an empty text is an empty list, a blank item between
    /// commas a problem.
    pub(super) fn items(&mut self, name: &'static str, text: &str) -> Vec<String> {
        if text.trim().is_empty() {
            return Vec::new();
        }
        let items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
        if items.iter().any(String::is_empty) {
            self.problem(name, "has a blank item between its commas");
        }
        items
    }

    /// A list by comma in which `parse` reads every item; `expected` says what an item must be.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        text: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for (index, item) in self.items(name, text).into_iter().enumerate() {
            match parse(&item) {
                Some(value) => values.push(value),
                None if item.is_empty() => {}
                None => {
                    self.problem(
                        name,
                        format!("must be {expected} (item {} is not)", index + 1),
                    );
                }
            }
        }
        values
    }

    /// A list of secrets by comma, or `None` where the variable is not set.
    pub(super) fn secrets(&mut self, name: &'static str) -> Option<Vec<SecretString>> {
        let text = self.set(name)?;
        Some(
            self.items(name, &text)
                .into_iter()
                .map(SecretString::from)
                .collect(),
        )
    }

    /// An http or https address without user, query and fragment.
    pub(super) fn http_url(&mut self, name: &'static str, text: &str) -> Option<Url> {
        let url = http_url(text);
        if url.is_none() {
            self.problem(
                name,
                "must be an http or https address without user, query and fragment",
            );
        }
        url
    }
}

/// Reads an http or https address without user, query and fragment.
fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

/// Reads an origin: scheme, host and perhaps a port, and nothing more.
pub(super) fn origin(text: &str) -> Option<url::Origin> {
    let url = http_url(text)?;
    (url.path() == "/").then(|| url.origin())
}
