//! The frames that a Rust panic adds above the code that panicked, down to the SDK that reports it.
//!
//! The `sentry` crate leaves them at the end of the stack and marks some of them as in app. They are the same for
//! every panic, so they neither name the place of one nor tell two apart.

/// What the panic goes through: the runtime, then the SDK's hook.
const ROOTS: [&str; 9] = [
    "core::panicking::",
    "std::panicking::",
    "rust_begin_unwind",
    "__rustc::",
    // The same crate in symbols that keep the disambiguator.
    "__rustc[",
    "std::sys::backtrace::__rust_end_short_backtrace",
    "sentry_panic::",
    "sentry_core::",
    "sentry_backtrace::",
];

/// Whether a function belongs to the panic machinery, by the name that symbols give it.
pub fn is_panic_machinery(function: &str) -> bool {
    // `<sentry_panic::PanicIntegration as …>::setup` is a method of that crate.
    let path = function.trim_start_matches(['<', '&']);
    ROOTS.iter().any(|root| path.starts_with(root)) || is_boxed_hook(function)
}

/// The call of the panic hook through its box; other boxed calls stay.
fn is_boxed_hook(function: &str) -> bool {
    function.starts_with("<alloc::boxed::Box<") && function.contains("std::panic::PanicHookInfo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machinery_is_told_from_the_code_that_panicked() {
        let machinery = [
            "core::panicking::panic_fmt",
            "__rustc::rust_begin_unwind",
            "__rustc[17fb28d4ea6b7b3c]::rust_begin_unwind",
            "rust_begin_unwind",
            "std::sys::backtrace::__rust_end_short_backtrace::<std::panicking::panic_handler::{closure#0}, !>",
            "std::panicking::panic_with_hook",
            "<alloc::boxed::Box<dyn for<'a, 'b> core::ops::function::Fn<(&'a std::panic::PanicHookInfo<'b>,), \
             Output = ()>> as core::ops::function::Fn<(&std::panic::PanicHookInfo,)>>::call",
            "<sentry_panic::PanicIntegration as sentry_core::integration::Integration>::setup::{{closure}}",
            "sentry_core::hub::Hub::with_active",
            "sentry_backtrace::current_stacktrace",
        ];
        let own = [
            "shop::charge",
            "shop::sentry_panic::report",
            "<shop::Cart as core::ops::drop::Drop>::drop",
            "<alloc::boxed::Box<dyn shop::Job> as core::ops::function::FnOnce<()>>::call_once",
            "sentry_panics",
            "",
        ];
        for function in machinery {
            assert!(is_panic_machinery(function), "{function}");
        }
        for function in own {
            assert!(!is_panic_machinery(function), "{function}");
        }
    }
}
