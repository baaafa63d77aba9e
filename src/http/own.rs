//! tocsin about itself.
