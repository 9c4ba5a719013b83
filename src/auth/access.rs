//! Sessions and rights without a query per request (rule 17): a cache that LISTEN keeps fresh.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use diesel::{
    QueryableByName,
    sql_types::{Array, Bool, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use moka::sync::Cache;

use super::{permissions::PermissionSet, viewer::SignedIn};
use crate::{
    db::{
        Db,
        ids::{SessionId, UserId},
        listen::Listener,
    },
    error::Result,
};

/// Sessions kept at most; one costs about 300 bytes.
const CAPACITY: u64 = 100_000;

/// What the database says of live sessions, as fresh as a second.
pub struct AccessCache {
    sessions: Cache<SessionId, Arc<SignedIn>>,
    /// Counts what was heard, so that an answer which was overtaken by a change is not kept.
    changes: Arc<AtomicU64>,
    listener: Listener,
}

#[derive(QueryableByName)]
struct AccessRow {
    #[diesel(sql_type = SqlUuid)]
    user_id: UserId,
    #[diesel(sql_type = Bool)]
    live: bool,
    #[diesel(sql_type = Array<Text>)]
    permissions: Vec<String>,
}

const ACCESS: &str = "
    SELECT s.user_id,
           s.revoked_at IS NULL AND u.status = 'ACTIVE' AS live,
           ARRAY(SELECT DISTINCT p.name FROM user_roles ur
                 JOIN role_permissions rp USING (role_id) JOIN permissions p ON p.id = rp.permission_id
                 WHERE ur.user_id = s.user_id) AS permissions
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = $1";

async fn load(
    mut conn: &AsyncPgConnection,
    session: SessionId,
) -> diesel::QueryResult<Option<AccessRow>> {
    use diesel::OptionalExtension;
    diesel::sql_query(ACCESS)
        .bind::<SqlUuid, _>(session)
        .get_result(&mut conn)
        .await
        .optional()
}

impl AccessCache {
    /// Starts to listen on the database at `url`.
    pub fn start(url: String) -> Self {
        let sessions: Cache<SessionId, Arc<SignedIn>> = Cache::builder()
            .max_capacity(CAPACITY)
            .support_invalidation_closures()
            .build();
        let changes = Arc::new(AtomicU64::new(0));
        let (ended, missed) = (sessions.clone(), sessions.clone());
        let (heard, gaps) = (changes.clone(), changes.clone());
        let listener = Listener::start(
            url,
            "access_changed",
            move |payload| {
                heard.fetch_add(1, SeqCst);
                forget(&ended, payload);
            },
            move || {
                gaps.fetch_add(1, SeqCst);
                missed.invalidate_all();
            },
        );
        Self {
            sessions,
            changes,
            listener,
        }
    }

    /// The person of this live session; nothing when it was ended or the person is not active.
    ///
    /// While the database has not been heard for a second, each call asks it: `UNAVAILABLE` when it does not answer.
    pub async fn of(
        &self,
        db: &Db,
        session: SessionId,
        user: UserId,
    ) -> Result<Option<Arc<SignedIn>>> {
        let fresh = self.listener.freshness().is_fresh();
        if fresh && let Some(known) = self.sessions.get(&session) {
            return Ok((known.user_id == user).then_some(known));
        }
        let changes = AtomicU64::load(&self.changes, SeqCst);
        let conn = db.reader().await?;
        let row = conn.timed(load(&conn, session)).await?;
        drop(conn);
        let Some(row) = row.filter(|row| row.live && row.user_id == user) else {
            return Ok(None);
        };
        let signed_in = Arc::new(SignedIn {
            user_id: row.user_id,
            session_id: session,
            permissions: PermissionSet::from_names(row.permissions.iter().map(String::as_str)),
        });
        if fresh {
            self.sessions.insert(session, signed_in.clone());
            if AtomicU64::load(&self.changes, SeqCst) != changes {
                self.sessions.invalidate(&session);
            }
        }
        Ok(Some(signed_in))
    }

    /// Waits until the database's messages arrive, all that were sent before this call: from then on nothing is asked
    /// twice until rights change again.
    pub async fn ready(&self) {
        self.listener.freshness().catch_up().await;
    }

    /// Whether the database's messages arrive, or are known not to (`Freshness::is_settled`).
    pub fn is_settled(&self) -> bool {
        self.listener.freshness().is_settled()
    }

    /// Drops what is known of a session that this copy has just ended, before the database's message arrives.
    pub fn forget_session(&self, session: SessionId) {
        self.sessions.invalidate(&session);
    }
}

fn forget(sessions: &Cache<SessionId, Arc<SignedIn>>, payload: &str) {
    let parsed = payload
        .split_once(':')
        .and_then(|(kind, id)| Some((kind, id.parse().ok()?)));
    match parsed {
        Some(("session", id)) => sessions.invalidate(&SessionId(id)),
        Some(("user", id)) => {
            let user = UserId(id);
            if sessions
                .invalidate_entries_if(move |_, person| person.user_id == user)
                .is_err()
            {
                sessions.invalidate_all();
            }
        }
        _ => sessions.invalidate_all(),
    }
}
