//! The job queue under what happens to it: several workers, a worker that dies, a stop in the middle, wishes made while
//! a job runs, rows that always fail.

use std::time::Duration;

use companion::{
    app::App,
    db::ids::{ProviderId, UserId},
    entropy::Entropy,
    jobs::{
        self, Kind,
        worker::{self, Pace},
    },
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use jiff::SignedDuration;
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use super::support::{
    TestApp,
    market::{Market, uuid},
};

/// A pace at which nothing but the test decides when something happens.
const PACE: Pace = Pace {
    lanes: 4,
    lease: SignedDuration::from_mins(2),
    renew: Duration::from_secs(3600),
    poll: Duration::from_millis(5),
    grace: Duration::from_secs(3600),
};

/// What a query finds of the jobs of suspended providers.
const SUSPENSIONS: &str = "jobs WHERE kind = 'CANCEL_BOOKINGS_OF_PROVIDER'";
const WAITING: &str =
    "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// A worker of a process of its own.
struct Worker {
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
}

impl Worker {
    fn start(app: &TestApp, seed: u64, pace: Pace) -> Self {
        let config = app.app.config.as_ref().clone();
        let own = App::new(config, app.app.clock.clone(), Entropy::seeded(seed)).unwrap();
        let (stop, stopped) = watch::channel(false);
        let work = tokio::spawn(worker::work_at(own, stopped, pace));
        Self { stop, work }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.work.await.unwrap();
    }
}

/// Waits until a query counts so many.
async fn until(app: &TestApp, from: &str, count: i64) {
    while app.count(from).await != count {}
}

/// Counts every lease that is given from now on, in a table `runs`.
async fn count_runs(app: &TestApp) {
    app.sql(
        "CREATE TABLE runs (kind text, dedupe_key text);
         CREATE FUNCTION count_run() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO runs VALUES (NEW.kind, NEW.dedupe_key); RETURN NULL; END $$;
         CREATE TRIGGER count_run AFTER UPDATE OF lease ON jobs FOR EACH ROW
             WHEN (NEW.lease IS NOT NULL AND NEW.lease IS DISTINCT FROM OLD.lease)
             EXECUTE FUNCTION count_run()",
    )
    .await;
}

/// Holds the row of a client, for which the job of its bookings then waits.
async fn hold(app: &TestApp, client: &str) -> AsyncPgConnection {
    let mut conn = app.conn().await;
    let id = uuid::<UserId>(client);
    conn.batch_execute(&format!(
        "BEGIN; SELECT 1 FROM users WHERE id = '{id}' FOR NO KEY UPDATE"
    ))
    .await
    .unwrap();
    conn
}

async fn release(mut conn: AsyncPgConnection) {
    conn.batch_execute("COMMIT").await.unwrap();
}

async fn set_provider(market: &Market, mutation: &str) {
    let staff = market.app.user_with_roles("Stella", &["ADMIN"]).await;
    let input = if mutation == "providerSuspend" {
        ", input: { reason: \"Complaints\" }"
    } else {
        ""
    };
    let id = &market.provider_id;
    let query = format!(
        "mutation {{ {mutation}(id: \"{id}\"{input}) {{ provider {{ id }} userErrors {{ code }} }} }}"
    );
    staff.query(&query).await.payload(mutation);
}

/// Enqueues a job that finds nothing to do.
async fn enqueue_idle(app: &TestApp, key: &str) {
    let provider = ProviderId(app.app.entropy.uuid_v7(app.now()));
    let kind = Kind::CancelBookingsOfProvider;
    let payload = json!({ "providerId": provider });
    let conn = &mut app.conn().await;
    jobs::enqueue(conn, &app.app, kind, key, &payload, app.now())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_do_each_job_once() {
    let app = TestApp::start().await;
    count_runs(&app).await;
    for number in 0..60 {
        enqueue_idle(&app, &number.to_string()).await;
    }
    let workers = [8, 9].map(|seed| Worker::start(&app, seed, PACE));
    until(&app, SUSPENSIONS, 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let runs = "runs WHERE kind = 'CANCEL_BOOKINGS_OF_PROVIDER'";
    assert_eq!(app.count(runs).await, 60);
    let keys = "(SELECT DISTINCT dedupe_key FROM runs WHERE dedupe_key <> 'sweep') keys";
    assert_eq!(app.count(keys).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_while_a_job_runs_is_done_after_it() {
    let market = Market::open().await;
    let app = &market.app;
    let before = market.requested(0).await;
    let held = hold(app, &market.client.user_id).await;
    set_provider(&market, "providerSuspend").await;
    let run = async {
        until(app, WAITING, 1).await;
        // The job has read what to call off. Back, booked once more, and out again:
        set_provider(&market, "providerReinstate").await;
        let other = app.client("Otto").await;
        let asked = market.ask(&other, market.at(60)).await;
        let late = asked.payload("bookingCreate")["booking"]["id"].clone();
        set_provider(&market, "providerSuspend").await;
        release(held).await;
        late
    };
    let ((), late) = tokio::join!(app.run_jobs(), run);
    assert_eq!(market.state(&before).await, "CANCELLED");
    assert_eq!(market.state(late.as_str().unwrap()).await, "CANCELLED");
    assert_eq!(app.count(SUSPENSIONS).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_for_later_neither_hurries_nor_hides_one_for_now() {
    let app = TestApp::start().await;
    count_runs(&app).await;
    let later = app.now() + SignedDuration::from_hours(1);
    let payload = json!({ "providerId": ProviderId(app.app.entropy.uuid_v7(app.now())) });
    for at in [later, app.now()] {
        let kind = Kind::CancelBookingsOfProvider;
        let conn = &mut app.conn().await;
        jobs::enqueue(conn, &app.app, kind, "one", &payload, at)
            .await
            .unwrap();
    }
    let runs = "runs WHERE dedupe_key = 'one'";
    app.run_jobs().await;
    assert_eq!(
        (app.count(runs).await, app.count(SUSPENSIONS).await),
        (1, 1)
    );
    app.run_jobs().await;
    assert_eq!(app.count(runs).await, 1);
    app.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(
        (app.count(runs).await, app.count(SUSPENSIONS).await),
        (2, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_of_a_worker_that_died_is_done_by_another() {
    let market = Market::open().await;
    let app = &market.app;
    let booking = market.requested(0).await;
    let held = hold(app, &market.client.user_id).await;
    set_provider(&market, "providerSuspend").await;
    let dies = Worker::start(app, 8, PACE);
    until(app, WAITING, 1).await;
    dies.work.abort();
    assert!(dies.work.await.unwrap_err().is_cancelled());
    release(held).await;
    // Its lease still runs.
    app.run_jobs().await;
    assert_eq!(app.count(SUSPENSIONS).await, 1);
    assert_eq!(market.state(&booking).await, "REQUESTED");
    app.advance(PACE.lease).await;
    assert_eq!(app.count(SUSPENSIONS).await, 0);
    assert_eq!(market.state(&booking).await, "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_keeps_its_lease() {
    let market = Market::open().await;
    let app = &market.app;
    let booking = market.requested(0).await;
    let held = hold(app, &market.client.user_id).await;
    set_provider(&market, "providerSuspend").await;
    let pace = Pace {
        renew: Duration::from_millis(5),
        ..PACE
    };
    let worker = Worker::start(app, 8, pace);
    until(app, WAITING, 1).await;
    count_runs(app).await;
    for _ in 0..3 {
        app.app.clock.advance(SignedDuration::from_secs(90));
        let until_then = app.now() + PACE.lease;
        let renewed = format!("{SUSPENSIONS} AND locked_until = '{until_then}'");
        until(app, &renewed, 1).await;
        app.run_jobs().await;
    }
    let runs = "runs WHERE kind = 'CANCEL_BOOKINGS_OF_PROVIDER'";
    assert_eq!(app.count(runs).await, 0);
    release(held).await;
    until(app, SUSPENSIONS, 0).await;
    worker.stop().await;
    assert_eq!(market.state(&booking).await, "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_takes_no_more_jobs_and_puts_back_what_does_not_end() {
    let market = Market::open().await;
    let app = &market.app;
    let booking = market.requested(0).await;
    let held = hold(app, &market.client.user_id).await;
    set_provider(&market, "providerSuspend").await;
    let pace = Pace {
        lanes: 1,
        grace: Duration::ZERO,
        ..PACE
    };
    let worker = Worker::start(app, 8, pace);
    until(app, WAITING, 1).await;
    enqueue_idle(app, "next").await;
    worker.stop().await;
    // Both are as if they had not been touched.
    let fresh =
        format!("{SUSPENSIONS} AND lease IS NULL AND locked_until IS NULL AND attempts = 0");
    assert_eq!(app.count(&fresh).await, 2);
    release(held).await;
    app.run_jobs().await;
    assert_eq!(app.count(SUSPENSIONS).await, 0);
    assert_eq!(market.state(&booking).await, "CANCELLED");
}

/// Lets every change of this booking fail, as a fault of ours would.
async fn poison(app: &TestApp, booking: &str) {
    let id = uuid::<companion::db::ids::BookingId>(booking);
    app.sql(&format!(
        "CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$;
         CREATE TRIGGER poisoned BEFORE UPDATE ON bookings FOR EACH ROW
             WHEN (OLD.id = '{id}') EXECUTE FUNCTION poisoned()"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_always_fails_keeps_no_other_from_its_turn() {
    let market = Market::open().await;
    let app = &market.app;
    let mut ids = Vec::new();
    for minutes in [0, 60, 120] {
        ids.push(market.requested(minutes).await);
    }
    poison(app, &ids[0]).await;
    app.advance(SignedDuration::from_hours(25)).await;
    let expired = "bookings WHERE state = 'EXPIRED'";
    assert_eq!(app.count(expired).await, 2);
    // The sweep has not failed, and comes back in its rhythm.
    let sweep = "jobs WHERE kind = 'EXPIRE_BOOKINGS' AND attempts = 0 AND last_error IS NULL";
    assert_eq!(app.count(sweep).await, 1);
    app.sql("DROP TRIGGER poisoned ON bookings").await;
    app.advance(SignedDuration::from_mins(1)).await;
    assert_eq!(app.count(expired).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_always_fails_is_parked_and_done_once_it_can_be() {
    let market = Market::open().await;
    let app = &market.app;
    let mut ids = Vec::new();
    for minutes in [0, 60] {
        ids.push(market.requested(minutes).await);
    }
    poison(app, &ids[0]).await;
    set_provider(&market, "providerSuspend").await;
    app.run_jobs().await;
    assert_eq!(market.state(&ids[0]).await, "REQUESTED");
    assert_eq!(market.state(&ids[1]).await, "CANCELLED");
    let again = |seconds: i64| {
        let at = app.now() + SignedDuration::from_secs(seconds);
        format!("{SUSPENSIONS} AND last_error IS NOT NULL AND run_at = '{at}'")
    };
    assert_eq!(app.count(&again(2)).await, 1);
    app.sql("UPDATE jobs SET attempts = 98 WHERE kind = 'CANCEL_BOOKINGS_OF_PROVIDER'")
        .await;
    app.advance(SignedDuration::from_secs(2)).await;
    assert_eq!(app.count(&again(15 * 60)).await, 1);
    app.advance(SignedDuration::from_mins(15)).await;
    assert_eq!(app.count(&again(24 * 3600)).await, 1);
    // Another wish of the kind does not wait for the day to end.
    app.sql("DROP TRIGGER poisoned ON bookings").await;
    set_provider(&market, "providerReinstate").await;
    set_provider(&market, "providerSuspend").await;
    app.run_jobs().await;
    assert_eq!(market.state(&ids[0]).await, "CANCELLED");
    assert_eq!(
        app.count(&format!("{SUSPENSIONS} AND run_at <= '{}'", app.now()))
            .await,
        0
    );
}
