//! What each operation costs: its exact number of SQL statements (`BEGIN` and `COMMIT` don't count). Every field of `Query`
//! and `Mutation` is counted here.

use std::collections::BTreeSet;

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use companion::integrations::telegram;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::support::{Client, TestApp, market::Market};

/// What was counted, and what did not cost what it should.
#[derive(Default)]
struct Ledger {
    counted: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Ledger {
    /// A field of `Query` with its selection; each `$` of it stands for the next value, quoted. Answers the field.
    async fn query(&mut self, cost: u32, client: &Client, field: &str, values: &[&str]) -> Value {
        let field = fill(field, values);
        let answer = client.query(&format!("{{ {field} }}")).await;
        let value = answer.data()[name(&field)].clone();
        assert!(!value.is_null(), "{field}");
        self.write(cost, answer.statements, &field);
        value
    }

    /// A field of `Mutation` with what is selected of its payload; answers the payload, which has no user errors.
    async fn mutation(
        &mut self,
        cost: u32,
        client: &Client,
        field: &str,
        values: &[&str],
    ) -> Value {
        let field = fill(field, values);
        let selected = field.strip_suffix('}').unwrap();
        let query = format!("mutation {{ {selected} userErrors {{ code field }} }} }}");
        let answer = client.query(&query).await;
        let payload = answer.payload(name(&field)).clone();
        self.write(cost, answer.statements, &field);
        payload
    }

    fn write(&mut self, cost: u32, statements: u32, field: &str) {
        self.counted.insert(name(field).to_owned());
        if statements != cost {
            self.wrong
                .push(format!("{statements} instead of {cost}: {field}"));
        }
    }
}

fn fill(template: &str, values: &[&str]) -> String {
    let mut parts = template.split('$');
    let mut filled = parts.next().unwrap().to_owned();
    let mut values = values.iter();
    for part in parts {
        let value = values.next().expect("a value for each `$`");
        filled.push_str(&format!("\"{value}\"{part}"));
    }
    assert!(values.next().is_none(), "{template}");
    filled
}

fn name(field: &str) -> &str {
    let end = field.find(|character: char| !character.is_alphanumeric());
    &field[..end.unwrap_or(field.len())]
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

fn roots() -> BTreeSet<String> {
    let sdl = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let sdl = std::fs::read_to_string(sdl).unwrap();
    let mut fields = BTreeSet::new();
    for definition in parse_schema(sdl).unwrap().definitions {
        if let TypeSystemDefinition::Type(ty) = definition
            && let TypeKind::Object(object) = ty.node.kind
            && ["Query", "Mutation"].contains(&ty.node.name.node.as_str())
        {
            fields.extend(object.fields.iter().map(|it| it.node.name.node.to_string()));
        }
    }
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_has_its_number_of_statements() {
    let mut ledger = Ledger::default();
    accounts(&mut ledger).await;
    catalog_and_providers(&mut ledger).await;
    media(&mut ledger).await;
    times_and_bookings(&mut ledger).await;
    orders(&mut ledger).await;
    reviews_and_safety(&mut ledger).await;
    access_control(&mut ledger).await;
    reading(&mut ledger).await;
    assert!(ledger.wrong.is_empty(), "{}", ledger.wrong.join("\n"));
    assert_eq!(
        ledger.counted,
        roots(),
        "fields that nobody counts, or that are gone"
    );
}

const BOT: &str = "123456:test-bot-token-of-this-suite";

fn init_data(app: &TestApp, id: i64) -> String {
    let user = json!({ "id": id, "first_name": "Mia" }).to_string();
    let data = telegram::sign(&user, &SecretString::from(BOT), app.now(), &[]).unwrap();
    data.replace('"', "\\\"")
}

async fn accounts(ledger: &mut Ledger) {
    let app = TestApp::start_with(|config| {
        config.telegram_bot_tokens = vec![SecretString::from(BOT)];
    })
    .await;
    let data = init_data(&app, 42);
    let anyone = app.anonymous();
    let sign_in = "authTelegram(initData: $) { accessToken refreshToken user { id } }";
    ledger.mutation(7, &anyone, sign_in, &[&data]).await;
    // The second time the account is there.
    let signed_in = ledger.mutation(4, &anyone, sign_in, &[&data]).await;
    let refresh = "authRefresh(refreshToken: $) { refreshToken }";
    let token = text(&signed_in["refreshToken"]);
    let fresh = ledger.mutation(8, &anyone, refresh, &[&token]).await;
    // Within the grace it is the same again.
    ledger.mutation(6, &anyone, refresh, &[&token]).await;

    let mut mia = anyone.with_token(&text(&signed_in["accessToken"]));
    mia.user_id = text(&signed_in["user"]["id"]);
    app.settle(&[&mia]).await;
    let update =
        "meUpdate(input: { displayName: $ }) { me { user { displayName } city { name } } }";
    ledger.mutation(3, &mia, update, &["Mia M."]).await;
    let me =
        "me { user { id displayName avatar { url } } city { name } username language version }";
    ledger.query(1, &mia, me, &[]).await;
    let sessions = "me { sessions { nodes { id isCurrent lastUsedAt } totalCount } }";
    let sessions = ledger.query(3, &mia, sessions, &[]).await;
    let nodes = sessions["sessions"]["nodes"].as_array().unwrap();
    let other = nodes.iter().find(|node| node["isCurrent"] == false);
    let revoke = "sessionRevoke(id: $) { session { id } }";
    ledger
        .mutation(3, &mia, revoke, &[&text(&other.unwrap()["id"])])
        .await;
    by_email(ledger, &app).await;
    let logout = "authLogout(refreshToken: $) { loggedOut }";
    ledger
        .mutation(4, &anyone, logout, &[&text(&fresh["refreshToken"])])
        .await;
}

async fn by_email(ledger: &mut Ledger, app: &TestApp) {
    let anyone = app.anonymous();
    let (email, password) = ("zoe@example.org", "a good password");
    let register = "authRegister(input: { email: $, password: $, displayName: $ }) { emailSent }";
    let values = [email, password, "Zoe"];
    ledger.mutation(7, &anyone, register, &values).await;
    app.run_jobs().await;
    let code = app.mailed_code();
    let verify = "emailVerify(email: $, code: $, password: $) { accessToken }";
    let values = [email, &code, password];
    ledger.mutation(9, &anyone, verify, &values).await;
    let login = "authLogin(login: $, password: $) { accessToken user { id } }";
    let signed_in = ledger.mutation(5, &anyone, login, &[email, password]).await;
    let mut zoe = anyone.with_token(&text(&signed_in["accessToken"]));
    zoe.user_id = text(&signed_in["user"]["id"]);
    app.settle(&[&zoe]).await;
    let change = "passwordChange(input: { currentPassword: $, newPassword: $ }) { me { id } }";
    let values = [password, "another password"];
    ledger.mutation(6, &zoe, change, &values).await;
    let link = "accountLinkTelegram(initData: $) { user { id } }";
    ledger.mutation(8, &zoe, link, &[&init_data(app, 77)]).await;
    let bob = app.user("Bob").await;
    app.settle(&[&bob]).await;
    let send = "emailCodeSend(email: $, purpose: LINK) { emailSent }";
    ledger.mutation(9, &bob, send, &["bob@example.org"]).await;
    app.run_jobs().await;
    let link = "accountLinkEmail(email: $, code: $) { user { id } }";
    let values = ["bob@example.org", &app.mailed_code()];
    ledger.mutation(9, &bob, link, &values).await;
    app.app.clock.advance(SignedDuration::from_mins(2));
    let send = "emailCodeSend(email: $, purpose: PASSWORD_RESET) { emailSent }";
    ledger.mutation(7, &anyone, send, &[email]).await;
    app.run_jobs().await;
    let code = app.mailed_code();
    let reset = "passwordReset(email: $, code: $, newPassword: $) { accessToken }";
    let values = [email, &code, "a third password"];
    ledger.mutation(12, &anyone, reset, &values).await;
}

async fn catalog_and_providers(ledger: &mut Ledger) {
    let app = TestApp::start().await;
    let staff = app.user_with_roles("Ada", &["USER", "ADMIN"]).await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    app.settle(&[&staff, &mia, &eve]).await;
    let categories = ledger
        .query(1, &mia, "categories { id slug title }", &[])
        .await;
    let category = text(&categories[0]["id"]);
    let cities = ledger.query(1, &mia, "cities { id slug name }", &[]).await;
    let city = text(&cities[0]["id"]);
    let create = "serviceCreate(input: { categoryId: $, title: $ }) { service { id title category { title } } }";
    let made = ledger
        .mutation(3, &staff, create, &[&category, "Walk"])
        .await;
    let walk = text(&made["service"]["id"]);
    let update =
        "serviceUpdate(id: $, input: { title: $ }) { service { title category { title } } }";
    ledger
        .mutation(4, &staff, update, &[&walk, "City walk"])
        .await;
    let one = "service(id: $) { id title category { title } }";
    ledger.query(2, &mia, one, &[&walk]).await;
    let all = "services(filter: { text: $ }) { nodes { id title category { title } } totalCount }";
    ledger.query(3, &mia, all, &["walk"]).await;

    let apply = "providerApply(input: { displayName: $, cityId: $ }) { provider { id status city { name } user { displayName } } }";
    let applied = ledger.mutation(7, &mia, apply, &["Mia", &city]).await;
    let id = text(&applied["provider"]["id"]);
    let withdraw = "providerApplicationWithdraw(id: $) { provider { id status } }";
    ledger.mutation(4, &mia, withdraw, &[&id]).await;
    ledger.mutation(7, &mia, apply, &["Mia", &city]).await;
    ledger.mutation(7, &eve, apply, &["Eve", &city]).await;
    let waiting = "providerApplications { nodes { id status user { displayName } city { name } } totalCount }";
    ledger.query(4, &staff, waiting, &[]).await;
    let review =
        "providerApplicationReview(id: $, input: { decision: APPROVE }) { provider { id status } }";
    ledger.mutation(5, &staff, review, &[&id]).await;
    // Mia has another role now, which is read anew.
    app.settle(&[&mia, &staff]).await;
    let update =
        "providerUpdate(id: $, input: { headline: $ }) { provider { headline city { name } } }";
    ledger.mutation(5, &mia, update, &[&id, "Hello"]).await;
    let price = "providerServicePricingSet(serviceId: $, input: { amountMinor: 5000, currency: \"EUR\", durationMinutes: 60 })
        { providerService { id price { amountMinor } service { title } } }";
    ledger.mutation(5, &mia, price, &[&walk]).await;
    let suspend = "providerSuspend(id: $, input: { reason: $ }) { provider { id status } }";
    ledger.mutation(6, &staff, suspend, &[&id, "x"]).await;
    let reinstate = "providerReinstate(id: $) { provider { id status } }";
    ledger.mutation(5, &staff, reinstate, &[&id]).await;
    let archive = "serviceArchive(id: $) { service { id status } }";
    ledger.mutation(3, &staff, archive, &[&walk]).await;
}

async fn media(ledger: &mut Ledger) {
    let market = Market::open().await;
    let pia = &market.provider;
    market.app.settle(&[pia]).await;
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8)
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    let png = png.into_inner();
    let mut items = Vec::new();
    for caption in ["One", "Two"] {
        let begin = format!(
            "mediaUploadBegin(input: {{ purpose: PORTFOLIO, byteSize: {} }}) {{ upload {{ id url }} }}",
            png.len()
        );
        let begun = ledger.mutation(4, pia, &begin, &[]).await;
        let url = text(&begun["upload"]["url"]);
        let sent = pia.http().put(url).body(png.clone()).send().await.unwrap();
        assert_eq!(sent.status(), 201);
        let attach = "providerMediaAttach(uploadId: $, input: { caption: $ }) { providerMedia { id caption media { url } } }";
        let id = text(&begun["upload"]["id"]);
        let attached = ledger.mutation(6, pia, attach, &[&id, caption]).await;
        items.push(text(&attached["providerMedia"]["id"]));
    }
    let update = "providerMediaUpdate(id: $, input: { caption: $ }) { providerMedia { caption media { url } } }";
    ledger.mutation(4, pia, update, &[&items[0], "Uno"]).await;
    let reorder = "providerMediaReorder(ids: [$, $]) { portfolio { id } }";
    ledger
        .mutation(4, pia, reorder, &[&items[1], &items[0]])
        .await;
    let shown = "provider(id: $) { media { caption media { url width } } }";
    ledger.query(2, pia, shown, &[&market.provider_id]).await;
    let remove = "providerMediaRemove(id: $) { providerMedia { id } }";
    ledger.mutation(5, pia, remove, &[&items[0]]).await;
}

async fn times_and_bookings(ledger: &mut Ledger) {
    // Free, so that accepting confirms.
    let market = Market::open_with("FLEXIBLE", 0).await;
    let (app, pia, cleo) = (&market.app, &market.provider, &market.client);
    app.settle(&[pia, cleo]).await;
    let (profile, service) = (market.provider_id.as_str(), market.service_id.as_str());
    let at = |minutes| market.at(minutes).to_string();

    let windows = "availabilitiesCreate(input: { windows: [ { startsAt: $, endsAt: $ }, { startsAt: $, endsAt: $ } ] })
        { availabilities { id } }";
    let made = ledger
        .mutation(4, pia, windows, &[&at(600), &at(660), &at(660), &at(720)])
        .await;
    let window = text(&made["availabilities"][0]["id"]);
    let delete = "availabilityDelete(id: $) { deletedId }";
    ledger.mutation(5, pia, delete, &[&window]).await;

    let create =
        "bookingCreate(input: { providerId: $, serviceId: $, startsAt: $ }, idempotencyKey: $)
        { booking { id state price { amountMinor } } }";
    let mut ids = Vec::new();
    // Key (2), client, provider, block, price, rules, overdue, window, clash, booking, time, event, audit, key.
    for (cost, minutes, key) in [
        (15, 0, "a"),
        (3, 0, "a"),
        (15, 60, "b"),
        (15, 120, "c"),
        (15, 180, "d"),
    ] {
        let values = [profile, service, &at(minutes), key];
        let made = ledger.mutation(cost, cleo, create, &values).await;
        ids.push(text(&made["booking"]["id"]));
    }
    let [first, _, second, third, fourth] = [0, 1, 2, 3, 4].map(|index| ids[index].as_str());
    let accept = "bookingAccept(id: $, expectedVersion: 1) { booking { id state } }";
    // The booking, its change, its event, the audit row.
    ledger.mutation(4, pia, accept, &[first]).await;
    ledger.mutation(4, pia, accept, &[second]).await;
    let reject = "bookingReject(id: $, input: { reason: $ }) { booking { id state } }";
    ledger.mutation(5, pia, reject, &[third, "x"]).await;
    let quote =
        "bookingCancelQuote(id: $) { refundPercent refund { amountMinor } fee { amountMinor } }";
    ledger.query(1, cleo, quote, &[fourth]).await;
    let cancel = "bookingCancel(id: $, input: {}, idempotencyKey: $) { booking { id state } }";
    ledger.mutation(8, cleo, cancel, &[fourth, "e"]).await;
    let move_it = "bookingReschedule(id: $, input: { startsAt: $ }, idempotencyKey: $) { booking { id proposal { state } } }";
    ledger
        .mutation(18, cleo, move_it, &[first, &at(240), "f"])
        .await;
    let answer = "bookingRescheduleAnswer(id: $, input: { accept: true }, idempotencyKey: $) { booking { id startsAt } }";
    ledger.mutation(14, pia, answer, &[first, "g"]).await;
    app.app.clock.set(market.at(120));
    let complete = "bookingComplete(id: $) { booking { id state } }";
    ledger.mutation(6, cleo, complete, &[second]).await;
    app.app.clock.set(market.at(260));
    let absent = "bookingNoShow(id: $, input: {}) { booking { id absentSide } }";
    ledger.mutation(10, cleo, absent, &[first]).await;
    ledger.mutation(7, pia, absent, &[first]).await;
    let staff = &market.staff;
    app.settle(&[staff]).await;
    // The booking, its change, its event, the audit row.
    let clear =
        "bookingAttentionClear(id: $, input: { note: $ }) { booking { id needsAttention } }";
    ledger.mutation(4, staff, clear, &[first, "x"]).await;
}

async fn orders(ledger: &mut Ledger) {
    let market = Market::open().await;
    let (app, cleo) = (&market.app, &market.client);
    let staff = app.user_with_roles("Ada", &["USER", "ADMIN"]).await;
    let booking = market.accepted(0).await;
    app.settle(&[cleo, &staff]).await;

    let create =
        "orderCreate(bookingId: $, idempotencyKey: $) { order { id state total { amountMinor } } }";
    let made = ledger.mutation(9, cleo, create, &[&booking, "a"]).await;
    let order = text(&made["order"]["id"]);
    let back = format!("{}/health/live", app.base_url);
    let checkout =
        "checkoutCreate(orderId: $, input: { successUrl: $, cancelUrl: $ }, idempotencyKey: $)
        { checkout { id state url } }";
    let values = [order.as_str(), &back, &back, "b"];
    let opened = ledger.mutation(21, cleo, checkout, &values).await;
    let page = text(&opened["checkout"]["url"]);
    let pressed = cleo.http().post(page).form(&[("action", "pay")]);
    pressed.send().await.unwrap();

    let selection =
        "{ id state booking { id } client { displayName } lines { title } captured { amountMinor }
        refunds { state } checkout { state } }";
    ledger
        .query(6, cleo, &format!("order(id: $) {selection}"), &[&order])
        .await;
    let list = format!("orders(first: 5) {{ nodes {selection} totalCount }}");
    let paid = ledger.query(7, &staff, &list, &[]).await;
    assert_eq!(paid["nodes"][0]["state"], "PAID");
    let mine = format!("me {{ orders(first: 5) {{ nodes {selection} totalCount }} }}");
    ledger.query(7, cleo, &mine, &[]).await;
    let quote = "bookingCancelQuote(id: $) { refund { amountMinor } fee { amountMinor } }";
    ledger.query(2, cleo, quote, &[&booking]).await;
    let refund =
        "refundCreate(orderId: $, input: { amountMinor: 1000, reason: $ }, idempotencyKey: $)
        { refund { id state amount { amountMinor } } }";
    ledger
        .mutation(17, &staff, refund, &[&order, "x", "c"])
        .await;
    // What is left of the payment goes back.
    let cancel = "bookingCancel(id: $, input: {}, idempotencyKey: $) { booking { id state } }";
    ledger.mutation(22, cleo, cancel, &[&booking, "d"]).await;
    // An event that the payment service did not send by this server.
    let now = app.now();
    let flag = format!(
        r#"INSERT INTO payment_events (id, kind, order_id, mismatch, raw_body, created_at, received_at)
               SELECT 'evt_x', 'charge.refunded', id, 'livemode', convert_to('{{"id":"evt_x","type":"charge.refunded",
                   "created":1,"livemode":true,"data":{{"object":{{}}}}}}', 'UTF8'), '{now}', '{now}' FROM orders;
           UPDATE orders SET needs_attention = 'events that do not agree with the order: 1 (livemode)'"#
    );
    app.sql(&flag).await;
    let clear = "orderAttentionClear(id: $, input: { note: $ }) { order { id needsAttention } }";
    // The order, its refunds, events and checkouts, the order's change, the audit row.
    ledger.mutation(6, &staff, clear, &[&order, "x"]).await;
}

