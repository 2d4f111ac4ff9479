//! Access tokens: JWTs that say who someone is, for a while. What they may do is asked each time.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::UserId;

const ISSUER: &str = "user-service";
/// Whom the tokens are for: the public side of all services.
const AUDIENCE: &str = "api";

/// Makes and checks access tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessTokens {
    inner: Arc<Inner>,
}

struct Inner {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    lifetime: Duration,
}

/// A token just made.
pub(crate) struct AccessToken {
    pub(crate) text: SecretString,
    pub(crate) lifetime: Duration,
}

/// A token that proves nothing: malformed, expired, or not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidToken;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    pub(crate) fn new(secret: &SecretString, lifetime: Duration) -> Self {
        // The algorithm is ours to choose, never the token's header's.
        let mut validation = Validation::new(Algorithm::HS256);
        // Made and checked on this service's clock alone.
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        let secret = secret.expose_secret().as_bytes();
        Self {
            inner: Arc::new(Inner {
                encoding: EncodingKey::from_secret(secret),
                decoding: DecodingKey::from_secret(secret),
                validation,
                lifetime,
            }),
        }
    }

    pub(crate) fn issue(&self, user: UserId) -> AccessToken {
        let (now, lifetime) = (Utc::now(), self.inner.lifetime);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.into(),
            iat: now.timestamp(),
            exp: (now + lifetime).timestamp(),
        };
        let text = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.inner.encoding)
            .expect("claims of texts and numbers are JSON, and HMAC takes a key of any length");
        AccessToken { text: text.into(), lifetime }
    }

    /// Whose token this is.
    pub(crate) fn check(&self, token: &SecretString) -> Result<UserId, InvalidToken> {
        let inner = &self.inner;
        jsonwebtoken::decode::<Claims>(token.expose_secret(), &inner.decoding, &inner.validation)
            .map(|token| token.claims.sub.into())
            .map_err(|_| InvalidToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: &str) -> AccessTokens {
        AccessTokens::new(&secret.into(), Duration::from_secs(60))
    }

    fn signed(change: impl FnOnce(&mut Claims)) -> SecretString {
        let now = Utc::now().timestamp();
        let mut claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: Uuid::now_v7(),
            iat: now,
            exp: now + 60,
        };
        change(&mut claims);
        let key = EncodingKey::from_secret(b"s");
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap().into()
    }

    #[test]
    fn a_token_tells_whose_it_is() {
        let user = UserId::new();
        assert_eq!(tokens("s").check(&tokens("s").issue(user).text), Ok(user));
    }

    #[test]
    fn tokens_that_are_old_foreign_or_for_others_are_refused() {
        assert!(tokens("s").check(&signed(|_| {})).is_ok());
        assert_eq!(tokens("s").check(&signed(|claims| claims.exp = claims.iat - 1)), Err(InvalidToken));
        assert_eq!(
            tokens("s").check(&signed(|claims| claims.iss = "order-service".into())),
            Err(InvalidToken)
        );
        assert_eq!(
            tokens("s").check(&signed(|claims| claims.aud = "user-service".into())),
            Err(InvalidToken)
        );
        assert_eq!(tokens("other").check(&signed(|_| {})), Err(InvalidToken));
        assert_eq!(tokens("s").check(&"not.a.token".into()), Err(InvalidToken));
    }
}
