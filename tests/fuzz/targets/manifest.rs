//! Files of the configuration as code: whatever they hold is told at a place, and soon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::manifest::{Document, Manifest, Source};

fuzz_target!(|text: &str| {
    let file = Source { name: "fuzz".to_owned(), text: text.to_owned() };
    let document = Document { files: vec![file], ..Document::default() };
    let (_, problems) = Manifest::read(&document);
    for problem in problems {
        assert!(problem.place.starts_with("fuzz:"), "{problem}");
    }
});