async fn reviews_and_safety(ledger: &mut Ledger) {
    let app = TestApp::start().await;
    let staff = app.user_with_roles("Ada", &["USER", "ADMIN"]).await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    let provider = app.make_provider(&pro).await;
    let booking = app.make_completed(provider, &mia).await.to_string();
    app.settle(&[&staff, &mia, &pro]).await;

    let create = "reviewCreate(bookingId: $, input: { rating: 5, comment: $ }) { review { id author { displayName } } }";
    let made = ledger.mutation(8, &mia, create, &[&booking, "Good"]).await;
    let review = text(&made["review"]["id"]);
    let reply = "reviewReply(id: $, input: { reply: $ }) { review { id reply } }";
    ledger.mutation(5, &pro, reply, &[&review, "Thanks"]).await;
    let moderate =
        "reviewModerate(id: $, input: { visible: false, reason: $ }) { review { id visible } }";
    ledger.mutation(6, &staff, moderate, &[&review, "x"]).await;
    let again = "reviewModerate(id: $, input: { visible: true }) { review { id visible } }";
    ledger.mutation(6, &staff, again, &[&review]).await;
    let list = "reviews(of: $) { nodes { rating author { displayName } provider { displayName } booking { id } } totalCount }";
    ledger.query(6, &mia, list, &[&provider.to_string()]).await;

    ledger
        .query(1, &mia, "boundaryPolicy { version text acknowledged }", &[])
        .await;
    let acknowledge = "boundaryAcknowledge(version: 1) { boundaryPolicy { acknowledged } }";
    ledger.mutation(3, &mia, acknowledge, &[]).await;
    let publish = "boundaryPolicyPublish(input: { text: $ }) { boundaryPolicy { version } }";
    ledger.mutation(3, &staff, publish, &["New rules"]).await;

    let report = "reportCreate(input: { reason: SPAM, target: { userId: $ } }) { report { id user { displayName } } }";
    let made = ledger.mutation(4, &mia, report, &[&pro.user_id]).await;
    let of_booking = "reportCreate(input: { reason: SPAM, target: { bookingId: $ } }) { report { id booking { id } } }";
    ledger.mutation(4, &mia, of_booking, &[&booking]).await;
    let of_review = "reportCreate(input: { reason: SPAM, target: { reviewId: $ } }) { report { id review { id } } }";
    ledger.mutation(4, &pro, of_review, &[&review]).await;
    let queue = "reports { nodes { id reporter { displayName } user { displayName } booking { id } review { rating } } totalCount }";
    ledger.query(5, &staff, queue, &[]).await;
    let resolve = "reportResolve(id: $, input: { decision: DISMISSED, resolution: $ }) { report { id state resolvedBy { displayName } } }";
    let values = [&*text(&made["report"]["id"]), "Nothing"];
    ledger.mutation(4, &staff, resolve, &values).await;
    let mine = "me { reports { nodes { id state user { displayName } } totalCount } }";
    ledger.query(4, &mia, mine, &[]).await;

    let block = "userBlock(userId: $) { block { createdAt user { displayName } } }";
    ledger.mutation(6, &mia, block, &[&pro.user_id]).await;
    let blocks = "me { blocks { nodes { createdAt user { displayName } } totalCount } }";
    ledger.query(4, &mia, blocks, &[]).await;
    let unblock = "userUnblock(userId: $) { user { displayName } }";
    ledger.mutation(4, &mia, unblock, &[&pro.user_id]).await;
}

