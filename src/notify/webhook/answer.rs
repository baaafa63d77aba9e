//! What a receiver's status means, after the Standard Webhooks specification.

use super::super::channel::{Failure, SendError, Sent};
use crate::base::text::clip;
use crate::incidents::deliveries::DETAIL_CHARS_MAX;
use crate::incidents::put_off::Unreached;
use crate::outbound::Response;

pub(super) fn read(response: &Response) -> Result<Sent, SendError> {
    let text = response.text();
    let detail = clip(&format!("{} {}", response.status, text.trim()), DETAIL_CHARS_MAX).into_owned();
    if response.is_success() {
        return Ok(Sent { remote_id: None, unreached: Unreached::NONE, detail });
    }
    Err(SendError {
        failure: failure(response),
        summary: format!("the receiver answered {}", response.status),
        detail,
        cure: cure(response.status).map(ToOwned::to_owned),
    })
}

/// 410 switches the channel off; a lasting redirect is a wrong address, a passing one may pass; 408, 425 and 429 ask for patience; any other 4xx
/// is a refusal that repetition does not change.
const fn failure(response: &Response) -> Failure {
    match response.status {
        408 | 425 | 429 => Failure::Retryable { retry_after: response.retry_after },
        301 | 308 | 401 | 403 | 404 | 405 | 407 | 410 => Failure::ChannelBroken,
        400..=499 => Failure::MessageRefused,
        _ => Failure::Retryable { retry_after: response.retry_after },
    }
}

const fn cure(status: u16) -> Option<&'static str> {
    match status {
        301 | 308 => Some("The address moved, and redirects are not followed. Enter the new address."),
        401 | 403 | 407 => {
            Some("The receiver refuses tocsin. Check the key in its address and the signing secret.")
        }
        404 | 405 => Some("Nothing takes a POST at this address. Check it for a typing error."),
        410 => Some("The receiver is gone. Make a new one and enter its address."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outbound::header::HeaderMap;

    #[test]
    fn statuses_are_told_apart() {
        let wait = Some(Duration::from_secs(9));
        let later = Failure::Retryable { retry_after: wait };
        for (status, expected) in [
            (301, Failure::ChannelBroken),
            (302, later),
            (400, Failure::MessageRefused),
            (401, Failure::ChannelBroken),
            (404, Failure::ChannelBroken),
            (408, later),
            (410, Failure::ChannelBroken),
            (413, Failure::MessageRefused),
            (425, later),
            (429, later),
            (500, later),
            (503, later),
            (599, later),
        ] {
            let response = Response {
                status,
                headers: HeaderMap::new(),
                body: Vec::new(),
                truncated: false,
                retry_after: wait,
            };
            assert_eq!(read(&response).unwrap_err().failure, expected, "{status}");
        }
        for status in [200, 202, 204] {
            let response = Response {
                status,
                headers: HeaderMap::new(),
                body: b"ok".to_vec(),
                truncated: false,
                retry_after: None,
            };
            assert_eq!(read(&response).unwrap().detail, format!("{status} ok"));
        }
    }
}
