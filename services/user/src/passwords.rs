//! Hashing passwords with argon2id.

mod argon2id;

use std::sync::Arc;

use telemetry_core::context;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::argon2id::Argon2id;
use crate::domain::Password;

/// Hashes at work at a time, in this process. More would not be faster, and each takes its memory.
const AT_A_TIME: usize = 2;

/// A hash as it is stored: a PHC string, which names its own parameters.
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Hashing failed: the parameters are wrong, or the system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("hashing a password failed: {0}")]
pub(crate) struct HashError(#[from] argon2::password_hash::Error);

/// Makes and checks hashes, on threads where that may take its time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    inner: Arc<Inner>,
}

struct Inner {
    argon2id: Argon2id,
    permits: Semaphore,
    decoy: String,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, HashError> {
        let argon2id = Argon2id::default();
        let decoy = argon2id.hash(&Uuid::new_v4().to_string())?;
        Ok(Self { inner: Arc::new(Inner { argon2id, permits: Semaphore::new(AT_A_TIME), decoy }) })
    }

    pub(crate) async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        Ok(PasswordHash(self.at_work(move |inner| inner.argon2id.hash(password.expose())).await?))
    }

    /// Whether this is the password. Where there is no hash, since there is no such user, the answer is
    /// no and takes just as long, so that the time tells nobody who has an account.
    pub(crate) async fn verify(&self, password: Password, hash: Option<PasswordHash>) -> bool {
        self.at_work(move |inner| {
            let known = hash.is_some();
            let hash = hash.map_or_else(|| inner.decoy.clone(), PasswordHash::into_string);
            let matches = inner.argon2id.verify(password.expose(), &hash);
            known && matches
        })
        .await
    }

    async fn at_work<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> T {
        let _permit = self.inner.permits.acquire().await.expect("nobody closes the semaphore");
        let inner = self.inner.clone();
        context::blocking(move || work(&inner)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn only_the_password_itself_matches_its_hash() {
        let passwords = Passwords::new().unwrap();
        let password = || Password::claim("correct horse battery staple".into());
        let hash = passwords.hash(password()).await.unwrap().into_string();
        assert!(hash.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{hash}");
        let stored = || Some(PasswordHash::from_stored(hash.clone()));
        assert!(passwords.verify(password(), stored()).await);
        assert!(!passwords.verify(Password::claim("correct horse".into()), stored()).await);
        assert!(!passwords.verify(password(), None).await);
    }

    #[actix_web::test]
    async fn the_same_password_gets_another_hash_each_time() {
        let passwords = Passwords::new().unwrap();
        let mut hashes = Vec::new();
        for _ in 0..2 {
            let password = Password::claim("correct horse battery staple".into());
            hashes.push(passwords.hash(password).await.unwrap().into_string());
        }
        assert_ne!(hashes[0], hashes[1]);
    }
}
