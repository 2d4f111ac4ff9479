//! The way to an endpoint, stage by stage, each with a deadline; what comes after a failed stage is skipped.

mod advice;
mod connection;

use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::net::TcpStream;
use url::Url;

use self::connection::Connected;
use super::configuration::exported;
use super::report::{Finding, Outcome, Reach};
use super::wire::{self, Head, Spoken};
use super::words::Words;
use super::{Options, is_grpc, on_thread, probe, surroundings, tls};
use crate::Config;
use crate::config::{Otlp, Signal};

/// One address, and the signals that go there in one way.
pub(super) struct Target {
    signals: Vec<(Signal, Otlp)>,
}

impl Target {
    /// The distinct ones of a configuration.
    pub(super) fn of(config: &Config) -> Vec<Self> {
        let mut targets: Vec<Self> = Vec::new();
        for (signal, otlp) in exported(config) {
            let same = |target: &&mut Self| {
                let other = &target.signals[0].1;
                other.endpoint.url().origin() == otlp.endpoint.url().origin()
                    && other.protocol == otlp.protocol
                    && other.tls == otlp.tls
            };
            match targets.iter_mut().find(same) {
                Some(target) => target.signals.push((signal, otlp.clone())),
                None => targets.push(Self { signals: vec![(signal, otlp.clone())] }),
            }
        }
        targets
    }

    /// Goes there.
    pub(super) async fn reach(self, config: &Config, options: Options) -> Reach {
        let otlp = &self.signals[0].1;
        let words = Words::hiding(self.signals.iter().map(|(_, otlp)| &otlp.headers));
        let mut walk = Walk { otlp, words: &words, options, stages: Vec::new() };
        let seen = walk.go().await;
        let mut stages = walk.stages;
        // A proxy may reach what this process does not.
        let is_worth_it = seen.is_connected || probe::goes_through_proxy();
        for (signal, otlp) in &self.signals {
            let subject = format!("probe {signal}");
            stages.push(match (options.probe, is_worth_it) {
                (false, _) => Finding::skipped(subject, "nothing is sent, as asked"),
                (true, false) => Finding::skipped(subject, "there is no connection"),
                (true, true) => send(&subject, *signal, otlp, config, &words, options).await,
            });
        }
        if options.probe && is_worth_it {
            stages.extend(self.instead(&seen, &stages, config, options).await);
        }
        Reach {
            endpoint: otlp.endpoint.url().origin().ascii_serialization(),
            protocol: otlp.protocol.to_string(),
            signals: self.signals.iter().map(|(signal, _)| signal.name().to_owned()).collect(),
            stages,
        }
    }

    /// Where the first probe failed: whether it is accepted in another way, tried in the same manner.
    async fn instead(
        &self,
        seen: &Seen,
        stages: &[Finding],
        config: &Config,
        options: Options,
    ) -> Option<Finding> {
        let (signal, otlp) = &self.signals[0];
        let subject = format!("probe {signal}");
        stages.iter().find(|stage| stage.subject == subject && stage.outcome == Outcome::Failed)?;
        for (other, advice) in advice::alternatives(*signal, otlp, seen.speaks) {
            let answer = send(&subject, *signal, &other, config, &Words::default(), options).await;
            if answer.outcome == Outcome::Ok {
                let detail =
                    format!("the same probe is accepted by {} over {}", other.endpoint, other.protocol);
                return Some(Finding::note("instead", detail).advise(advice));
            }
        }
        None
    }
}

/// What the stages have found out for those that come after.
struct Seen {
    is_connected: bool,
    speaks: Option<Speaks>,
}

/// The protocol that a port was heard to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
    Tls,
}

struct Walk<'a> {
    otlp: &'a Otlp,
    words: &'a Words,
    options: Options,
    stages: Vec<Finding>,
}

