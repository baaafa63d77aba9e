#![cfg(test)]

mod layers;
