//! Baggage, entry by entry.

use super::*;

/// Name, value and metadata of what came in, in the order of the names.
fn entries(cx: &Context) -> Vec<(String, String, String)> {
    let mut entries: Vec<_> = cx
        .baggage()
        .iter()
        .map(|(name, (value, metadata))| {
            (name.to_string(), value.as_str().to_owned(), metadata.as_str().to_owned())
        })
        .collect();
    entries.sort();
    entries
}

#[test]
fn baggage_is_read_entry_by_entry_and_a_wrong_one_costs_itself_only() {
    type Entries = &'static [(&'static str, &'static str, &'static str)];
    let table: [(&[&str], Entries); 17] = [
        (&["a=1"], &[("a", "1", "")]),
        (&["a=1,b=2", "c=3"], &[("a", "1", ""), ("b", "2", ""), ("c", "3", "")]),
        (&[" a\t=  1 ;p ; q=2 ,b = 2"], &[("a", "1", "p ; q=2"), ("b", "2", "")]),
        (&["a=x=y=="], &[("a", "x=y==", "")]),
        (&["a="], &[("a", "", "")]),
        (&["a=1,a=2"], &[("a", "2", "")]),
        (&["a=Z%C3%BCrich%2C%20%22%3b%5c%25"], &[("a", "Zürich, \";\\%", "")]),
        (&["a=%FF%,b=%4,c=%zz"], &[("a", "\u{fffd}%", ""), ("b", "%4", ""), ("c", "%zz", "")]),
        (&["a%20b=1"], &[("a%20b", "1", "")]),
        (&["a b=1,c=3"], &[("c", "3", "")]),
        (&["=1,c=3"], &[("c", "3", "")]),
        (&["a,c=3"], &[("c", "3", "")]),
        (&[",,;,c=3,"], &[("c", "3", "")]),
        (&["a=x y,c=3"], &[("c", "3", "")]),
        (&["a=\"x\",b=x\\y,c=3"], &[("c", "3", "")]),
        (&["a=é", "c=3"], &[("c", "3", "")]),
        (&["a@b=1,c=3"], &[("c", "3", "")]),
    ];
    for (list, wanted) in table {
        let list: Vec<_> = list.iter().map(|value| ("baggage", *value)).collect();
        let found = entries(&extract(&[Baggage], &list));
        let found: Vec<_> = found.iter().map(|(n, v, m)| (n.as_str(), v.as_str(), m.as_str())).collect();
        assert_eq!(found, wanted, "{list:?}");
    }
}

#[test]
fn baggage_has_its_limits_both_ways() {
    let many: Vec<String> = (0..70).map(|i| format!("k{i:02}=v")).collect();
    assert_eq!(entries(&extract(&[Baggage], &[("baggage", &many.join(","))])).len(), 64);

    let big = format!("a={}", "v".repeat(8188));
    let rest = "b=1";
    let names = |list: &[&str]| {
        let list: Vec<_> = list.iter().map(|value| ("baggage", *value)).collect();
        entries(&extract(&[Baggage], &list)).into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&[&big]), ["a"], "8190 bytes");
    assert_eq!(names(&[&format!("{big},{rest}")]), ["a"], "8194 bytes: a whole entry is left out");
    assert_eq!(names(&[&big, rest]), ["a"], "two headers are one list");
    assert_eq!(names(&[&format!("{big}vvv"), rest]), [] as [&str; 0], "nor is one cut");

    // Encoding makes it longer: the short entries are sent, whole.
    let long = "ü".repeat(3000);
    let own = [
        KeyValue::new("long", long),
        KeyValue::new("tenant.id", "t-1"),
        KeyValue::new("tenant.name", "Café"),
    ];
    let sent = sent(&[Baggage], &Context::new().with_baggage(own));
    assert_eq!(pairs(&sent), [("baggage", "tenant.id=t-1,tenant.name=Caf%C3%A9")]);
}

#[test]
fn baggage_goes_out_as_it_came_in() {
    for entry in ["a=1", "a=x=y", "a=Z%C3%BCrich%2C%20%25", "a=1;p=1;q", "a=", "!#$%&'*+-.^_`|~0=1"] {
        let cx = extract(&[Baggage], &[("baggage", entry)]);
        assert_eq!(pairs(&sent(&[Baggage], &cx)), [("baggage", entry)]);
    }
    // What an application puts in may be anything; metadata that would break the header is left out.
    let mut own = opentelemetry::baggage::Baggage::new();
    own.insert_with_metadata("a", "1\r\nx: y", "p\r\n,b=2");
    let sent = sent(&[Baggage], &Context::new().with_baggage(own));
    assert_eq!(pairs(&sent), [("baggage", "a=1%0D%0Ax:%20y")]);
}

#[test]
fn reserved_baggage_is_dropped_unless_the_caller_is_trusted() {
    let propagation = Propagation::new(&[Baggage]).reserving(["tenant.id"]);
    let list = headers(&[("baggage", "tenant.id=forged,other=1")]);
    let names = |trusted: bool| {
        let cx = propagation.extract(&ActixHeaders(&list), || trusted).unwrap_or_else(new_trace);
        entries(&cx).into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(false), ["other"]);
    assert_eq!(names(true), ["other", "tenant.id"]);
}
