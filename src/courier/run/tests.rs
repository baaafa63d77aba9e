//! The loop with the real client, against a server that answers as it is told.

mod app;
mod bed;

mod bounds;
mod breaking;
mod delivering;
mod ending;
