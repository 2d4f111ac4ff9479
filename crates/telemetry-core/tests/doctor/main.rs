//! `doctor` tells right from wrong: mistakes that are planted here, over real sockets.

mod configuration;
mod harness;
mod reach;
mod report;
