#![cfg(test)]

mod alarms;
mod api;
mod layers;
mod own;
mod pages;
mod people;
mod support;
