//! Which of the two media types an answer has.

use http::{HeaderMap, HeaderValue, header};

/// The media types of GraphQL over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status tells how it went.
    GraphqlResponse,
    /// `application/json`: 200 whenever there was a document to look at.
    Json,
}

impl Media {
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }
}

/// How much the client wants a type (0 to 1000), by the most specific range that names it (RFC 9110, 12.5.1).
fn quality(ranges: &[(String, u32)], subtype: &str) -> u32 {
    let full = format!("application/{subtype}");
    [full.as_str(), "application/*", "*/*"]
        .iter()
        .find_map(|wanted| ranges.iter().find(|(range, _)| range == wanted))
        .map_or(0, |(_, quality)| *quality)
}

fn range(item: &str) -> Option<(String, u32)> {
    let mut parts = item.split(';').map(str::trim);
    let range = parts
        .next()
        .filter(|range| range.contains('/'))?
        .to_ascii_lowercase();
    let mut quality = 1000;
    for part in parts {
        match part.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
                let value: f32 = value
                    .trim()
                    .parse()
                    .ok()
                    .filter(|q| (0.0..=1.0).contains(q))?;
                quality = (value * 1000.0).round() as u32;
            }
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                let value = value.trim().trim_matches('"');
                if !value.eq_ignore_ascii_case("utf-8") && !value.eq_ignore_ascii_case("utf8") {
                    return None;
                }
            }
            _ => {}
        }
    }
    Some((range, quality))
}

/// The type to answer in; `application/json` where the client has no preference, nothing where it wants neither.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Media> {
    let lines: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return headers
            .get(header::ACCEPT)
            .is_none_or(HeaderValue::is_empty)
            .then_some(Media::Json);
    }
    let ranges: Vec<(String, u32)> = lines
        .iter()
        .flat_map(|line| line.split(','))
        .filter_map(range)
        .collect();
    let (json, graphql) = (
        quality(&ranges, "json"),
        quality(&ranges, "graphql-response+json"),
    );
    let named = |name: &str| ranges.iter().any(|(range, _)| range == name);
    match (json, graphql) {
        (0, 0) => None,
        (json, graphql) if graphql > json => Some(Media::GraphqlResponse),
        // Named alike: the newer one, which says more.
        (json, graphql) if graphql == json && named("application/graphql-response+json") => {
            Some(Media::GraphqlResponse)
        }
        _ => Some(Media::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        negotiate(&headers)
    }

    #[test]
    fn the_client_chooses_and_json_is_the_default() {
        use Media::{GraphqlResponse, Json};
        assert_eq!(negotiate(&HeaderMap::new()), Some(Json));
        for (accept, media) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("APPLICATION/JSON; charset=UTF-8", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            (
                "application/graphql-response+json, application/json",
                Some(GraphqlResponse),
            ),
            (
                "application/json, application/graphql-response+json",
                Some(GraphqlResponse),
            ),
            (
                "application/graphql-response+json;q=0.5, application/json",
                Some(Json),
            ),
            ("application/json;q=0.9, */*;q=0.1", Some(Json)),
            ("application/json;q=0, */*", Some(GraphqlResponse)),
            ("text/html, */*;q=0.8", Some(Json)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/json; charset=utf-16", None),
            ("text/event-stream", None),
            ("nonsense", None),
        ] {
            assert_eq!(of(accept), media, "{accept}");
        }
    }
}
