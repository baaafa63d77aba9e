#![cfg(test)]

mod alarms;
mod api;
mod asking;
mod beats;
mod forms;
mod from_files;
mod gaps;
mod heartbeats;
mod hostile;
mod intake;
mod layers;
mod overview;
mod own;
mod pages;
mod people;
mod plans;
mod probe_lists;
mod probe_pages;
mod probes;
mod refusals;
mod retention;
mod rights;
mod schema;
mod services;
mod support;
