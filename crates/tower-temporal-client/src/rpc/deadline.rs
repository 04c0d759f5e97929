use super::Body;
use http::{HeaderMap, HeaderValue, Request};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// When a call is to have ended, after its `grpc-timeout`.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    at: Instant,
    /// The header it is from: a layer may have put another in its place, which is none of this deadline's business.
    said: HeaderValue,
}

impl Deadline {
    /// The deadline of a call that begins now, if it has one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let said = headers.get(GRPC_TIMEOUT)?;
        Some(Self {
            at: Instant::now().checked_add(parse(said.as_bytes())?)?,
            said: said.clone(),
        })
    }

    pub(super) const fn at(&self) -> Instant {
        self.at
    }

    /// What a call fails with that has not ended in time.
    pub(super) fn exceeded(&self) -> Status {
        let said = self.said.to_str().unwrap_or_default();
        Status::deadline_exceeded(format!(
            "the call has not ended within its {said} ({GRPC_TIMEOUT})"
        ))
    }

    /// Says in the header how much time is left: some is gone when a call has waited for a limit, or was tried before.
    pub(super) fn tell_what_is_left(request: &mut Request<Body>) {
        let Some(Self { at, said }) = request.extensions().get() else {
            return;
        };
        if request.headers().get(GRPC_TIMEOUT) != Some(said) {
            return;
        }
        let left = at.saturating_duration_since(Instant::now());
        // What is counted is milliseconds, and up: a call that came straight here goes on as it is.
        let millis = left.as_nanos().div_ceil(1_000_000);
        let all = parse(said.as_bytes()).unwrap_or_default();
        if millis != all.as_nanos().div_ceil(1_000_000) && millis <= MAX {
            let left = HeaderValue::try_from(format!("{millis}m")).expect("a number is a header");
            request.headers_mut().insert(GRPC_TIMEOUT, left);
        }
    }
}

/// The largest number a timeout may be: eight digits.
const MAX: u128 = 99_999_999;

/// A timeout, as gRPC writes it: a number of up to eight digits, and its unit.
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        for (text, timeout) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("12345000u", Some(Duration::from_micros(12_345_000))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("70S", Some(Duration::from_secs(70))),
            ("5m", Some(Duration::from_millis(5))),
            ("123456789n", None),
            ("+5m", None),
            ("m", None),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), timeout, "{text:?}");
        }
    }

    fn request(timeout: &str) -> Request<Body> {
        let mut request = Request::new(Body::default());
        request
            .headers_mut()
            .insert(GRPC_TIMEOUT, timeout.parse().unwrap());
        let deadline = Deadline::of(request.headers()).unwrap();
        request.extensions_mut().insert(deadline);
        request
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_attempt_is_told_what_is_left() {
        let mut first = request("200000u");
        let mut second = first.clone();
        Deadline::tell_what_is_left(&mut first);
        assert_eq!(first.headers()[GRPC_TIMEOUT], "200000u", "all of it");
        tokio::time::advance(Duration::from_millis(150)).await;
        Deadline::tell_what_is_left(&mut second);
        assert_eq!(second.headers()[GRPC_TIMEOUT], "50m");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_of_a_layer_s_own_is_left_alone() {
        let mut request = request("1S");
        request
            .headers_mut()
            .insert(GRPC_TIMEOUT, "9S".parse().unwrap());
        tokio::time::advance(Duration::from_millis(150)).await;
        Deadline::tell_what_is_left(&mut request);
        assert_eq!(request.headers()[GRPC_TIMEOUT], "9S");
    }
}
