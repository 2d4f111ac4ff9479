use super::*;

#[test]
fn an_empty_variable_counts_as_unset() {
    let mut env = Env::of([("A", ""), ("B", "  ")]).with_defaults([("B", "7")]);
    assert_eq!(env.setting("A", 1_u8, "a number"), 1);
    assert_eq!(env.setting("B", 1_u8, "a number"), 7);
    assert!(env.finish().is_ok());
}

#[test]
fn the_environment_wins_over_code_and_code_over_the_default() {
    let mut env = Env::of([("A", "3")]).with_defaults([("A", "2"), ("B", "2")]);
    for name in ["A", "B", "C"] {
        env.setting(name, 1_u8, "a number");
    }
    let lines: Vec<String> = env.settings().iter().map(Setting::to_string).collect();
    assert_eq!(lines, ["A = 3 (environment)", "B = 2 (code)", "C = 1 (default)"]);
}

#[test]
fn every_mistake_is_told_in_the_order_of_reading() {
    let mut env = Env::of([("FLAG", "yes"), ("COUNT", "0"), ("DELAY", "-1"), ("LIST", "1,x,none,1")]);
    assert!(!env.flag("FLAG"));
    assert_eq!(env.positive("COUNT", 5), 5);
    assert_eq!(env.milliseconds("DELAY", Duration::from_secs(1)), Duration::from_secs(1));
    assert_eq!(env.list("LIST", vec![9_u8], "numbers"), [1]);
    let told = env.finish().unwrap_err().to_string();
    assert_eq!(
        told,
        "the configuration has 5 mistakes\
         \n  FLAG=yes: expected true or false\
         \n  COUNT=0: expected a whole number greater than 0\
         \n  DELAY=-1: expected milliseconds, a whole number greater than 0\
         \n  LIST=x: expected numbers\
         \n  LIST=none: expected numbers"
    );
}

#[test]
fn none_alone_is_the_empty_list() {
    let mut env = Env::of([("LIST", "NONE")]);
    assert!(env.list("LIST", vec![9_u8], "numbers").is_empty());
    assert_eq!(env.settings()[0].to_string(), "LIST = none (environment)");
    assert!(env.finish().is_ok());
}

#[test]
fn a_timeout_of_zero_is_no_limit() {
    let mut env = Env::of([("T", "0")]);
    assert_eq!(env.timeout("T", Duration::from_secs(10)), Duration::MAX);
    assert_eq!(env.optional_timeout("T"), Some(Duration::MAX));
    assert_eq!(env.optional_timeout("UNSET"), None);
    assert!(env.finish().is_ok());
}

#[test]
fn a_flag_is_read_whatever_its_case() {
    for (text, value) in [("true", true), ("TRUE", true), ("True", true), ("false", false), ("FALSE", false)]
    {
        let mut env = Env::of([("FLAG", text)]);
        assert_eq!(env.flag("FLAG"), value, "{text}");
        assert!(env.finish().is_ok(), "{text}");
    }
}
