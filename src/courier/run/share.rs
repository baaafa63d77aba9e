//! How the room that all destinations share is divided: one each, round after round, until nothing is left.

use crate::webhooks::DestinationId;
use crate::webhooks::claim::Want;

/// Divides `total` among `wants`, which stand in the order of their turns. Nobody gets more than they want, and nobody
/// gets a second one before everybody who is waiting has a first.
pub(super) fn share(wants: &[Want], total: u32) -> Vec<Want> {
    let mut given: Vec<Want> = wants.iter().map(|want| Want { most: 0, ..*want }).collect();
    let mut left = total;
    let mut went = true;
    while left > 0 && went {
        went = false;
        for (given, want) in given.iter_mut().zip(wants) {
            if left > 0 && given.most < want.most {
                given.most += 1;
                left -= 1;
                went = true;
            }
        }
    }
    given.retain(|given| given.most > 0);
    given
}

/// Puts those after `last` first, so that whoever had the last turn has the next one last.
pub(super) fn in_turn(mut wants: Vec<Want>, last: DestinationId) -> Vec<Want> {
    let first = wants.partition_point(|want| want.destination <= last);
    wants.rotate_left(first);
    wants
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wants(most: &[u32]) -> Vec<Want> {
        (1..).zip(most).map(|(id, most)| Want { destination: DestinationId(id), most: *most }).collect()
    }

    fn got(wants: &[Want]) -> Vec<(i64, u32)> {
        wants.iter().map(|want| (want.destination.0, want.most)).collect()
    }

    #[test]
    fn nobody_gets_two_before_all_have_one() {
        assert_eq!(got(&share(&wants(&[8, 1, 8]), 100)), [(1, 8), (2, 1), (3, 8)]);
        assert_eq!(got(&share(&wants(&[8, 1, 8]), 5)), [(1, 2), (2, 1), (3, 2)]);
        assert_eq!(got(&share(&wants(&[8, 1, 8]), 2)), [(1, 1), (2, 1)]);
        assert_eq!(got(&share(&wants(&[8]), 0)), []);
    }

    #[test]
    fn whoever_had_the_last_turn_is_last() {
        let turns =
            |last| got(&in_turn(wants(&[1, 1, 1]), DestinationId(last))).into_iter().map(|(id, _)| id);
        assert!(turns(0).eq([1, 2, 3]));
        assert!(turns(1).eq([2, 3, 1]));
        assert!(turns(3).eq([1, 2, 3]));
    }

    proptest! {
        #[test]
        fn all_of_it_is_given_as_far_as_it_is_wanted(most in prop::collection::vec(1u32..20, 0..20), total in 0u32..300) {
            let shared = share(&wants(&most), total);
            let sum: u32 = shared.iter().map(|want| want.most).sum();
            prop_assert_eq!(sum, total.min(most.iter().sum()));
            for want in &shared {
                prop_assert!(want.most <= most[usize::try_from(want.destination.0).unwrap() - 1]);
            }
        }
    }
}