async fn access_control(ledger: &mut Ledger) {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    app.settle(&[&admin]).await;
    let permission = "permissionCreate(input: { name: $ }) { permission { id name } }";
    let made = ledger.mutation(2, &admin, permission, &["pets:read"]).await;
    let permission = text(&made["permission"]["id"]);
    let one = "permission(id: $) { id name description builtIn }";
    ledger.query(1, &admin, one, &[&permission]).await;
    let all = "permissions { nodes { id name } totalCount }";
    ledger.query(2, &admin, all, &[]).await;

    let role = "roleCreate(input: { name: $ }) { role { id name } }";
    let made = ledger.mutation(2, &admin, role, &["KEEPERS"]).await;
    let role = text(&made["role"]["id"]);
    let update = "roleUpdate(id: $, input: { description: $ }) { role { id version } }";
    ledger.mutation(6, &admin, update, &[&role, "x"]).await;
    // The lock, the role, what is wanted and granted, the viewer's rights, taking, giving, the role, what it grants now.
    let set = "rolePermissionsSet(id: $, input: { permissionIds: [$] }) { role { permissions { name } } }";
    ledger
        .mutation(11, &admin, set, &[&role, &permission])
        .await;
    app.settle(&[&admin]).await;
    let one = "role(id: $) { name permissions { name } }";
    ledger.query(2, &admin, one, &[&role]).await;
    let all = "roles { nodes { name permissions { name } } totalCount }";
    ledger.query(3, &admin, all, &[]).await;
    let give =
        "userRolesSet(userId: $, input: { roleIds: [$] }) { user { account { roles { name } } } }";
    ledger
        .mutation(13, &admin, give, &[&mia.user_id, &role])
        .await;
    let take = "userRolesSet(userId: $, input: { roleIds: [] }) { user { id } }";
    ledger.mutation(12, &admin, take, &[&mia.user_id]).await;
    app.settle(&[&admin]).await;
    let delete = "roleDelete(id: $) { role { name } }";
    ledger.mutation(7, &admin, delete, &[&role]).await;
    app.settle(&[&admin]).await;
    let delete = "permissionDelete(id: $) { permission { name } }";
    ledger.mutation(5, &admin, delete, &[&permission]).await;

    let create =
        "userCreate(input: { displayName: $, email: $ }) { user { id account { email } } }";
    let made = ledger
        .mutation(3, &admin, create, &["Zoe", "zoe@example.org"])
        .await;
    let zoe = text(&made["user"]["id"]);
    let one = "user(id: $) { displayName account { email status city { name } roles { name } } }";
    ledger.query(2, &admin, one, &[&zoe]).await;
    let all = "users(filter: { text: $ }) { nodes { displayName account { status roles { name } } } totalCount }";
    ledger.query(3, &admin, all, &["mia"]).await;
    let update = "userUpdate(id: $, input: { displayName: $ }) { user { displayName } }";
    ledger.mutation(6, &admin, update, &[&zoe, "Zoe Z."]).await;
    let suspend = "userStatusSet(id: $, input: { decision: SUSPEND, reason: $ }) { user { id } }";
    ledger.mutation(9, &admin, suspend, &[&zoe, "x"]).await;
    let one = "userDelete(id: $) { user { displayName } }";
    ledger.mutation(20, &admin, one, &[&zoe]).await;
    let both = "usersDelete(ids: [$, $]) { users { displayName } }";
    ledger
        .mutation(33, &admin, both, &[&mia.user_id, &eve.user_id])
        .await;
    let trail = "auditEvents(filter: { action: $ }) { nodes { actor { displayName } action targetId after } totalCount }";
    ledger.query(3, &admin, trail, &["user.delete"]).await;
}

