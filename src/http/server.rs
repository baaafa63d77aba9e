//! Every route in one place.
