//! Walks over bytes. Tests count their steps: a hostile text must cost no more than its length.

/// The end of the bytes from `from` on that belong together.
pub(super) fn run(bytes: &[u8], from: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let end = from + bytes.iter().skip(from).take_while(|byte| belongs(**byte)).count();
    count(end - from);
    end
}

/// Tells of a walk that is not a [`run`].
#[cfg(not(test))]
pub(super) const fn count(_: usize) {}

#[cfg(test)]
pub(super) fn count(steps: usize) {
    STEPS.set(STEPS.get() + steps);
}

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The steps that `work` takes.
#[cfg(test)]
pub(super) fn steps_of(work: impl FnOnce()) -> usize {
    STEPS.set(0);
    work();
    STEPS.get()
}
