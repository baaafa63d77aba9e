#![cfg(test)]

mod api;
mod layers;
mod own;
mod support;
