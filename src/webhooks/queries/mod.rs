//! Lists of sources and requests, one of each, and what became of it. Every query is scoped to the projects that the
//! caller may see.

mod detail;
mod requests;
mod sources;

pub use detail::{
    AttemptLine, DeliveryLine, Request, attempts, deliveries, find_request, open_payload, requests_after,
};
pub use requests::{Filter, Page, RequestLine, requests};
pub use sources::{
    COUNT_MAX, Counters, DestinationLine, Health, Point, RefusalLine, SourceLine, State, all_destinations,
    destinations, find_destination, find_source, points, refusals, sources,
};
