//! Verifying and signing by one description.

use super::template::Parts;
use super::{Carrier, Hmac, Late, Place};
use crate::base::{Secret, Timestamp};
use crate::outbound::header::{HeaderName, HeaderValue};
use crate::webhooks::scheme::header::Aliases;
use crate::webhooks::scheme::hmac::key::{KeyBytes, same};
use crate::webhooks::scheme::{Call, Covers, Outgoing, Refusal, Unsignable, Verified};

impl Hmac {
    /// The signature is looked at before the time: of a call that is refused as too old, somebody with the secret said
    /// when it was.
    pub(in crate::webhooks::scheme) fn verify(
        &self,
        call: &Call<'_>,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let keys = self.keys(secrets);
        if keys.is_empty() {
            return Err(Refusal::NoSecret);
        }
        let Carrier { headers, .. } = &self.signature;
        let carried = self.signature.read(headers.read(call)?, self.algorithm, self.encoding)?;
        let timestamp = match self.timestamp.as_ref().map(|stamp| &stamp.place) {
            Some(Place::Headers(headers)) => headers.read(call)?,
            Some(place @ Place::Pair(key)) => {
                carried.pair(key).ok_or_else(|| Refusal::TimeMissing { place: place.says() })?
            }
            Some(Place::Pointer(_)) | None => "",
        };
        let id = self.id.as_ref().map_or(Ok(""), |headers| headers.read(call))?;
        if !self.signed.bounds(id) {
            let header = self.id.as_ref().map_or("", Aliases::first).to_owned();
            return Err(Refusal::IdMalformed { header });
        }
        let parts = Parts { method: call.method, url: call.url, timestamp, id, body: call.body };
        let signed = self.signed.fill(&parts);
        let is_signed_with = |key: &[u8]| {
            let wanted = self.algorithm.sign(key, &signed);
            carried.signatures.iter().any(|signature| same(signature, &wanted))
        };
        let right = keys.iter().find(|(_, key)| is_signed_with(key)).ok_or(Refusal::SignatureWrong)?;
        let signed_at = self.signed_at(timestamp, call.body, now)?;
        let is_of_a_moment = self.timestamp.is_some() || self.id.is_some();
        let covers = if is_of_a_moment { Covers::Moment } else { Covers::content(&signed) };
        Ok(Verified { secret: Some(right.0), signed_at, covers })
    }

    fn keys<'s>(&self, secrets: &'s [Secret]) -> Vec<(usize, KeyBytes<'s>)> {
        let keys = secrets.iter().map(|secret| self.key.bytes(secret));
        keys.enumerate().filter_map(|(at, key)| Some((at, key.ok()?))).collect()
    }

    fn signed_at(&self, text: &str, body: &[u8], now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let Some(stamp) = &self.timestamp else { return Ok(None) };
        let at = match &stamp.place {
            Place::Pointer(pointer) => stamp.judge(&stamp.in_body(pointer, body)?, now)?,
            Place::Headers(_) | Place::Pair(_) => stamp.judge(text, now)?,
        };
        Ok(Some(at))
    }

    pub(in crate::webhooks::scheme) fn sign(
        &self,
        out: &Outgoing<'_>,
        secret: &Secret,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
        let key = self.key.bytes(secret)?;
        let timestamp = self.timestamp.as_ref().map(|stamp| stamp.write(out.at)).unwrap_or_default();
        let parts =
            Parts { method: out.method, url: out.url, timestamp: &timestamp, id: out.id, body: out.body };
        let signature = self.algorithm.sign(&key, &self.signed.fill(&parts));
        let pair = self.timestamp.as_ref().and_then(|stamp| match &stamp.place {
            Place::Pair(key) => Some((key.as_str(), timestamp.as_str())),
            Place::Headers(_) | Place::Pointer(_) => None,
        });
        let value = self.signature.layout.write(&self.encoding.write(&signature), pair);
        let mut headers = self.signature.headers.write(&value)?;
        if let Some(Place::Headers(names)) = self.timestamp.as_ref().map(|stamp| &stamp.place) {
            headers.extend(names.write(&timestamp)?);
        }
        if let Some(names) = &self.id {
            headers.extend(names.write(out.id)?);
        }
        Ok(headers)
    }

    pub(in crate::webhooks::scheme) fn late(&self) -> Late {
        match &self.timestamp {
            Some(stamp) => match &stamp.place {
                Place::Pointer(pointer) => Late::TimeInBody {
                    pointer: pointer.clone(),
                    past: stamp.receiver_past.unwrap_or(stamp.past),
                },
                Place::Headers(_) | Place::Pair(_) => Late::Accepted,
            },
            None => Late::Accepted,
        }
    }
}
