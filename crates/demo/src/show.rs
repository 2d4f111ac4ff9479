//! What the command prints, and when it ends.

mod follow;
mod load;
mod samples;

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use tempfile::TempDir;
use trace_viewer::RenderOptions;

use crate::cli::Options;
use crate::parts::Part;
use crate::process::{Process, terminated};
use crate::scenarios::Scenario;
use crate::shop::{EMAIL, PASSWORD, Shop};
use crate::stage::Stage;
use crate::storefront::{Facts, Storefront};
use crate::system::{Plan, System};
use crate::traces::Traces;
use crate::traffic::{self, Errand, Tally, Traffic};

/// Runs the system as the options say, until Ctrl-C or, with `--once`, until its orders are placed.
pub fn run(options: Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error.into()),
    };
    match runtime.block_on(demonstrate(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failure(&error),
    }
}

fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Prints a line. A reader that has gone away (`| head`) is no reason to fail.
fn say(text: impl std::fmt::Display) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{text}");
    let _ = output.flush();
}

/// Whether everything went as it should.
async fn demonstrate(options: Options) -> anyhow::Result<bool> {
    let folder = Folder::open(options.data.clone())?;
    // Before the services start, which are told whose pages may call them.
    let storefront = Storefront::bind(!options.free_ports)?;
    let plan = Plan {
        program: std::env::current_exe().context("finding this program")?,
        data: folder.path()?,
        database_url: options.database_url.clone(),
        default_ports: !options.free_ports,
        variables: vec![("CORS_ALLOWED_ORIGINS".to_owned(), storefront.origins())],
    };
    say("Starting the order system: six processes, each with its own port.\n");
    let beginning = Instant::now();
    let mut mark = beginning;
    let started = |process: &Process| {
        say(format_args!(
            "  {:<10} {:<24} ready after {:>4} ms",
            process.part().name(),
            process.url(),
            mark.elapsed().as_millis()
        ));
        mark = Instant::now();
    };
    let system = tokio::select! {
        system = System::start(plan, started) => system?,
        () = terminated() => {
            say("\nStopped while starting.");
            return Ok(false);
        }
    };
    let mut system = system;
    let succeeded = tokio::select! {
        result = use_it(&mut system, storefront, &options, beginning) => result,
        () = terminated() => Ok(true),
    };
    say("\nStopping: callers first, the viewer last.");
    let stopped = system.stop().await;
    let succeeded = succeeded?;
    stopped?;
    if let Some(data) = &options.data {
        say(format_args!("Databases and logs are in {}.", data.display()));
    }
    Ok(succeeded)
}

async fn use_it(
    system: &mut System,
    storefront: Storefront,
    options: &Options,
    beginning: Instant,
) -> anyhow::Result<bool> {
    let shop = Shop::open(system).await.context("filling the shop")?;
    say(format_args!(
        "\nReady after {:.1} s, with {} products and a user. Three orders:\n",
        beginning.elapsed().as_secs_f64(),
        shop.products.len()
    ));
    let traces = Traces::new(system.url(Part::Viewer), system.client().clone());
    let rendering = RenderOptions::for_stdout();
    let complete = samples::place(&shop, &traces, &rendering).await?;
    if options.once {
        return Ok(complete);
    }
    say(invitation(system, &shop, &storefront.url()));
    let (facts, client) = (Facts::new(system, &shop), system.client().clone());
    let mut stage = Stage::new(system, shop.clone());
    let desk = stage.desk();
    for scenario in &options.scenario {
        stage.switch(*scenario, true).await?;
    }
    let tally = Tally::default();
    let _load = options.load.map(|rate| {
        say(format_args!("Ordering {rate} times a second; the numbers are those of the last ten seconds."));
        let plan = traffic::Plan { errand: Errand::Mixed, rate };
        Traffic::start(shop.clone(), shop.in_stock().clone(), plan, tally.clone())
    });
    if options.load.is_none() {
        say("The trace of every further order is drawn here.");
    }
    say("Ctrl-C stops everything.\n");
    let telling = async {
        match options.load {
            Some(rate) => load::tell(&tally, rate, &desk, &rendering, std::io::stdout().is_terminal()).await,
            None => follow::draw_further_orders(&traces, &desk, &rendering).await,
        }
    };
    tokio::select! {
        ended = stage.run() => match ended? {},
        served = storefront.serve(facts, desk.clone(), client) => served?,
        () = telling => {}
    }
    Ok(true)
}

/// Which scenarios were told of.
#[derive(Default)]
struct Switches(BTreeSet<Scenario>);

impl Switches {
    /// Says which scenarios were switched, and where to look; whether there were any.
    fn tell(&mut self, on: BTreeSet<Scenario>) -> bool {
        for scenario in on.difference(&self.0) {
            say(told(*scenario));
        }
        for scenario in self.0.difference(&on) {
            say(format_args!("Scenario {} is off.\n", scenario.name()));
        }
        let changed = on != self.0;
        self.0 = on;
        changed
    }
}

fn told(scenario: Scenario) -> String {
    let about = scenario.describe();
    format!(
        "Scenario {} is on. {}\n  Look: {}\n  More: docs/scenarios/{}.md\n",
        about.name, about.broken, about.look, about.name
    )
}

/// What to try next, ready to be pasted.
fn invitation(system: &System, shop: &Shop, storefront: &str) -> String {
    let (user, order, viewer) = (system.url(Part::User), system.url(Part::Order), system.url(Part::Viewer));
    let documents: String = [Part::Order, Part::User, Part::Inventory, Part::Payment]
        .map(|part| format!("    {:<10} {}/docs/\n", part.name(), system.url(part)))
        .concat();
    let product = &shop.in_stock().id;
    format!(
        r#"Try it. Sign in:

  TOKEN=$(curl -s {user}/api/users/login -H 'content-type: application/json' \
    -d '{{"email":"{EMAIL}","password":"{PASSWORD}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

Order (also: card_declined, card_slow, gateway_error):

  curl -s {order}/api/orders -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \
    -d '{{"product_id":"{product}","quantity":2,"payment_method":"card_ok","order_type":"express"}}'

Look:

  {storefront}/ is the shop in the browser: order there, and break things on purpose.
  {viewer}/ shows traces, logs and metrics in the browser.
  Each service has its API to try in the browser:
{documents}"#
    )
}

/// Where databases and logs are.
enum Folder {
    Kept(PathBuf),
    /// Removed when dropped.
    Temporary(TempDir),
}

impl Folder {
    fn open(kept: Option<PathBuf>) -> anyhow::Result<Self> {
        match kept {
            Some(path) => {
                std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
                Ok(Self::Kept(path))
            }
            None => {
                let folder = tempfile::Builder::new().prefix("order-system-").tempdir();
                Ok(Self::Temporary(folder.context("making a temporary folder")?))
            }
        }
    }

    fn path(&self) -> anyhow::Result<PathBuf> {
        let path = match self {
            Self::Kept(path) => path.as_path(),
            Self::Temporary(folder) => folder.path(),
        };
        path.canonicalize().with_context(|| format!("finding {}", path.display()))
    }
}
