//! Uploads, pictures, portfolios and avatars.

use std::io::Cursor;

use companion::db::ids::ProviderId;
use futures_util::future::join_all;
use jiff::SignedDuration;
use reqwest::{Response, header};
use serde_json::{Value, json};

use super::support::{Client, TestApp};

const BEGIN: &str = "mutation($purpose: MediaPurpose!, $size: Int64!) {
    mediaUploadBegin(input: {purpose: $purpose, byteSize: $size}) {
        upload { id url purpose byteSize expiresAt } userErrors { code field } } }";
const ATTACH: &str = "mutation($upload: ID!, $caption: String!) {
    providerMediaAttach(uploadId: $upload, input: {caption: $caption}) {
        providerMedia { id caption media { id url } } userErrors { code field } } }";
const UPDATE: &str = "mutation($id: ID!, $caption: String!) { providerMediaUpdate(id: $id, input: {caption: $caption}) {
    providerMedia { id caption } userErrors { code field } } }";
const REORDER: &str = "mutation($ids: [ID!]!) { providerMediaReorder(ids: $ids) {
    portfolio { id } userErrors { code field } } }";
const REMOVE: &str = "mutation($id: ID!) { providerMediaRemove(id: $id) {
    providerMedia { id } userErrors { code field } } }";
const AVATAR: &str = "mutation($upload: ID) { meUpdate(input: {avatarUploadId: $upload}) {
    me { user { avatar { id url width height } } } userErrors { code field } } }";

