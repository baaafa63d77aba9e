//! Suites against the real binary, with real counterparts: SDKs, a mail server, databases, strace, kill -9, a full disk.
//! `tests/run e2e` runs them after `tests/run tools` has set up what they need; a missing tool fails a suite with the
//! cure. They use no fake clock and wait for conditions with a deadline.
#![cfg(test)]

mod support;

mod blind;
mod certificates;
mod clients;
mod corpus;
mod crash;
mod damage;
mod delivery;
mod demo;
mod disk;
mod gaps;
mod heartbeats;
mod intake;
mod looks;
mod manifest;
mod outage;
mod own;
mod sdk;
mod shop;
mod snippets;
