//! The order in which services stand, in lists and in `/api/health`.

use serde_json::json;

use super::{Error, SERVICES, Services, queries};
use crate::accounts::audit::{self, Change as Audited};
use crate::accounts::{By, Visible};
use crate::store::{WriteTx, params};

/// To which side of its neighbour a service goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Earlier,
    Later,
}

impl Services {
    /// Lets a service and its neighbour change places, among those that the caller may see. At the end of the list
    /// nothing happens. Where a service stands is nobody's definition: a file's moves, too.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn shift(&self, tx: &WriteTx<'_>, by: &By, key: &str, direction: Direction) -> Result<(), Error> {
        let visible = by.actor.visible();
        let mut order = queries::list(tx, &Visible::All)?;
        let from = order.iter().position(|service| service.key == key && visible.contains(service.project));
        let from = from.ok_or(Error::NotFound)?;
        let seen = |at: &usize| visible.contains(order[*at].project);
        let to = match direction {
            Direction::Earlier => (0..from).rev().find(seen),
            Direction::Later => (from + 1..order.len()).find(seen),
        };
        let Some(to) = to else { return Ok(()) };
        let project = order[from].project;
        let moved = order.remove(from);
        order.insert(to, moved);
        for (position, service) in (1_u32..).zip(&order) {
            if service.position != position {
                tx.execute(
                    "UPDATE services SET position = ?2 WHERE id = ?1",
                    params![service.id.0, position],
                )?;
            }
        }
        let detail = json!({ "place": to + 1 });
        let change = Audited { action: "service.move", subject: key, project: Some(project), detail };
        audit::append(tx, by, &change)?;
        tx.touch(SERVICES);
        Ok(())
    }
}
