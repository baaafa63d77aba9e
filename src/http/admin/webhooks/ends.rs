//! What became of requests and deliveries, in words.

use super::super::incident_words::Badge;
use super::super::moments::{clock, until};
use super::super::wording::counted;
use crate::base::Timestamp;
use crate::webhooks::DeliveryStatus;
use crate::webhooks::destination::Held;
use crate::webhooks::queries::{DestinationLine, End};

/// How one delivery is.
pub(super) const fn badge(status: DeliveryStatus, is_settled: bool) -> Badge {
    let (class, word) = match (status, is_settled) {
        (DeliveryStatus::Pending, _) => ("away", "waiting"),
        (DeliveryStatus::Processing, _) => ("work", "under way"),
        (DeliveryStatus::Completed, _) => ("ok", "delivered"),
        (DeliveryStatus::Failed, _) => ("warn", "trying again"),
        (DeliveryStatus::DeadLetter, false) => ("bad", "dead"),
        (DeliveryStatus::DeadLetter, true) => ("unknown", "settled"),
    };
    Badge { class, word }
}

/// How the worst of a request's deliveries is.
pub(super) fn worst(ends: &[End]) -> Badge {
    let worst = ends.iter().max_by_key(|end| badness(end.status, end.is_settled));
    let nobody = Badge { class: "unknown", word: "nobody takes it" };
    worst.map_or(nobody, |end| badge(end.status, end.is_settled))
}

const fn badness(status: DeliveryStatus, is_settled: bool) -> u8 {
    match (status, is_settled) {
        (DeliveryStatus::Completed, _) => 0,
        (DeliveryStatus::DeadLetter, true) => 1,
        (DeliveryStatus::Pending, _) => 2,
        (DeliveryStatus::Processing, _) => 3,
        (DeliveryStatus::Failed, _) => 4,
        (DeliveryStatus::DeadLetter, false) => 5,
    }
}

/// How far a request is, where it goes to more than one place: `2 of 3 delivered`. Empty where the badge says it all.
pub(super) fn share(ends: &[End]) -> String {
    let delivered = ends.iter().filter(|end| end.status == DeliveryStatus::Completed).count();
    match ends.len() {
        0 | 1 => String::new(),
        all if delivered == all => format!("at {all} destinations"),
        all => format!("{delivered} of {all} delivered"),
    }
}

/// What a delivery waits for; empty where it waits for nothing. `there`: its destination, where it is still there.
pub(super) fn next(
    (status, due_at): (DeliveryStatus, Option<Timestamp>),
    there: Option<&DestinationLine>,
    now: Timestamp,
) -> String {
    match status {
        DeliveryStatus::Processing => return "It is being sent right now.".to_owned(),
        DeliveryStatus::Completed | DeliveryStatus::DeadLetter => return String::new(),
        DeliveryStatus::Pending | DeliveryStatus::Failed => {}
    }
    let Some(there) = there else { return "Its destination was removed, so it goes nowhere.".to_owned() };
    if let Some(Held { at, by }) = &there.destination.held {
        return format!("It waits: {by} holds this destination since {}. Resume it there.", clock(*at, now));
    }
    if let (true, Some(at)) = (there.state.breaker != "closed", there.state.open_until) {
        if at > now {
            let cure = "it rests, so that it is not hammered";
            return format!(
                "It waits: the app failed too often, and {cure}. The next try is {}.",
                until(at, now)
            );
        }
        return "It waits: the app failed too often, and one delivery tries it now and then.".to_owned();
    }
    match due_at {
        None => "It waits for an earlier one of the same order key.".to_owned(),
        Some(at) if at <= now => "It is due and goes out as soon as there is room.".to_owned(),
        Some(at) => format!("The next try is {}, at {}.", until(at, now), clock(at, now)),
    }
}

/// `3 attempts`, `not tried yet`.
pub(super) fn tried(attempts: i64) -> String {
    if attempts == 0 { "not tried yet".to_owned() } else { counted(attempts, "attempt") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::DestinationId;

    fn end(status: DeliveryStatus, is_settled: bool) -> End {
        End {
            destination: DestinationId(1),
            status,
            attempts: 1,
            last_status: None,
            due_at: None,
            is_settled,
        }
    }

    #[test]
    fn a_request_is_as_its_worst_delivery() {
        use DeliveryStatus::{Completed, DeadLetter, Failed, Pending, Processing};
        type Ends = &'static [(DeliveryStatus, bool)];
        let table: [(Ends, &str, &str); 7] = [
            (&[], "nobody takes it", ""),
            (&[(Completed, false)], "delivered", ""),
            (&[(Completed, false), (Completed, false)], "delivered", "at 2 destinations"),
            (&[(Completed, false), (DeadLetter, true)], "settled", "1 of 2 delivered"),
            (&[(Completed, false), (Pending, false), (Processing, false)], "under way", "1 of 3 delivered"),
            (&[(Failed, false), (Pending, false)], "trying again", "0 of 2 delivered"),
            (&[(Failed, false), (DeadLetter, false), (Completed, false)], "dead", "1 of 3 delivered"),
        ];
        for (ends, word, part) in table {
            let ends: Vec<End> = ends.iter().map(|(status, settled)| end(*status, *settled)).collect();
            assert_eq!((worst(&ends).word, share(&ends).as_str()), (word, part));
        }
    }

    #[test]
    fn what_is_open_says_what_it_waits_for() {
        let now = Timestamp::from_secs(1_800_000_000);
        let told = |status| next((status, None), None, now);
        assert_eq!(told(DeliveryStatus::Completed), "");
        assert!(told(DeliveryStatus::Failed).contains("removed"));
        assert!(told(DeliveryStatus::Processing).contains("right now"));
    }
}
