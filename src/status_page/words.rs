//! What posts say of services, in words that strangers understand.

use super::Shown;
use super::posts::Impact;
use crate::base::text::clip;

/// `Checkout is not available`: of those that are worst. The others stand in the text.
pub(super) fn title(services: &[&Shown]) -> String {
    let (down, rest) = divided(services);
    if down.is_empty() { named(&rest, DEGRADED) } else { named(&down, DOWN) }
}

/// ` Search is degraded.`, where the title names others; else nothing.
pub(super) fn beside(services: &[&Shown]) -> String {
    let (down, rest) = divided(services);
    if down.is_empty() || rest.is_empty() { String::new() } else { format!(" {}.", named(&rest, DEGRADED)) }
}

/// ` Search works.`, of those that are well; else nothing.
pub(super) fn well(services: &[&Shown]) -> String {
    let well: Vec<&str> = services.iter().filter(|one| one.is_well).map(|one| one.title.as_str()).collect();
    match well.as_slice() {
        [] => String::new(),
        [one] => format!(" {one} works."),
        [one, other] => format!(" {one} and {other} work."),
        several => format!(" {} others work.", several.len()),
    }
}

/// Whether [`title`] may have said it of some of `services`, however they were then.
pub(super) fn is_ours(title: &str, services: &[&Shown]) -> bool {
    let says = |some: &[&Shown]| [DOWN, DEGRADED].iter().any(|how| named(some, how) == title);
    let of_two = |nth: usize, one| services[nth + 1..].iter().any(|other| says(&[one, *other]));
    services.iter().enumerate().any(|(nth, one)| says(&[*one]) || of_two(nth, *one))
        || (3..=services.len()).any(|count| says(&services[..count]))
}

const DOWN: &str = "not available";
const DEGRADED: &str = "degraded";

/// Those that do not work, and those that work badly. Who is well by now is of neither, unless all are.
fn divided<'s>(services: &[&'s Shown]) -> (Vec<&'s Shown>, Vec<&'s Shown>) {
    let of =
        |fits: fn(Impact) -> bool| services.iter().copied().filter(move |one| fits(one.impact)).collect();
    let down: Vec<_> = of(|impact| impact >= Impact::Major);
    let degraded: Vec<_> = of(|impact| impact == Impact::Minor);
    if down.is_empty() && degraded.is_empty() { (down, services.to_vec()) } else { (down, degraded) }
}

fn named(services: &[&Shown], how: &str) -> String {
    let title = match services {
        [one] => format!("{} is {how}", one.title),
        [one, other] => format!("{} and {} are {how}", one.title, other.title),
        several => format!("{} services are {how}", several.len()),
    };
    clip(&title, super::TITLE_CHARS_MAX).into_owned()
}
