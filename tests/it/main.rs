#![cfg(test)]

mod api;
mod layers;
mod overview;
mod own;
mod pages;
mod support;
