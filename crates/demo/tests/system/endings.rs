//! How processes end, and what they need while they live.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use demo::parts::Part;
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{Backend, GATEWAY_TIMEOUT, TestSystem, eventually, on_both_databases, run};

on_both_databases! {
    a_service_that_is_terminated_under_load_fails_no_accepted_request_and_loses_no_span
}

async fn a_service_that_is_terminated_under_load_fails_no_accepted_request_and_loses_no_span(
    backend: Backend,
) {
    // Every trace is asked for at the end.
    let mut test = TestSystem::start_with(backend, GATEWAY_TIMEOUT, &[("VIEWER_MAX_TRACES_MIB", "64")]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut orderers = tokio::task::JoinSet::new();
    let answered = Arc::new(AtomicUsize::new(0));
    for _ in 0..8 {
        let (shop, stop, answered) = (test.shop.clone(), stop.clone(), answered.clone());
        orderers.spawn(async move {
            let mut placed = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                match shop.order(shop.in_stock(), "card_ok").await {
                    Ok(answer) => {
                        answered.fetch_add(1, Ordering::SeqCst);
                        placed.push(answer);
                    }
                    Err(error) => {
                        // Only what was never accepted may fail: no connection, or one that was told
                        // at the door that the process is going down.
                        let refused = error.chain().any(|cause| {
                            cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
                                || cause.to_string().contains("shutting_down")
                        });
                        assert!(refused, "an accepted request failed: {error:?}");
                    }
                }
            }
            placed
        });
    }
    eventually("enough load to tell", async || answered.load(Ordering::SeqCst) > 20).await;
    test.system.stop_one(Part::Order).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let placed: Vec<_> = orderers.join_all().await.into_iter().flatten().collect();
    for answer in &placed {
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    // The order service has ended, so its last spans are there; the others export every 100 ms.
    for answer in &placed {
        eventually("every span of a finished request", async || {
            test.traces.find(answer.trace_id).await.unwrap().is_some_and(|trace| {
                trace.is_complete()
                    && trace.services().len() == 4
                    && trace.spans_named("send_email").count() == 1
            })
        })
        .await;
    }
    test.system.stop().await.unwrap();
}

#[test]
fn an_idle_process_stays_under_44_mb_also_after_much_work() {
    run(async {
        let test = TestSystem::start(Backend::Sqlite).await;
        assert_small(&test);
        let order = async |n: usize| {
            let payment_method = if n.is_multiple_of(4) { "card_declined" } else { "card_ok" };
            test.shop.order(test.shop.in_stock(), payment_method).await.unwrap()
        };
        for round in 0..40 {
            join_all((0..10).map(|n| order(round + n))).await;
        }
        let last = order(1).await;
        test.trace(&last).await;
        assert_small(&test);
        test.system.stop().await.unwrap();
    });
}

fn assert_small(test: &TestSystem) {
    for part in Part::ALL {
        let process = test.system.process(part).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        println!("{}: {kilobytes} kB resident", part.name());
        assert!(kilobytes < 44 * 1024, "{} has {kilobytes} kB resident", part.name());
    }
}

#[test]
fn the_demo_draws_three_whole_traces_and_succeeds() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--free-ports", "--once"])
        .output()
        .expect("the demo runs");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for drawn in [
        "1. an order that succeeds",
        "201 confirmed",
        "409 out_of_stock",
        "402 payment_declined",
        "INSERT orders",
    ] {
        assert!(text.contains(drawn), "{drawn} is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
}

#[test]
fn ctrl_c_stops_every_process_of_the_demo() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"))
        .arg("--free-ports")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("Ctrl-C stops everything")).expect("the demo invites to try it");
    let children = children_of(demo.id());
    assert_eq!(children.len(), Part::ALL.len());
    kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    assert!(demo.wait().unwrap().success());
    for child in children {
        assert!(test_kill_process(child).is_err(), "process {child:?} is still there");
    }
}

#[test]
fn a_demo_that_is_killed_leaves_no_process_behind() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"))
        .arg("--free-ports")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("Ready after")).expect("the demo is ready");
    let children = children_of(demo.id());
    assert_eq!(children.len(), Part::ALL.len());
    demo.kill().unwrap();
    demo.wait().unwrap();
    run(eventually("the processes have ended", async || {
        children.iter().all(|child| test_kill_process(*child).is_err())
    }));
}

/// The processes that this one started.
pub(crate) fn children_of(id: u32) -> Vec<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    text.split_whitespace().map(|id| Pid::from_raw(id.parse().unwrap()).unwrap()).collect()
}
