//! Users and tenants: types that cannot be wrong, rules without I/O.
//!
//! What is personal (an address, a name, a password) has no `Debug` text, so that no log and no span
//! can show it by accident.

mod email;
mod name;
mod password;
mod tenant;
mod user;

pub(crate) use email::Email;
pub(crate) use name::Name;
pub(crate) use password::Password;
pub(crate) use tenant::{Tenant, TenantId};
pub(crate) use user::{NewUser, Role, Tier, User, UserChange, UserId};
