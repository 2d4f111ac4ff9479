//! Who orders.

/// The user behind a valid access token, and the tenant they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The user's id.
    pub user_id: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// The tenant's name.
    pub tenant_name: String,
    /// What the user pays for, such as `free`.
    pub tier: String,
}
