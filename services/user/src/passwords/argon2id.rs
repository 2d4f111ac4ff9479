//! argon2id with memory that is used again.
//!
//! Each hash works on 7 MiB. Allocated and freed on whichever thread comes, they would stay with that
//! thread's heap, and a process with a dozen threads would grow to a hundred.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::Error;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};

/// 7 MiB and five passes, which OWASP's Password Storage Cheat Sheet counts as strong as 19 MiB and
/// two. The smaller one keeps a busy process small.
const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;

/// Makes and checks PHC strings. Each call computes for tens of milliseconds.
#[derive(Default)]
pub(super) struct Argon2id {
    /// As many buffers as there ever were hashes at work at once.
    buffers: Mutex<Vec<Vec<Block>>>,
}

impl Argon2id {
    pub(super) fn hash(&self, password: &str) -> Result<String, Error> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are in argon2's bounds");
        let salt = Salt::generate();
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)?,
            hash: Some(self.compute(password, &salt, params)?),
            salt: Some(salt),
        };
        Ok(hash.to_string())
    }

    /// Whether `hash` is of this password, with whatever parameters it was made.
    pub(super) fn verify(&self, password: &str, hash: &str) -> bool {
        let Ok(hash) = PasswordHash::new(hash) else { return false };
        let is_ours = hash.algorithm == ARGON2ID_IDENT && hash.version == Some(Version::V0x13.into());
        let (Some(salt), Some(expected), Ok(params)) = (&hash.salt, &hash.hash, Params::try_from(&hash))
        else {
            return false;
        };
        // Outputs compare in constant time.
        is_ours && self.compute(password, salt, params).is_ok_and(|output| output == *expected)
    }

    fn compute(&self, password: &str, salt: &Salt, params: Params) -> Result<Output, Error> {
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let mut buffer =
            self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        buffer.resize(params.block_count(), Block::default());
        let computed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut buffer);
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        computed?;
        Ok(Output::new(&output)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_of_other_parameters_is_still_checked() {
        // The reference implementation's: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 -e
        let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let argon2id = Argon2id::default();
        assert!(argon2id.verify("password", hash));
        assert!(!argon2id.verify("Password", hash));
    }

    #[test]
    fn what_is_no_hash_of_this_kind_matches_nothing() {
        for hash in [
            "",
            "password",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        ] {
            assert!(!Argon2id::default().verify("password", hash), "{hash}");
        }
    }
}
