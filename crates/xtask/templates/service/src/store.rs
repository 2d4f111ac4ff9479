//! Queries and rows. Takes and gives domain types; no row and no connection gets out.

use diesel::prelude::*;
use service_kit::db::{Database, DatabaseError};
use uuid::Uuid;

use crate::domain::{Item, ItemName};

diesel::table! {
    items (id) {
        id -> Text,
        name -> Text,
    }
}

#[derive(Insertable)]
#[diesel(table_name = items)]
struct NewItemRow {
    id: String,
    name: String,
}

/// The items in the database.
#[derive(Clone)]
pub(crate) struct Items {
    database: Database,
}

impl Items {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) async fn insert(&self, name: ItemName) -> Result<Item, DatabaseError> {
        let item = Item { id: Uuid::now_v7(), name };
        let row = NewItemRow { id: item.id.to_string(), name: item.name.clone().into_string() };
        self.database
            .write(move |connection| {
                diesel::insert_into(items::table).values(row).execute(connection)?;
                Ok::<_, DatabaseError>(())
            })
            .await?;
        Ok(item)
    }

    pub(crate) async fn find(&self, id: Uuid) -> Result<Option<Item>, DatabaseError> {
        let name: Option<String> = self
            .database
            .read(move |connection| {
                let row = items::table.find(id.to_string()).select(items::name).first(connection);
                Ok::<_, DatabaseError>(row.optional()?)
            })
            .await?;
        name.map(|name| Ok(Item { id, name: stored(&name)? })).transpose()
    }
}

/// The name of a row. What no version of this service wrote is an error of the database's.
fn stored(name: &str) -> Result<ItemName, DatabaseError> {
    let foreign = |error| diesel::result::Error::DeserializationError(Box::new(error));
    Ok(ItemName::parse(name).map_err(foreign)?)
}
