#![cfg(test)]

mod api;
mod layers;
