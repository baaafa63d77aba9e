//! The web admin page: one file per page, its template beside it in `templates/`.

mod frame;

pub use frame::{Frame, Place, page};
