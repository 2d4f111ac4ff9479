//! Hashing passwords with argon2id.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use telemetry_core::context;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::domain::Password;

/// 46 MiB and one pass, one of the equally strong choices of OWASP's Password Storage Cheat Sheet. The
/// C library maps a block of more than 32 MiB by itself and gives it back at once; of a smaller one it
/// keeps a copy for each thread that ever hashed.
const MEMORY_KIB: u32 = 46 * 1024;
const PASSES: u32 = 1;

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
pub(crate) struct HashError(argon2::password_hash::Error);

/// Makes and checks hashes, on threads where that may take its time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    inner: Arc<Inner>,
}

struct Inner {
    argon2: Argon2<'static>,
    permits: Arc<Semaphore>,
    decoy: String,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are in argon2's bounds");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon2, &Uuid::new_v4().to_string())?;
        Ok(Self { inner: Arc::new(Inner { argon2, permits: Arc::new(Semaphore::new(AT_A_TIME)), decoy }) })
    }

    pub(crate) async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        self.at_work(move |inner| hash(&inner.argon2, password.expose()).map(PasswordHash)).await
    }

    /// Whether this is the password. Where there is no hash, since there is no such user, the answer is
    /// no and takes just as long, so that the time tells nobody who has an account.
    pub(crate) async fn verify(&self, password: Password, hash: Option<PasswordHash>) -> bool {
        self.at_work(move |inner| {
            let known = hash.is_some();
            let hash = hash.map_or_else(|| inner.decoy.clone(), PasswordHash::into_string);
            let matches = Phc::new(&hash)
                .is_ok_and(|hash| inner.argon2.verify_password(password.expose().as_bytes(), &hash).is_ok());
            known && matches
        })
        .await
    }

    async fn at_work<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> T {
        let permits = self.inner.permits.clone();
        let permit = permits.acquire_owned().await.expect("nobody closes the semaphore");
        let inner = self.inner.clone();
        // The permit goes along: a caller that hangs up does not stop the work.
        context::blocking(move || {
            let _permit = permit;
            work(&inner)
        })
        .await
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, HashError> {
    Ok(argon2.hash_password(password.as_bytes()).map_err(HashError)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn only_the_password_itself_matches_its_hash() {
        let passwords = Passwords::new().unwrap();
        let password = || Password::claim("correct horse battery staple".into());
        let hash = passwords.hash(password()).await.unwrap().into_string();
        assert!(hash.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{hash}");
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
