//! Tenants: whom users belong to.

use std::fmt;

use uuid::Uuid;

use super::Name;

/// A tenant's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TenantId(Uuid);

impl TenantId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl From<Uuid> for TenantId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<TenantId> for Uuid {
    fn from(id: TenantId) -> Self {
        id.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) name: Name,
}

impl Tenant {
    /// The tenant of those who register by themselves. The first migration makes it.
    pub(crate) const PUBLIC: TenantId = TenantId(Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001));
}
