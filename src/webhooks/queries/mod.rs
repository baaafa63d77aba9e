//! Lists of sources and requests, one of each, and what became of it. Every query is scoped to the projects that the
//! caller may see.

mod course;
mod dead;
mod desk;
mod detail;
mod figures;
mod gauges;
mod names;
mod readiness;
mod requests;
mod sources;

pub use course::{Stretch, course, under_way};
pub use dead::{DEAD_COUNTED_MAX, DeadOf, DeadThere, count_dead, dead, last_answer};
pub use desk::{DeskFilter, DeskLine, DeskPage, Which, desk, find_delivery};
pub use detail::{
    AttemptLine, DeliveryLine, Request, attempts, deliveries, find_request, open_payload, requests_after,
};
pub use figures::{Figures, figures, oldest_due};
pub use gauges::{COUNTED_MAX, DestinationGauge, Gauges, SourceGauge, gauges};
pub use names::{Names, destination_keys};
pub use readiness::{DEAD_MAX, DestinationFacts, Readiness, SourceFacts, Trouble, readiness};
pub use requests::{End, Filter, Page, RequestLine, requests};
pub use sources::{
    COUNT_MAX, Counters, DestinationLine, Health, Point, RefusalLine, SourceLine, State, all_destinations,
    all_sources, destinations, find_destination, find_source, points, refusals, sources,
};
