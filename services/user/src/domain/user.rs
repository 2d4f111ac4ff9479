//! Users.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{Email, Name, TenantId};

/// A user's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserId(Uuid);

impl UserId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl From<Uuid> for UserId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<UserId> for Uuid {
    fn from(id: UserId) -> Self {
        id.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a user pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tier {
    #[default]
    Free,
    Premium,
    Enterprise,
}

impl Tier {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Premium => "premium",
            Self::Enterprise => "enterprise",
        }
    }
}

/// A tier that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tier is free, premium or enterprise")]
pub(crate) struct UnknownTier;

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(text: &str) -> Result<Self, UnknownTier> {
        [Self::Free, Self::Premium, Self::Enterprise]
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or(UnknownTier)
    }
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Role {
    #[default]
    Customer,
    /// Works for the house: keeps the catalogue and the stock, and gives money back.
    Admin,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }
}

/// A role that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is customer or admin")]
pub(crate) struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Customer, Self::Admin].into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) tenant_id: TenantId,
    pub(crate) email: Email,
    pub(crate) name: Name,
    pub(crate) tier: Tier,
    pub(crate) role: Role,
    /// Whoever is not may not act; what they did stays.
    pub(crate) is_active: bool,
}

/// A user before there is one.
#[derive(Debug, Clone)]
pub(crate) struct NewUser {
    pub(crate) tenant_id: TenantId,
    pub(crate) email: Email,
    pub(crate) name: Name,
    pub(crate) tier: Tier,
    pub(crate) role: Role,
    pub(crate) is_active: bool,
}

impl NewUser {
    /// Gives the user an id.
    pub(crate) fn with_id(self, id: UserId) -> User {
        let Self { tenant_id, email, name, tier, role, is_active } = self;
        User { id, tenant_id, email, name, tier, role, is_active }
    }
}

/// What is to change of a user; the rest stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct UserChange {
    pub(crate) is_active: Option<bool>,
    pub(crate) role: Option<Role>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_read_as_they_are_written() {
        for tier in [Tier::Free, Tier::Premium, Tier::Enterprise] {
            assert_eq!(tier.as_str().parse(), Ok(tier));
        }
        assert_eq!("Gold".parse::<Tier>(), Err(UnknownTier));
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in [Role::Customer, Role::Admin] {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
    }
}
