//! Tenants in the database.

use chrono::Utc;
use diesel::prelude::*;
use service_kit::db::{Database, DatabaseError};

use super::rows::NewTenantRow;
use super::schema::tenants;
use crate::domain::{Name, Tenant, TenantId};

#[derive(Clone)]
pub(crate) struct Tenants {
    database: Database,
}

impl Tenants {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Makes a tenant of this name. Two may have the same one.
    pub(crate) async fn insert(&self, name: Name) -> Result<Tenant, DatabaseError> {
        let tenant = Tenant { id: TenantId::new(), name };
        let row = NewTenantRow {
            id: tenant.id.to_string(),
            name: tenant.name.as_str().to_owned(),
            created_at: Utc::now().naive_utc(),
        };
        self.database
            .write(move |connection| {
                diesel::insert_into(tenants::table).values(row).execute(connection)?;
                Ok::<_, DatabaseError>(())
            })
            .await?;
        Ok(tenant)
    }
}
