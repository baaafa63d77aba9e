//! What others of the same section rest on is saved first.

use std::collections::BTreeMap;

use super::problem::Problem;
use super::wish::Wish;

/// How far an entry got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Open,
    Done,
}

/// The entries, each after those that it names and the files hold. Those that lead back to themselves are told.
pub(super) fn by_dependency(mut wishes: Vec<Wish>, problems: &mut Vec<Problem>) -> Vec<Wish> {
    let keys: BTreeMap<(&str, &str), usize> = wishes
        .iter()
        .enumerate()
        .map(|(place, wish)| ((wish.section.name, wish.entry.key.as_str()), place))
        .collect();
    let mut visits: Vec<Option<Visit>> = vec![None; wishes.len()];
    let (mut order, mut circular) = (Vec::with_capacity(wishes.len()), Vec::new());
    for start in 0..wishes.len() {
        // Not recursive: files may hold a chain of thousands.
        let mut path = vec![(start, 0)];
        while let Some((place, next)) = path.last_mut() {
            let (place, wish) = (*place, &wishes[*place]);
            if *next == 0 && visits[place].is_none() {
                visits[place] = Some(Visit::Open);
            } else if *next == 0 {
                path.pop();
                continue;
            }
            let after = wish.draft.as_ref().map(|draft| draft.after()).unwrap_or_default();
            let Some(name) = after.get(*next) else {
                visits[place] = Some(Visit::Done);
                order.push(place);
                path.pop();
                continue;
            };
            let path_of_it = format!("depends_on.{next}");
            *next += 1;
            let Some(&named) = keys.get(&(wish.section.name, name.as_str())) else { continue };
            match visits[named] {
                Some(Visit::Open) => {
                    let text = format!("depends_on: {name} leads back to itself: take it out here or there");
                    problems.push(wish.problem(&path_of_it, text));
                    circular.push((place, path_of_it));
                }
                Some(Visit::Done) => {}
                None => path.push((named, 0)),
            }
        }
    }
    // Of a list from its end, so that the places of the others stay.
    for (place, path) in circular.iter().rev() {
        wishes[*place].leave_out([path.as_str()]);
    }
    let mut all: Vec<Option<Wish>> = wishes.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| all[place].take()).collect()
}