/// Every edge costs one statement however many rows are above it.
async fn reading(ledger: &mut Ledger) {
    let market = Market::open().await;
    let (app, pia, cleo, staff) = (&market.app, &market.provider, &market.client, &market.staff);
    let profile = market.provider_id.as_str();
    let mut bookings = Vec::new();
    for minutes in [0, 60, 120] {
        bookings.push(market.requested(minutes).await);
    }
    let done = app.make_completed(profile.parse().unwrap(), cleo).await;
    let query = format!(
        "mutation {{ reviewCreate(bookingId: \"{done}\", input: {{ rating: 4 }}) {{ review {{ id }} userErrors {{ code }} }} }}"
    );
    let reviewed = cleo.query(&query).await;
    let review = text(&reviewed.payload("reviewCreate")["review"]["id"]);
    app.settle(&[pia, cleo, staff]).await;

    let (from, to) = (app.now(), app.now() + SignedDuration::from_hours(72));
    let (from, to) = (from.to_string(), to.to_string());
    let service = market.service_id.as_str();
    // The provider, its person, city, prices with services, pictures, reviews with authors, completed bookings, the
    // distribution of its ratings, windows, and for its slots the price and what is taken.
    let one = "provider(id: $) { displayName user { displayName } city { name }
        services { price { amountMinor } service { title } } media { media { url } }
        reviews(first: 3) { nodes { rating author { displayName } } totalCount }
        stats { completedBookings ratingAverage ratingDistribution { rating count } }
        availabilities(from: $, to: $) { startsAt } slots(serviceId: $, from: $, to: $) { startsAt } }";
    let values = [profile, &from, &to, service, &from, &to];
    ledger.query(14, cleo, one, &values).await;
    let many = one.replace("provider(id: $) {", "providers(first: 5) { nodes {") + " totalCount }";
    ledger.query(15, cleo, &many, &values[1..]).await;

    // The bookings, their clients, providers, services, histories, proposals, orders and reviews.
    let selection = "{ id state client { displayName } provider { displayName } service { title } events { action }
        proposal { state } viewerActions { action allowed } order { id } review { rating } }";
    for (cost, client, field) in [
        (
            8,
            staff,
            format!("bookings(first: 5) {{ nodes {selection} }}"),
        ),
        (
            9,
            staff,
            format!(
                "bookings(first: 5, filter: {{ states: [REQUESTED, EXPIRED] }}) {{ totalCount nodes {selection} }}"
            ),
        ),
        (
            8,
            cleo,
            format!("me {{ bookings(first: 5) {{ nodes {selection} }} }}"),
        ),
        (
            10,
            pia,
            format!("me {{ provider {{ bookings(first: 5) {{ nodes {selection} }} }} }}"),
        ),
        (
            8,
            cleo,
            format!("booking(id: \"{}\") {selection}", bookings[0]),
        ),
    ] {
        ledger.query(cost, client, &field, &[]).await;
    }

    let node = "node(id: $) { id ... on Provider { displayName } ... on Booking { state } ... on User { displayName } }";
    ledger.query(1, cleo, node, &[profile]).await;
    let three = [&*bookings[0], &bookings[1], &bookings[2]];
    let nodes = "nodes(ids: [$, $, $]) { id ... on Booking { state } }";
    ledger.query(1, cleo, nodes, &three).await;
    let kinds = [profile, service, &bookings[0], &review, &cleo.user_id];
    let nodes = "nodes(ids: [$, $, $, $, $]) { id __typename }";
    ledger.query(5, cleo, nodes, &kinds).await;
}