impl Walk<'_> {
    async fn go(&mut self) -> Seen {
        let deadline = self.options.stage_deadline;
        let url = self.otlp.endpoint.url();
        let nowhere = Seen { is_connected: false, speaks: None };
        let Some(connected) = connection::connect(url, deadline, &mut self.stages).await else {
            self.stages.extend(advice::container(url));
            self.skip(&["tls", "exchange"], "there is no connection");
            return nowhere;
        };
        let host = url.host_str().unwrap_or_default();
        if !self.otlp.endpoint.is_https() {
            let speaks = self.exchange(&connected, None).await;
            return Seen { is_connected: true, speaks };
        }
        match self.shake_hands(&connected, host).await {
            Ok(stream) => {
                let speaks = self.exchange(&connected, Some(stream)).await;
                Seen { is_connected: true, speaks }
            }
            Err(speaks) => {
                self.skip(&["exchange"], "there is no encrypted connection");
                Seen { is_connected: true, speaks }
            }
        }
    }

    fn skip(&mut self, stages: &[&str], why: &str) {
        for stage in stages.iter().filter(|stage| **stage != "tls" || self.otlp.endpoint.is_https()) {
            self.stages.push(Finding::skipped(*stage, why));
        }
    }

    /// The stage `tls`. Where it fails, what the port speaks instead.
    async fn shake_hands(
        &mut self,
        connected: &Connected,
        host: &str,
    ) -> Result<Box<tls::Stream>, Option<Speaks>> {
        let deadline = self.options.stage_deadline;
        let trust = match tls::Trust::of(self.otlp) {
            Ok(trust) => trust,
            Err(error) => {
                self.stages.push(
                    Finding::failed("no_roots", "tls", error)
                        .advise("the package ca-certificates, or OTEL_EXPORTER_OTLP_CERTIFICATE"),
                );
                return Err(None);
            }
        };
        let Some(stream) = connected.again(deadline).await else {
            self.stages.push(Finding::failed("unsteady", "tls", "the second connection is not accepted"));
            return Err(None);
        };
        let protocols: &[&[u8]] = if is_grpc(self.otlp) { &[b"h2"] } else { &[b"http/1.1"] };
        let handshake = tls::shake_hands(stream, host, trust, protocols, deadline).await;
        let certificate = handshake.certificate;
        match handshake.result {
            Ok(stream) => {
                self.stages.push(advice::encrypted(&stream, certificate.as_ref(), is_grpc(self.otlp)));
                Ok(stream)
            }
            Err(error) => {
                let speaks = match &error {
                    tls::HandshakeError::Tls(_) => Some(Speaks::Tls),
                    _ if !self.options.probe => None,
                    _ => self.listen_in_clear(connected, host).await,
                };
                self.stages.push(advice::not_encrypted(&error, certificate.as_ref(), speaks, deadline));
                Err(speaks)
            }
        }
    }

    /// The stage `exchange`: which protocol the port speaks.
    async fn exchange(
        &mut self,
        connected: &Connected,
        encrypted: Option<Box<tls::Stream>>,
    ) -> Option<Speaks> {
        if !self.options.probe {
            self.stages.push(Finding::skipped("exchange", "nothing is sent, as asked"));
            return None;
        }
        let deadline = self.options.stage_deadline;
        let url = self.otlp.endpoint.url();
        let grpc = is_grpc(self.otlp);
        let spoken = match (encrypted, grpc) {
            (Some(mut stream), true) => wire::begin_http2(&mut stream, deadline).await,
            (Some(mut stream), false) => wire::get(&mut stream, &authority(url), url.path(), deadline).await,
            (None, _) => match connected.again(deadline).await {
                None => Spoken::HungUp,
                Some(mut stream) if grpc => wire::begin_http2(&mut stream, deadline).await,
                Some(mut stream) => wire::get(&mut stream, &authority(url), url.path(), deadline).await,
            },
        };
        let is_clear = !self.otlp.endpoint.is_https();
        let speaks = match &spoken {
            // A server of TLS may answer a plain request in plain HTTP, to say so.
            Spoken::Http1(Head { status: 400, .. }) if is_clear => {
                if self.is_tls(connected).await {
                    Speaks::Tls
                } else {
                    Speaks::Http1
                }
            }
            Spoken::Http1(_) => Speaks::Http1,
            Spoken::Http2 => Speaks::Http2,
            Spoken::Tls => Speaks::Tls,
            Spoken::HungUp | Spoken::Silence if is_clear => {
                match self.listen_in_clear(connected, url.host_str().unwrap_or_default()).await {
                    Some(speaks) => speaks,
                    None if self.is_tls(connected).await => Speaks::Tls,
                    None => return self.unheard(&spoken),
                }
            }
            Spoken::HungUp | Spoken::Silence | Spoken::Other(_) => return self.unheard(&spoken),
        };
        self.stages.push(advice::heard(speaks, &spoken, self.otlp, self.words));
        if let Spoken::Http1(Head { date: Some(date), .. }) = spoken {
            self.stages.extend(surroundings::clock(date, Utc::now()));
        }
        Some(speaks)
    }

    fn unheard(&mut self, spoken: &Spoken) -> Option<Speaks> {
        self.stages.push(advice::unheard(spoken, self.words, self.options.stage_deadline));
        None
    }

    /// What the port answers without encryption, to the one question or the other.
    async fn listen_in_clear(&self, connected: &Connected, host: &str) -> Option<Speaks> {
        let deadline = self.options.stage_deadline.min(LISTENING);
        for begins_http2 in [false, true] {
            let mut stream = connected.again(deadline).await?;
            let spoken = if begins_http2 {
                wire::begin_http2(&mut stream, deadline).await
            } else {
                wire::get(&mut stream, host, "/", deadline).await
            };
            match spoken {
                Spoken::Http1(_) => return Some(Speaks::Http1),
                Spoken::Http2 => return Some(Speaks::Http2),
                Spoken::Tls => return Some(Speaks::Tls),
                Spoken::Other(_) | Spoken::HungUp | Spoken::Silence => {}
            }
        }
        None
    }

    async fn is_tls(&self, connected: &Connected) -> bool {
        let deadline = self.options.stage_deadline.min(LISTENING);
        let host = self.otlp.endpoint.url().host_str().unwrap_or_default();
        match connected.again(deadline).await {
            Some(stream) => tls::speaks_tls(stream, host, deadline).await,
            None => false,
        }
    }
}

