//! Conditional requests.

use http::{HeaderMap, header};

/// Whether the client already holds what the entity tag `tag` names (RFC 9110, section 13.1.2: weak comparison).
pub(super) fn is_cached(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_entity_tag_matches_weakly_and_in_a_list() {
        let with = |value: &'static str| {
            HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))])
        };
        assert!(is_cached(&with("\"a\""), "\"a\""));
        assert!(is_cached(&with("\"b\", W/\"a\""), "\"a\""));
        assert!(is_cached(&with("*"), "\"a\""));
        assert!(!is_cached(&with("\"b\""), "\"a\""));
        assert!(!is_cached(&HeaderMap::new(), "\"a\""));
    }
}
