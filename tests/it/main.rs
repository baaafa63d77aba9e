#![cfg(test)]

mod alarms;
mod api;
mod beats;
mod forms;
mod heartbeats;
mod hostile;
mod intake;
mod layers;
mod overview;
mod own;
mod pages;
mod people;
mod plans;
mod refusals;
mod retention;
mod schema;
mod services;
mod support;
