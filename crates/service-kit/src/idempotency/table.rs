//! The table of keys.

use std::time::Duration;

use chrono::{NaiveDateTime, SubsecRound as _, TimeDelta, Utc};
use diesel::prelude::*;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Attempt;
use crate::db::{Connection, Database, DatabaseError};

diesel::table! {
    idempotency_keys (id) {
        id -> Text,
        fingerprint -> Text,
        resource -> Text,
        locked_until -> Timestamp,
        status -> Nullable<Integer>,
        body -> Nullable<Text>,
        expires_at -> Timestamp,
    }
}

/// What there is of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or an attempt that came to no answer: it is the caller's now.
    Free(Attempt),
    Answered {
        status: u16,
        body: String,
    },
    /// Somebody works on it.
    Locked,
    /// It belongs to another request.
    OfAnother,
}

#[derive(Clone)]
pub(super) struct Keys {
    database: Database,
    keep_for: TimeDelta,
    locked_for: TimeDelta,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys)]
struct Row {
    id: String,
    fingerprint: String,
    resource: String,
    locked_until: NaiveDateTime,
    status: Option<i32>,
    body: Option<String>,
    expires_at: NaiveDateTime,
}

/// The SHA-256 of these parts, each with its length before it, so that no two lists of parts are one text.
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Keys {
    pub(super) fn new(database: Database, keep_for: Duration, locked_for: Duration) -> Self {
        let delta = |time| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        Self { database, keep_for: delta(keep_for), locked_for: delta(locked_for) }
    }

    /// Takes the key, if it is free. Of two that ask at once, one gets it.
    pub(super) async fn begin(&self, id: String, fingerprint: String) -> Result<Found, DatabaseError> {
        let (locked_for, keep_for) = (self.locked_for, self.keep_for);
        self.database
            .write(move |connection| {
                let now = now();
                let fresh = Row {
                    id,
                    fingerprint,
                    resource: Uuid::now_v7().to_string(),
                    locked_until: now + locked_for,
                    status: None,
                    body: None,
                    expires_at: now + keep_for,
                };
                if insert(connection, &fresh)? {
                    return Ok(Found::Free(attempt(&fresh, false)));
                }
                let known: Option<Row> = idempotency_keys::table
                    .find(&fresh.id)
                    .select(Row::as_select())
                    .get_result(connection)
                    .optional()?;
                match known {
                    // Purged since: who repeats the request finds it free.
                    None => Ok(Found::Locked),
                    Some(known) if known.expires_at <= now => take(connection, &known, &fresh, false),
                    Some(known) if known.fingerprint != fresh.fingerprint => Ok(Found::OfAnother),
                    Some(Row { status: Some(status), body: Some(body), .. }) => {
                        Ok(Found::Answered { status: u16::try_from(status).unwrap_or(500), body })
                    }
                    Some(known) if known.locked_until > now => Ok(Found::Locked),
                    Some(known) => {
                        let again = Row { resource: known.resource.clone(), ..fresh };
                        take(connection, &known, &again, true)
                    }
                }
            })
            .await
    }

    /// Keeps the answer.
    pub(super) async fn keep(&self, id: String, status: u16, body: String) -> Result<(), DatabaseError> {
        self.database
            .write(move |connection| {
                diesel::update(idempotency_keys::table.find(id))
                    .set((idempotency_keys::status.eq(i32::from(status)), idempotency_keys::body.eq(body)))
                    .execute(connection)?;
                Ok(())
            })
            .await
    }

    /// Lets the next attempt have the key, which finds what this one may have made.
    pub(super) async fn unlock(&self, id: String, attempt: Attempt) -> Result<(), DatabaseError> {
        self.database
            .write(move |connection| {
                // Whoever has taken it since works on the same resource, and keeps it.
                let mine = idempotency_keys::table
                    .find(id)
                    .filter(idempotency_keys::resource.eq(attempt.resource.to_string()))
                    .filter(idempotency_keys::locked_until.eq(attempt.locked_until));
                diesel::update(mine).set(idempotency_keys::locked_until.eq(now())).execute(connection)?;
                Ok(())
            })
            .await
    }

    /// Deletes what is too old.
    pub(super) async fn purge(&self) -> Result<(), DatabaseError> {
        self.database
            .write(|connection| {
                diesel::delete(idempotency_keys::table.filter(idempotency_keys::expires_at.le(now())))
                    .execute(connection)?;
                Ok(())
            })
            .await
    }
}

fn attempt(row: &Row, is_again: bool) -> Attempt {
    let resource = row.resource.parse().unwrap_or_else(|_| Uuid::now_v7());
    Attempt { resource, is_again, locked_until: row.locked_until }
}

fn insert(connection: &mut Connection, row: &Row) -> Result<bool, DatabaseError> {
    let insert = diesel::insert_into(idempotency_keys::table).values(row).on_conflict_do_nothing();
    // diesel has ON CONFLICT for each of the databases, not for their union.
    let inserted = match connection {
        Connection::Sqlite(connection) => insert.execute(connection)?,
        Connection::Postgres(connection) => insert.execute(connection)?,
    };
    Ok(inserted == 1)
}

/// Takes a key that somebody had, unless another has just been faster.
fn take(
    connection: &mut Connection,
    known: &Row,
    taken: &Row,
    is_again: bool,
) -> Result<Found, DatabaseError> {
    let unchanged = idempotency_keys::table
        .find(&known.id)
        .filter(idempotency_keys::locked_until.eq(known.locked_until))
        .filter(idempotency_keys::expires_at.eq(known.expires_at));
    let rows = diesel::update(unchanged)
        .set((
            idempotency_keys::fingerprint.eq(&taken.fingerprint),
            idempotency_keys::resource.eq(&taken.resource),
            idempotency_keys::locked_until.eq(taken.locked_until),
            idempotency_keys::status.eq(None::<i32>),
            idempotency_keys::body.eq(None::<String>),
            idempotency_keys::expires_at.eq(taken.expires_at),
        ))
        .execute(connection)?;
    Ok(if rows == 1 { Found::Free(attempt(taken, is_again)) } else { Found::Locked })
}

/// The current time as both databases keep it: PostgreSQL has no nanoseconds.
fn now() -> NaiveDateTime {
    Utc::now().trunc_subsecs(6).naive_utc()
}
