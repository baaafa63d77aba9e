//! What pages say of services.

use super::incident_words::Badge;
use crate::accounts::Visible;
use crate::health::services::{Needs, Service, ServiceStatus, queries};
use crate::store::{Error, ReadTx};

/// A service that something belongs to.
pub(super) struct ServiceLink {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) badge: Badge,
}

impl ServiceLink {
    pub(super) fn of(service: Service) -> Self {
        Self { badge: service_badge(service.status), key: service.key, name: service.name }
    }
}

/// The services of a member, by the key of its signals.
pub(super) fn services_of(
    tx: &ReadTx<'_>,
    visible: &Visible,
    member: &str,
) -> Result<Vec<ServiceLink>, Error> {
    Ok(queries::list_of_member(tx, visible, member)?.into_iter().map(ServiceLink::of).collect())
}

/// A service's status by its word and its shape.
pub(super) const fn service_badge(status: ServiceStatus) -> Badge {
    match status {
        ServiceStatus::Unknown => Badge { class: "unknown", word: "unknown" },
        ServiceStatus::Healthy => Badge { class: "ok", word: "healthy" },
        ServiceStatus::Degraded => Badge { class: "warn", word: "degraded" },
        ServiceStatus::Unhealthy => Badge { class: "bad", word: "unhealthy" },
        ServiceStatus::Maintenance => Badge { class: "work", word: "maintenance" },
    }
}

/// How many of its members it needs.
pub(super) fn needs(needs: Needs, members: usize) -> String {
    match needs {
        Needs::All if members == 1 => "needs its one member".to_owned(),
        Needs::All => format!("needs all {members}"),
        Needs::Any => format!("needs any of {members}"),
        Needs::Quorum(least) => format!("needs {least} of {members}"),
    }
}

/// Whether anything needs somebody, at the head of the list.
pub(super) fn headline(services: &[Service], overall: ServiceStatus) -> (String, String) {
    let total = services.len();
    let count = |status| services.iter().filter(|service| service.status == status).count();
    let (ill, poor) = (count(ServiceStatus::Unhealthy), count(ServiceStatus::Degraded));
    let first = match (total, ill, poor) {
        (0, _, _) => "No service yet".to_owned(),
        (_, 0, 0) if count(ServiceStatus::Healthy) == total => match total {
            1 => "The one service is healthy".to_owned(),
            _ => format!("All {total} services are healthy"),
        },
        (_, 0, 0) => "No service is down".to_owned(),
        (_, 0, 1) => "One service is degraded".to_owned(),
        (_, 0, poor) => format!("{poor} services are degraded"),
        (_, 1, _) => "One service is down".to_owned(),
        (_, ill, _) => format!("{ill} services are down"),
    };
    let second = match total {
        0 => {
            "A service is what your team calls one thing: the database, payment, the AI providers.".to_owned()
        }
        _ => format!("/api/health says {}.", overall.as_str()),
    };
    (first, second)
}
