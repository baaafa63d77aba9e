//! One process writes: a command that changes something is carried out by the running server, over
//! `control.sock` in the data folder; where no server runs, by the command itself under the folder's lock.
//!
//! The protocol is one line of JSON each way, a [`Command`] and an [`Answer`]. Both ways end in the same function.

mod accounts;
mod command;
mod desk;
mod manifest;
mod socket;

pub use crate::health::{Health, PartHealth};
pub use command::{
    Answer, Command, Delivered, KeyLine, ProjectLine, StatusOf, StatusReport, TestKind, TokenLine, UserLine,
};
pub use desk::{Desk, Later, Live, carry_out};
pub use socket::{AskError, ControlSocket, ask, check_path};
