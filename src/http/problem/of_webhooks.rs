//! What is refused of webhooks.

use actix_web::http::StatusCode;

use super::{Problem, sentence};
use crate::webhooks::{self, replay_one};

impl From<webhooks::Error> for Problem {
    fn from(error: webhooks::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            webhooks::Error::Store(error) => error.into(),
            webhooks::Error::Accounts(error) => error.into(),
            webhooks::Error::Incidents(error) => error.into(),
            webhooks::Error::NoSource
            | webhooks::Error::NoDestination
            | webhooks::Error::NoSecret
            | webhooks::Error::UnknownProject => Self::new(StatusCode::NOT_FOUND, text),
            webhooks::Error::KeyTaken(_)
            | webhooks::Error::OwnedByFile(_)
            | webhooks::Error::Settled(_)
            | webhooks::Error::SecretTwice(_)
            | webhooks::Error::LastSecret(_)
            | webhooks::Error::Sealing(_)
            | webhooks::Error::TooManySources
            | webhooks::Error::TooManyDestinations => Self::new(StatusCode::CONFLICT, text),
            webhooks::Error::BadKey(_)
            | webhooks::Error::BadLine(_)
            | webhooks::Error::Invalid(_)
            | webhooks::Error::BadSecret(_)
            | webhooks::Error::SecretTooLong
            | webhooks::Error::TooManySecrets
            | webhooks::Error::SecretMoves(_)
            | webhooks::Error::SecretTold(_) => Self::bad_request(text),
        }
    }
}

impl From<replay_one::Error> for Problem {
    fn from(error: replay_one::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            replay_one::Error::Store(error) => error.into(),
            replay_one::Error::Accounts(error) => error.into(),
            replay_one::Error::Incidents(error) => error.into(),
            replay_one::Error::NotFound => Self::new(StatusCode::NOT_FOUND, text),
            replay_one::Error::Waits
            | replay_one::Error::UnderWay
            | replay_one::Error::PayloadGone
            | replay_one::Error::DestinationGone
            | replay_one::Error::NotDead
            | replay_one::Error::NotSettled
            | replay_one::Error::Settled => Self::new(StatusCode::CONFLICT, text),
        }
    }
}
