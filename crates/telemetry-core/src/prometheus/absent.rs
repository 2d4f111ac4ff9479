//! Without the feature `actix`: there is no server to serve metrics with, and whoever asks for one is told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::PullReader;
use crate::config::PrometheusServer;
use crate::exemplars::Exemplars;

pub(crate) enum Server {}

impl Server {
    pub(crate) fn start(_: &PrometheusServer, _: PullReader, _: Exemplars) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "telemetry-core is compiled without its feature `actix`",
        ))
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        match *self {}
    }

    pub(crate) fn stop(&self, _: Duration) {
        match *self {}
    }
}
