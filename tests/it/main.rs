#![cfg(test)]

mod api;
mod hostile;
mod intake;
mod layers;
mod own;
mod pages;
mod support;