/// For guesses after the first question: a server that answers anything does so soon.
const LISTENING: Duration = Duration::from_secs(2);

/// Host and port as the header `Host` has them.
fn authority(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// One probe, sent as exports are.
async fn send(
    subject: &str,
    signal: Signal,
    otlp: &Otlp,
    config: &Config,
    words: &Words,
    options: Options,
) -> Finding {
    let deadline = otlp.timeout.min(options.stage_deadline);
    let probe = probe::Probe::new(config, signal, otlp, deadline);
    let start = Instant::now();
    // The exporter keeps the deadline itself; this is for its being set up and taken down.
    match on_thread(move || probe.send(), deadline + Duration::from_secs(2)).await {
        Ok(answer) => advice::probed(subject, signal, &answer, otlp, words, start.elapsed()),
        Err(why) => Finding::failed("probe", subject, why),
    }
}

/// An address that should answer a GET with success.
pub(super) async fn peer(name: String, url: Url, options: Options) -> Finding {
    let deadline = options.stage_deadline;
    let mut stages = Vec::new();
    let connected = connection::connect(&url, deadline, &mut stages).await;
    let Some(connected) = connected else {
        let why = stages.pop().map(|stage| stage.detail).unwrap_or_default();
        return Finding::failed("unreachable", name, format!("{url}: {why}"))
            .advise("start it, or correct its address");
    };
    if !options.probe {
        return Finding::ok(name, format!("{url}: connected; nothing is sent, as asked"));
    }
    let Some(stream) = connected.again(deadline).await else {
        return Finding::failed("unreachable", name, format!("{url}: the second connection is not accepted"));
    };
    let spoken = match ask(stream, &url, deadline).await {
        Ok(spoken) => spoken,
        Err(why) => return Finding::failed("unreachable", name, format!("{url}: {why}")),
    };
    match spoken {
        Spoken::Http1(head) if (200..300).contains(&head.status) => {
            Finding::ok(name, format!("{url}: {}", head.line))
        }
        Spoken::Http1(head) => {
            Finding::failed("unhealthy", name, format!("{url}: {}", Words::default().quote(&head.line)))
                .advise("the address of the service's own, without a path")
        }
        other => Finding::failed(
            "unhealthy",
            name,
            format!("{url}: {}", advice::described(&other, &Words::default(), deadline)),
        ),
    }
}

async fn ask(stream: TcpStream, url: &Url, deadline: Duration) -> Result<Spoken, String> {
    let (host, path) = (authority(url), url.path());
    if url.scheme() != "https" {
        let mut stream = stream;
        return Ok(wire::get(&mut stream, &host, path, deadline).await);
    }
    let trust = tls::Trust::of_machine()?;
    let name = url.host_str().unwrap_or_default();
    let handshake = tls::shake_hands(stream, name, trust, &[b"http/1.1"], deadline).await;
    match handshake.result {
        Ok(mut stream) => Ok(wire::get(&mut stream, &host, path, deadline).await),
        Err(error) => Err(error.to_string()),
    }
}
