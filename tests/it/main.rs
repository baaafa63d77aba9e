#![cfg(test)]

mod api;
mod intake;
mod layers;
mod own;
mod pages;
mod support;
