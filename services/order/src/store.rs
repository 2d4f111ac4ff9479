//! Orders in the database. Methods take and give domain types; rows stay inside.
//!
//! | module | statements |
//! |---|---|
//! | `orders` | placing an order, bringing it on, reading it |
//! | `unfinished` | taking over orders that somebody left unfinished |
//! | `mails` | messages about mails that are to be written |
//! | `rows` | the rows, and the domain types they stand for |

mod mails;
mod orders;
mod rows;
mod schema;
mod unfinished;

pub use mails::MailMessage;
pub use orders::{ChangeError, Orders};
