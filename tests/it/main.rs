#![cfg(test)]

mod layers;
mod pages;
