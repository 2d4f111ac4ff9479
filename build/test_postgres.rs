//! Build script of the crates whose tests also run on PostgreSQL: where `TEST_POSTGRES_URL` is set they
//! are run, where it is not they are shown as ignored.

fn main() {
    println!("cargo::rerun-if-env-changed=TEST_POSTGRES_URL");
    println!("cargo::rustc-check-cfg=cfg(test_postgres)");
    if std::env::var_os("TEST_POSTGRES_URL").is_some() {
        println!("cargo::rustc-cfg=test_postgres");
    }
}
