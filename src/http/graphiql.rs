//! The GraphiQL page: built from `web/` by npm, carried inside the binary, served without the internet.
//!
//! The page is a client like any other: it sends the token which a person picked or pasted as a bearer header.
//! Nothing here signs anyone in, and there is no cookie.

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use html_escape::encode_quoted_attribute;
use rust_embed::RustEmbed;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::caching::is_cached;

/// What `npm run build` made of `web/`. Release builds carry the files; debug builds read them from the folder, so
/// that a rebuilt page needs no compilation.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/web/dist/"]
struct Dist;

/// What a browser may do on this page: run this origin's scripts and workers, talk to this origin, and nothing else.
///
/// `style-src` has to allow inline styles: Monaco lays out its lines with `style` attributes and writes its colours
/// into `<style>` elements. Without foreign images, fonts and connections such a style can't carry anything away.
/// `img-src data:` is for the icons inside Monaco's style sheets.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What stands in `index.html` where the title belongs.
const TITLE_PLACEHOLDER: &str = "__APP_TITLE__";

/// A person of the demo data, who can be signed in with one click.
#[derive(Clone, Debug, Serialize)]
pub struct DemoPerson {
    /// The name that the page shows.
    pub label: String,
    /// What the person is, unique in the list: `client`, `provider`, `moderator` or `admin`.
    pub role: String,
}

/// Who can be picked on the page. Given in development only.
#[async_trait]
pub trait DemoPeople: Send + Sync {
    /// The people; none when there is no demo data.
    async fn people(&self) -> Vec<DemoPerson>;

    /// A fresh access token of the person with this role; nothing when there is none.
    async fn sign_in(&self, role: &str) -> Option<String>;
}

/// The routes of the page: `/graphiql`, to which `/` leads, `/graphiql/assets/{name}` and, with `people`, `GET /graphiql/people.json` and
/// `POST /graphiql/people/{role}`.
///
/// `title` is the page's title as plain text. Whether the page is served at all is the caller's to decide
/// (api.md: in production only with a setting).
pub fn router<S>(title: &str, people: Option<Arc<dyn DemoPeople>>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let page = Arc::<str>::from(encode_quoted_attribute(title).as_ref());
    let mut router = Router::new()
        .route(
            "/graphiql",
            get(move |headers: HeaderMap| async move { index(&page, &headers) }),
        )
        .route(
            "/graphiql/",
            get(|| async { Redirect::permanent("/graphiql") }),
        )
        .route("/graphiql/assets/{name}", get(asset))
        .route("/", get(|| async { Redirect::temporary("/graphiql") }));
    if let Some(people) = people {
        let listed = people.clone();
        let list = move || async move {
            with_headers(Json(listed.people().await).into_response(), "no-store")
        };
        let sign_in = move |Path(role): Path<String>, headers: HeaderMap| async move {
            demo_sign_in(people.as_ref(), &role, &headers).await
        };
        router = router
            .route("/graphiql/people.json", get(list))
            .route("/graphiql/people/{role}", post(sign_in));
    }
    router
}

/// The page itself, or what to do to get it where it was not built.
fn index(escaped_title: &str, headers: &HeaderMap) -> Response {
    let built = Dist::get("index.html").and_then(|file| String::from_utf8(file.data.to_vec()).ok());
    let Some(template) = built else {
        return with_headers(html(missing_page(escaped_title)), "no-store");
    };
    let page = template.replace(TITLE_PLACEHOLDER, escaped_title);
    let tag = entity_tag(&Sha256::digest(&page));
    if is_cached(headers, &tag) {
        return with_headers(not_modified(&tag), "no-cache");
    }
    let mut response = html(page);
    set(&mut response, header::ETAG, &tag);
    with_headers(response, "no-cache")
}

/// A script, style, worker, font or icon. Its name carries a hash of what is in it, so it may be kept for good.
async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    // The build makes plain names only. Debug builds look into the folder, where `..` would mean something.
    let plain = !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let Some(file) = plain
        .then(|| Dist::get(&format!("assets/{name}")))
        .flatten()
    else {
        return with_headers(
            (StatusCode::NOT_FOUND, "no such file").into_response(),
            "no-store",
        );
    };
    let tag = entity_tag(&file.metadata.sha256_hash());
    let caching = "public, max-age=31536000, immutable";
    if is_cached(&headers, &tag) {
        return with_headers(not_modified(&tag), caching);
    }
    let mut response = match file.data {
        Cow::Borrowed(bytes) => bytes.into_response(),
        Cow::Owned(bytes) => bytes.into_response(),
    };
    set(&mut response, header::CONTENT_TYPE, content_type(&name));
    set(&mut response, header::ETAG, &tag);
    with_headers(response, caching)
}

/// A token of the person who was picked. Another site's page gets none, whatever CORS allows elsewhere.
async fn demo_sign_in(people: &dyn DemoPeople, role: &str, headers: &HeaderMap) -> Response {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return with_headers(
            (StatusCode::FORBIDDEN, "for this site's own page only").into_response(),
            "no-store",
        );
    }
    let answer = match people.sign_in(role).await {
        Some(token) => Json(serde_json::json!({ "accessToken": token })).into_response(),
        None => (StatusCode::NOT_FOUND, "no such person").into_response(),
    };
    with_headers(answer, "no-store")
}

/// Shown where the binary was built without npm: a page that says what to do.
fn missing_page(escaped_title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{escaped_title}</title>\n\
         <style>body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 40em; margin: 12vh auto; padding: 0 1.5em }}</style>\n\
         </head>\n<body>\n<h1>{escaped_title}</h1>\n\
         <p>The API runs, at <code>/graphql</code>. This page was not built: npm was missing or too old.</p>\n\
         <p>Install Node.js 20.19 or newer with npm, run <code>make web</code> in the project's folder, then start again.</p>\n\
         </body>\n</html>\n"
    )
}

fn html(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

fn not_modified(tag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    set(&mut response, header::ETAG, tag);
    response
}

/// The headers that every answer under `/graphiql` has.
fn with_headers(mut response: Response, caching: &'static str) -> Response {
    set(&mut response, header::CACHE_CONTROL, caching);
    set(&mut response, header::CONTENT_SECURITY_POLICY, POLICY);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut response, header::X_FRAME_OPTIONS, "DENY");
    set(&mut response, header::REFERRER_POLICY, "no-referrer");
    let headers = response.headers_mut();
    headers.insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn entity_tag(digest: &[u8]) -> String {
    format!("\"{}\"", hex::encode(digest))
}

/// The content type by the file's ending: the few that the build makes.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_a_build_without_npm_says_what_to_do() {
        let page = missing_page(&encode_quoted_attribute("A <b> title"));
        assert!(page.contains("<title>A &lt;b&gt; title</title>"), "{page}");
        assert!(page.contains("make web"), "{page}");
    }
}
