//! The one TLS implementation of the process.

/// Makes ring the process's TLS provider unless the application has chosen one already.
pub(crate) fn install_provider() {
    // An error says that there is a provider already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
