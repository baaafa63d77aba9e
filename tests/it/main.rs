#![cfg(test)]

mod layers;
mod own;
mod support;
