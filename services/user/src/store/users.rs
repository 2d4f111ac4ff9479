//! Users in the database.

use chrono::Utc;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as QueryError};
use service_kit::db::{Database, DatabaseError};

use super::rows::{NewUserRow, TenantRow, UserChangeRow, UserRow};
use super::schema::{tenants, users};
use crate::domain::{Email, NewUser, Role, Tenant, User, UserChange, UserId};
use crate::passwords::PasswordHash;

#[derive(Clone)]
pub(crate) struct Users {
    database: Database,
}

/// Why a user was not inserted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InsertUserError {
    #[error("another user has this e-mail address")]
    EmailTaken,
    #[error("there is no such tenant")]
    UnknownTenant,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<QueryError> for InsertUserError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::EmailTaken,
            QueryError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => Self::UnknownTenant,
            error => Self::Database(error.into()),
        }
    }
}

/// What a login is checked against.
pub(crate) struct Credentials {
    pub(crate) user: User,
    pub(crate) password_hash: PasswordHash,
}

impl Users {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) async fn insert(&self, user: NewUser, hash: PasswordHash) -> Result<User, InsertUserError> {
        let user = user.with_id(UserId::new());
        let row = NewUserRow {
            id: user.id.to_string(),
            tenant_id: user.tenant_id.to_string(),
            email: user.email.as_str().to_owned(),
            email_normalised: user.email.normalised(),
            name: user.name.as_str().to_owned(),
            password_hash: hash.into_string(),
            tier: user.tier.as_str().to_owned(),
            role: user.role.as_str().to_owned(),
            is_active: user.is_active,
            created_at: Utc::now().naive_utc(),
        };
        self.database
            .write(move |connection| {
                diesel::insert_into(users::table).values(row).execute(connection)?;
                Ok::<_, InsertUserError>(())
            })
            .await?;
        Ok(user)
    }

    pub(crate) async fn find_credentials(&self, email: &Email) -> Result<Option<Credentials>, DatabaseError> {
        let email = email.normalised();
        self.database
            .read(move |connection| {
                let found: Option<(UserRow, String)> = users::table
                    .filter(users::email_normalised.eq(email))
                    .select((UserRow::as_select(), users::password_hash))
                    .get_result(connection)
                    .optional()?;
                found
                    .map(|(row, hash)| {
                        let user = User::try_from(row).map_err(QueryError::from)?;
                        Ok(Credentials { user, password_hash: PasswordHash::from_stored(hash) })
                    })
                    .transpose()
            })
            .await
    }

    /// The user and the tenant they belong to.
    pub(crate) async fn find(&self, id: UserId) -> Result<Option<(User, Tenant)>, DatabaseError> {
        self.database
            .read(move |connection| {
                let found: Option<(UserRow, TenantRow)> = users::table
                    .inner_join(tenants::table)
                    .filter(users::id.eq(id.to_string()))
                    .select((UserRow::as_select(), TenantRow::as_select()))
                    .get_result(connection)
                    .optional()?;
                found
                    .map(|(user, tenant)| {
                        let user = User::try_from(user).map_err(QueryError::from)?;
                        Ok((user, Tenant::try_from(tenant).map_err(QueryError::from)?))
                    })
                    .transpose()
            })
            .await
    }

    /// Changes what a user may do, and answers with the user as they are now; `None` for nobody.
    pub(crate) async fn change(&self, id: UserId, change: UserChange) -> Result<Option<User>, DatabaseError> {
        let row = UserChangeRow { is_active: change.is_active, role: change.role.map(Role::as_str) };
        self.database
            .write(move |connection| {
                connection
                    .transaction(|connection| {
                        let id = id.to_string();
                        diesel::update(users::table.find(&id)).set(&row).execute(connection)?;
                        let found = users::table
                            .find(&id)
                            .select(UserRow::as_select())
                            .get_result(connection)
                            .optional()?;
                        found.map(|row| User::try_from(row).map_err(QueryError::from)).transpose()
                    })
                    .map_err(DatabaseError::from)
            })
            .await
    }
}
