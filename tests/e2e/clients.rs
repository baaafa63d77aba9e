//! What probes ask of web and name servers, databases, mail servers and buckets, against real ones, broken in every way that people see.

mod mail;
mod names;
mod postgres;
mod presets;
mod redis;
mod s3;
mod web;
