#![cfg(test)]

mod api;
mod layers;
mod own;
mod pages;
mod retention;
mod schema;
mod support;
