//! What probes ask of databases, mail servers and buckets, against real ones, broken in every way that people see.

mod mail;
mod postgres;
mod presets;
mod redis;
mod s3;
