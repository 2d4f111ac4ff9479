//! Rows, and the domain types they stand for.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use uuid::Uuid;

use super::schema::{tenants, users};
use crate::domain::{Email, Name, Tenant, User};

#[derive(Insertable)]
#[diesel(table_name = tenants)]
pub(super) struct NewTenantRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created_at: NaiveDateTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tenants)]
pub(super) struct TenantRow {
    id: String,
    name: String,
}

#[derive(Insertable)]
#[diesel(table_name = users)]
pub(super) struct NewUserRow {
    pub(super) id: String,
    pub(super) tenant_id: String,
    pub(super) email: String,
    pub(super) email_normalised: String,
    pub(super) name: String,
    pub(super) password_hash: String,
    pub(super) tier: String,
    pub(super) role: String,
    pub(super) is_active: bool,
    pub(super) created_at: NaiveDateTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(super) struct UserRow {
    id: String,
    tenant_id: String,
    email: String,
    name: String,
    tier: String,
    role: String,
    is_active: bool,
}

#[derive(AsChangeset)]
#[diesel(table_name = users)]
pub(super) struct UserChangeRow {
    pub(super) is_active: Option<bool>,
    pub(super) role: Option<&'static str>,
}

/// A row that no version of this service wrote.
#[derive(Debug, thiserror::Error)]
#[error("the column {0} holds what was never written there")]
pub(super) struct ForeignRow(&'static str);

impl From<ForeignRow> for diesel::result::Error {
    fn from(row: ForeignRow) -> Self {
        Self::DeserializationError(Box::new(row))
    }
}

impl TryFrom<TenantRow> for Tenant {
    type Error = ForeignRow;

    fn try_from(row: TenantRow) -> Result<Self, ForeignRow> {
        Ok(Self {
            id: id(&row.id, "tenants.id")?.into(),
            name: Name::parse(&row.name).map_err(|_| ForeignRow("tenants.name"))?,
        })
    }
}

impl TryFrom<UserRow> for User {
    type Error = ForeignRow;

    fn try_from(row: UserRow) -> Result<Self, ForeignRow> {
        Ok(Self {
            id: id(&row.id, "users.id")?.into(),
            tenant_id: id(&row.tenant_id, "users.tenant_id")?.into(),
            email: Email::parse(&row.email).map_err(|_| ForeignRow("users.email"))?,
            name: Name::parse(&row.name).map_err(|_| ForeignRow("users.name"))?,
            tier: row.tier.parse().map_err(|_| ForeignRow("users.tier"))?,
            role: row.role.parse().map_err(|_| ForeignRow("users.role"))?,
            is_active: row.is_active,
        })
    }
}

fn id(text: &str, column: &'static str) -> Result<Uuid, ForeignRow> {
    text.parse().map_err(|_| ForeignRow(column))
}
