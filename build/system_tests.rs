//! Build script of the system tests: those that need `TEST_POSTGRES_URL` or `SEMCONV_MODEL` are run where
//! it is set, and shown as ignored where it is not.

fn main() {
    for (variable, cfg) in [("TEST_POSTGRES_URL", "test_postgres"), ("SEMCONV_MODEL", "test_semconv")] {
        println!("cargo::rerun-if-env-changed={variable}");
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        if std::env::var_os(variable).is_some() {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
