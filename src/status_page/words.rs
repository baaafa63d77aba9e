//! What posts say of services, in words that strangers understand.

use super::Shown;
use super::posts::Impact;
use crate::base::text::clip;

/// `Checkout is not available`, `Checkout and Search are degraded`.
pub(super) fn title(services: &[&Shown], impact: Impact) -> String {
    let how = match impact {
        Impact::None | Impact::Minor => "degraded",
        Impact::Major | Impact::Critical => "not available",
    };
    let title = match services {
        [one] => format!("{} is {how}", one.title),
        [one, other] => format!("{} and {} are {how}", one.title, other.title),
        several => format!("{} services are {how}", several.len()),
    };
    clip(&title, super::TITLE_CHARS_MAX).into_owned()
}