fn png(side: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// Announces a file; answers the upload's id and address.
async fn begin(client: &Client, purpose: &str, size: usize) -> (String, String) {
    let answer = client
        .post(BEGIN, json!({ "purpose": purpose, "size": size }))
        .await;
    let upload = &answer.payload("mediaUploadBegin")["upload"];
    let text = |field: &str| upload[field].as_str().unwrap().to_owned();
    (text("id"), text("url"))
}

async fn put(client: &Client, url: &str, bytes: Vec<u8>) -> Response {
    client.http().put(url).body(bytes).send().await.unwrap()
}

/// Uploads a picture; answers the upload's id.
async fn uploaded(client: &Client, purpose: &str) -> String {
    let bytes = png(8);
    let (id, url) = begin(client, purpose, bytes.len()).await;
    assert_eq!(put(client, &url, bytes).await.status(), 201);
    id
}

async fn attached(client: &Client) -> String {
    let upload = uploaded(client, "PORTFOLIO").await;
    let answer = client
        .post(ATTACH, json!({ "upload": upload, "caption": "" }))
        .await;
    answer.payload("providerMediaAttach")["providerMedia"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn portfolio(client: &Client, provider: ProviderId) -> Vec<String> {
    let answer = client
        .query(&format!(
            "{{ provider(id: \"{provider}\") {{ media {{ id }} }} }}"
        ))
        .await;
    let items = answer.data()["provider"]["media"]
        .as_array()
        .unwrap()
        .clone();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_announced_sent_once_and_served_for_good() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let bytes = png(16);
    let answer = mia
        .post(BEGIN, json!({ "purpose": "AVATAR", "size": bytes.len() }))
        .await;
    let upload = answer.payload("mediaUploadBegin")["upload"].clone();
    assert_eq!(upload["expiresAt"], "2026-11-21T12:15:00Z");
    let url = upload["url"].as_str().unwrap();
    let sent = put(&mia, url, bytes.clone()).await;
    assert_eq!(sent.status(), 201);
    let sent: Value = sent.json().await.unwrap();
    assert_eq!(
        (&sent["contentType"], &sent["width"]),
        (&json!("image/png"), &json!(16))
    );
    let again = put(&mia, url, bytes).await;
    assert_eq!(again.status(), 410);
    assert_eq!(again.json::<Value>().await.unwrap()["code"], "EXPIRED");

    let http = app.anonymous();
    let address = sent["url"].as_str().unwrap();
    let shown = http.http().get(address).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    let headers = shown.headers().clone();
    assert_eq!(headers[header::CONTENT_TYPE], "image/png");
    assert_eq!(
        headers[header::CACHE_CONTROL],
        "public, max-age=31536000, immutable"
    );
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(
        headers[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .starts_with("inline; filename=\"med_")
    );
    let file = shown.bytes().await.unwrap();
    let part = http
        .http()
        .get(address)
        .header(header::RANGE, "bytes=1-3")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(
        part.headers()[header::CONTENT_RANGE],
        format!("bytes 1-3/{}", file.len())
    );
    assert_eq!(part.bytes().await.unwrap(), file.slice(1..4));
    let behind = format!("bytes={}-", file.len());
    let behind = http
        .http()
        .get(address)
        .header(header::RANGE, behind)
        .send()
        .await
        .unwrap();
    assert_eq!(behind.status(), 416);
    let known = http
        .http()
        .get(address)
        .header(header::IF_NONE_MATCH, &headers[header::ETAG])
        .send()
        .await
        .unwrap();
    assert_eq!(
        (known.status().as_u16(), known.bytes().await.unwrap().len()),
        (304, 0)
    );
    let head = http.http().head(address).send().await.unwrap();
    assert_eq!(
        head.headers()[header::CONTENT_LENGTH],
        file.len().to_string()
    );
    for id in [
        "med_01k4000000e008000000000001",
        "x",
        "..%2f..%2fetc%2fpasswd",
    ] {
        let missing = http
            .http()
            .get(app.anonymous().url(&format!("/v1/media/{id}")))
            .send()
            .await
            .unwrap();
        assert_eq!(missing.status(), 404, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_announced_picture_is_refused_and_may_be_sent_again() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let good = png(8);
    let (_, url) = begin(&mia, "AVATAR", good.len()).await;
    let mut text = b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec();
    text.resize(good.len(), b' ');
    let mut damaged = good.clone();
    damaged[20..].fill(0);
    for (bytes, status) in [
        ([good.clone(), vec![0]].concat(), 413),
        (good[1..].to_vec(), 400),
        (text, 415),
        (damaged, 400),
    ] {
        assert_eq!(put(&mia, &url, bytes).await.status(), status);
        assert_eq!(app.number("SELECT count(*) FROM media").await, 0);
    }
    assert_eq!(
        put(&mia, &app.anonymous().url("/v1/uploads/x"), good.clone())
            .await
            .status(),
        404
    );
    assert_eq!(put(&mia, &url, good.clone()).await.status(), 201);
    let (_, late) = begin(&mia, "AVATAR", good.len()).await;
    app.app.clock.advance(SignedDuration::from_mins(15));
    assert_eq!(put(&mia, &late, good).await.status(), 410);
    for (size, code) in [
        (0_i64, "INVALID_INPUT"),
        (-1, "INVALID_INPUT"),
        (10_485_761, "INVALID_INPUT"),
    ] {
        let answer = mia
            .post(BEGIN, json!({ "purpose": "AVATAR", "size": size }))
            .await;
        assert_eq!(
            answer.user_error_codes("mediaUploadBegin"),
            [code],
            "{size}"
        );
    }
    let anonymous = app
        .anonymous()
        .post(BEGIN, json!({ "purpose": "AVATAR", "size": 1 }))
        .await;
    assert_eq!(anonymous.error_code(), "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_takes_one_of_many_files_sent_at_once() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let bytes = png(8);
    let (_, url) = begin(&mia, "AVATAR", bytes.len()).await;
    let answers = join_all((0..10).map(|_| put(&mia, &url, bytes.clone()))).await;
    let count = |status: u16| {
        answers
            .iter()
            .filter(|answer| answer.status() == status)
            .count()
    };
    assert_eq!((count(201), count(410)), (1, 9));
    assert_eq!(app.number("SELECT count(*) FROM media").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn announced_uploads_are_limited_and_a_suspended_person_sends_nothing() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let answers =
        join_all((0..25).map(|_| mia.post(BEGIN, json!({ "purpose": "AVATAR", "size": 9 })))).await;
    let refused = answers
        .iter()
        .filter(|answer| answer.user_error_codes("mediaUploadBegin") == ["LIMIT_REACHED"])
        .count();
    assert_eq!(refused, 5);
    let eve = app.user("Eve").await;
    let bytes = png(8);
    let (_, url) = begin(&eve, "AVATAR", bytes.len()).await;
    app.sql("UPDATE users SET status = 'SUSPENDED' WHERE display_name = 'Eve'")
        .await;
    assert_eq!(put(&eve, &url, bytes).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portfolio_is_filled_ordered_and_thinned() {
    let app = TestApp::start().await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    let provider = app.make_provider(&pro).await;
    let [a, b, c] = [
        attached(&pro).await,
        attached(&pro).await,
        attached(&pro).await,
    ];
    assert_eq!(
        portfolio(&mia, provider).await,
        [a.clone(), b.clone(), c.clone()]
    );
    let answer = pro.post(REORDER, json!({ "ids": [c, a, b] })).await;
    assert_eq!(
        answer.payload("providerMediaReorder")["portfolio"],
        json!([{ "id": c }, { "id": a }, { "id": b }])
    );
    assert_eq!(
        portfolio(&mia, provider).await,
        [c.clone(), a.clone(), b.clone()]
    );
    for (ids, code) in [
        (json!([a, a, b, c]), "INVALID_INPUT"),
        (json!([a, b]), "CONFLICT"),
        (json!([a, b, "pmd_x"]), "NOT_FOUND"),
    ] {
        let answer = pro.post(REORDER, json!({ "ids": ids })).await;
        assert_eq!(answer.user_error_codes("providerMediaReorder"), [code]);
    }
    for client in [&mia] {
        let answer = client.post(REORDER, json!({ "ids": [a, b, c] })).await;
        assert_eq!(
            answer.user_error_codes("providerMediaReorder"),
            ["NOT_ALLOWED"]
        );
        let answer = client.post(REMOVE, json!({ "id": a })).await;
        assert_eq!(
            answer.user_error_codes("providerMediaRemove"),
            ["NOT_ALLOWED"]
        );
    }
    let answer = pro
        .post(UPDATE, json!({ "id": a, "caption": " By the river " }))
        .await;
    assert_eq!(
        answer.payload("providerMediaUpdate")["providerMedia"],
        json!({ "id": a, "caption": "By the river" })
    );
    let trail =
        "audit_events WHERE action = 'provider.mediaUpdate' AND after->'changed' = '[\"caption\"]'";
    assert_eq!(app.count(trail).await, 1);
    let typed = "audit_events a WHERE a::text LIKE '%river%'";
    assert_eq!(app.count(typed).await, 0);
    for (client, id, caption, code) in [
        (&pro, &a, "two\nlines", "INVALID_INPUT"),
        (&pro, &provider.to_string(), "x", "NOT_FOUND"),
        (&mia, &a, "x", "NOT_ALLOWED"),
    ] {
        let answer = client
            .post(UPDATE, json!({ "id": id, "caption": caption }))
            .await;
        assert_eq!(answer.user_error_codes("providerMediaUpdate"), [code]);
    }
    let kept = format!("{{ node(id: \"{a}\") {{ ... on ProviderMedia {{ caption }} }} }}");
    let answer = mia.query(&kept).await;
    assert_eq!(answer.data()["node"], json!({ "caption": "By the river" }));
    pro.post(REMOVE, json!({ "id": a }))
        .await
        .payload("providerMediaRemove");
    let gone = pro.post(REMOVE, json!({ "id": a })).await;
    assert_eq!(gone.user_error_codes("providerMediaRemove"), ["NOT_FOUND"]);
    assert_eq!(portfolio(&mia, provider).await, [c, b]);
    assert_eq!(files(&app), 3);
    app.run_jobs().await;
    assert_eq!(files(&app), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_set_at_once_leave_one_whole_order() {
    let app = TestApp::start().await;
    let pro = app.user("Pro").await;
    let provider = app.make_provider(&pro).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(attached(&pro).await);
    }
    let orders: Vec<Vec<String>> = (0..4)
        .map(|turn| {
            let mut order = ids.clone();
            order.rotate_left(turn);
            order
        })
        .collect();
    for _ in 0..5 {
        let answers = join_all(
            orders
                .iter()
                .map(|ids| pro.post(REORDER, json!({ "ids": ids }))),
        )
        .await;
        for answer in &answers {
            answer.payload("providerMediaReorder");
        }
        let left = portfolio(&pro, provider).await;
        assert!(orders.contains(&left), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_attached_is_refused() {
    let app = TestApp::start().await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    app.make_provider(&pro).await;
    let (waiting, _) = begin(&pro, "PORTFOLIO", 9).await;
    let avatar = uploaded(&pro, "AVATAR").await;
    let used = uploaded(&pro, "PORTFOLIO").await;
    pro.post(ATTACH, json!({ "upload": used, "caption": "" }))
        .await
        .payload("providerMediaAttach");
    let foreign = uploaded(&mia, "PORTFOLIO").await;
    for (client, upload, caption, code) in [
        (&pro, waiting.as_str(), "", "INVALID_STATE"),
        (&pro, &avatar, "", "INVALID_INPUT"),
        (&pro, &used, "", "ALREADY_EXISTS"),
        (&pro, &foreign, "", "NOT_FOUND"),
        (&pro, "upl_x", "", "NOT_FOUND"),
        (&pro, &used, "two\nlines", "INVALID_INPUT"),
        (&mia, &foreign, "", "NOT_ALLOWED"),
    ] {
        let answer = client
            .post(ATTACH, json!({ "upload": upload, "caption": caption }))
            .await;
        assert_eq!(
            answer.user_error_codes("providerMediaAttach"),
            [code],
            "{upload} {caption}"
        );
    }
    let late = uploaded(&pro, "PORTFOLIO").await;
    app.app
        .clock
        .advance(SignedDuration::from_hours(24) + SignedDuration::from_secs(1));
    let pro = app.sign_in(pro.user_id.parse().unwrap()).await;
    let answer = pro
        .post(ATTACH, json!({ "upload": late, "caption": "" }))
        .await;
    assert_eq!(answer.user_error_codes("providerMediaAttach"), ["EXPIRED"]);
    assert_eq!(app.number("SELECT count(*) FROM provider_media").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_is_set_replaced_and_taken_off() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let first = uploaded(&mia, "AVATAR").await;
    let stolen = eve.post(AVATAR, json!({ "upload": first })).await;
    assert_eq!(stolen.user_error_codes("meUpdate"), ["NOT_FOUND"]);
    assert_eq!(
        stolen.data()["meUpdate"]["userErrors"][0]["field"],
        json!(["input", "avatarUploadId"])
    );
    let portfolio = uploaded(&mia, "PORTFOLIO").await;
    let wrong = mia.post(AVATAR, json!({ "upload": portfolio })).await;
    assert_eq!(wrong.user_error_codes("meUpdate"), ["INVALID_INPUT"]);
    let answer = mia.post(AVATAR, json!({ "upload": first })).await;
    let avatar = answer.payload("meUpdate")["me"]["user"]["avatar"].clone();
    assert_eq!(
        (&avatar["width"], &avatar["height"]),
        (&json!(8), &json!(8))
    );
    let again = mia.post(AVATAR, json!({ "upload": first })).await;
    assert_eq!(again.payload("meUpdate")["me"]["user"]["avatar"], avatar);
    let second = uploaded(&mia, "AVATAR").await;
    mia.post(AVATAR, json!({ "upload": second }))
        .await
        .payload("meUpdate");
    let old = mia
        .http()
        .get(avatar["url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(old.status(), 404);
    let answer = mia.post(AVATAR, json!({ "upload": null })).await;
    assert_eq!(
        answer.payload("meUpdate")["me"]["user"]["avatar"],
        json!(null)
    );
    app.run_jobs().await;
    // The one for a portfolio waits for its day to end.
    assert_eq!(files(&app), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_came_and_what_nobody_uses_is_removed() {
    let app = TestApp::start().await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    app.make_provider(&pro).await;
    begin(&mia, "AVATAR", 9).await;
    uploaded(&mia, "AVATAR").await;
    let avatar = uploaded(&mia, "AVATAR").await;
    mia.post(AVATAR, json!({ "upload": avatar }))
        .await
        .payload("meUpdate");
    attached(&pro).await;
    // A crash after a claim: the file is there and no picture.
    let (_, _) = begin(&pro, "PORTFOLIO", 9).await;
    app.sql(&format!(
        "UPDATE uploads SET used_at = '{}' WHERE used_at IS NULL AND purpose = 'PORTFOLIO'",
        app.now()
    ))
    .await;
    let rows = || async {
        (
            app.number("SELECT count(*) FROM uploads").await,
            app.number("SELECT count(*) FROM media").await,
        )
    };
    assert_eq!((rows().await, files(&app)), ((5, 3), 3));
    app.advance(SignedDuration::from_mins(14)).await;
    assert_eq!(rows().await, (5, 3));
    app.advance(SignedDuration::from_hours(2)).await;
    assert_eq!((rows().await, files(&app)), ((3, 3), 3));
    app.advance(SignedDuration::from_hours(24)).await;
    app.run_jobs().await;
    assert_eq!((rows().await.1, files(&app)), (2, 2));
}

/// How many files the store holds.
fn files(app: &TestApp) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return 0;
        };
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&app.app.config.media_dir)
}
