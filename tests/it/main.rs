#![cfg(test)]

mod api;
mod layers;
mod own;
mod pages;
mod schema;
mod support;
