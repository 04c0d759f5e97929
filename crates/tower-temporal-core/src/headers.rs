use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use temporalio_common::protos::temporal::api::common::v1::{Header, Payload};

/// One map of Temporal headers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HeaderMap<'a> {
    /// Payloads, as for workflows and activities.
    Payloads(&'a HashMap<String, Payload>),
    /// Plain strings, as for Nexus operations.
    Strings(&'a HashMap<String, String>),
}

/// One map of Temporal headers, to be changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum HeaderMapMut<'a> {
    /// Payloads, as for workflows and activities.
    Payloads(&'a mut HashMap<String, Payload>),
    /// Payloads that a client's options hold only once there are any.
    Optional(&'a mut Option<Header>),
    /// Plain strings, as for Nexus operations.
    Strings(&'a mut HashMap<String, String>),
}

/// The Temporal headers of a call: no map for most operations, one for those that carry headers, and two for
/// update-with-start, whose start and update are headed separately.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    carried: usize,
    maps: [Option<HeaderMap<'a>>; 2],
}

impl<'a> Headers<'a> {
    /// The call carries no headers.
    pub const fn none() -> Self {
        Self {
            carried: 0,
            maps: [None, None],
        }
    }

    /// The call carries one map of headers.
    pub const fn one(map: HeaderMap<'a>) -> Self {
        Self {
            carried: 1,
            maps: [Some(map), None],
        }
    }

    /// The call carries headers that a client's options hold as `Option`.
    pub fn optional<const N: usize>(maps: [&'a Option<Header>; N]) -> Self {
        const { assert!(N <= 2, "a call carries at most two maps of headers") };
        let mut headers = Self::none();
        headers.carried = N;
        for (slot, map) in headers.maps.iter_mut().zip(maps) {
            *slot = map
                .as_ref()
                .map(|header| HeaderMap::Payloads(&header.fields));
        }
        headers
    }

    /// Whether this call can carry headers at all, filled or not.
    pub const fn are_carried(&self) -> bool {
        self.carried > 0
    }

    /// The payload of the header `name`, from the first map that has it.
    ///
    /// Nexus headers are strings, not payloads: see [`get_str`](Self::get_str).
    pub fn get(&self, name: &str) -> Option<&'a Payload> {
        self.maps().find_map(|map| match map {
            HeaderMap::Payloads(map) => map.get(name),
            HeaderMap::Strings(_) => None,
        })
    }

    /// The string of the header `name`, where headers are strings.
    pub fn get_str(&self, name: &str) -> Option<&'a str> {
        self.maps().find_map(|map| match map {
            HeaderMap::Strings(map) => map.get(name).map(String::as_str),
            HeaderMap::Payloads(_) => None,
        })
    }

    /// The value of the header `name`, decoded from JSON: as [`insert_json`](HeadersMut::insert_json) writes it, and the SDKs
    /// by default.
    ///
    /// # Errors
    ///
    /// The header is there, and is no `T` in JSON.
    pub fn get_json<T: DeserializeOwned>(&self, name: &str) -> serde_json::Result<Option<T>> {
        let payload = self.get(name);
        payload
            .map(|payload| serde_json::from_slice(&payload.data))
            .transpose()
    }

    /// Whether there is a header `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some() || self.get_str(name).is_some()
    }

    /// The maps that are there.
    pub fn maps(&self) -> impl Iterator<Item = HeaderMap<'a>> + use<'a> {
        self.maps.into_iter().flatten()
    }
}

/// The Temporal headers of a call, to be changed. What is written goes to every map the call carries.
#[derive(Debug)]
pub struct HeadersMut<'a> {
    maps: [Option<HeaderMapMut<'a>>; 2],
}

impl<'a> HeadersMut<'a> {
    /// The call carries no headers.
    pub const fn none() -> Self {
        Self { maps: [None, None] }
    }

    /// The call carries one map of headers.
    pub const fn one(map: HeaderMapMut<'a>) -> Self {
        Self {
            maps: [Some(map), None],
        }
    }

    /// The call carries headers that a client's options hold as `Option`.
    pub fn optional<const N: usize>(maps: [&'a mut Option<Header>; N]) -> Self {
        const { assert!(N <= 2, "a call carries at most two maps of headers") };
        let mut headers = Self::none();
        for (slot, map) in headers.maps.iter_mut().zip(maps) {
            *slot = Some(HeaderMapMut::Optional(map));
        }
        headers
    }

    /// Whether this call can carry headers at all.
    pub const fn are_carried(&self) -> bool {
        self.maps[0].is_some()
    }

    /// Sets the header `name`, replacing what was there. Does nothing where the call carries no headers.
    ///
    /// Where headers are strings (Nexus), the payload's data is written as text, and a JSON string without its quotes.
    ///
    /// # Errors
    ///
    /// [`InvalidHeaderValue`] when headers are strings and the payload is no text. The header is left as it was.
    pub fn insert(&mut self, name: &str, payload: Payload) -> Result<(), InvalidHeaderValue> {
        match &mut self.maps {
            // The usual case moves the payload in; only update-with-start, with its two maps, clones it.
            [Some(map), None] => map.insert(name, payload),
            maps => maps
                .iter_mut()
                .flatten()
                .try_for_each(|map| map.insert(name, payload.clone())),
        }
    }

    /// Sets the header `name` to `value` in JSON, with the encoding `json/plain`, as the SDKs do by default. As
    /// [`insert`](Self::insert) otherwise.
    ///
    /// # Errors
    ///
    /// `value` can't be written as JSON, and the header is left as it was.
    pub fn insert_json<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> serde_json::Result<()> {
        if !self.are_carried() {
            return Ok(());
        }
        let payload = Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: serde_json::to_vec(value)?,
            ..Payload::default()
        };
        self.insert(name, payload).expect("JSON is text");
        Ok(())
    }

    /// Removes the header `name`, and says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let mut removed = false;
        for map in self.maps.iter_mut().flatten() {
            removed |= match map {
                HeaderMapMut::Payloads(map) => map.remove(name).is_some(),
                HeaderMapMut::Optional(header) => header
                    .as_mut()
                    .is_some_and(|header| header.fields.remove(name).is_some()),
                HeaderMapMut::Strings(map) => map.remove(name).is_some(),
            };
        }
        removed
    }

    /// The maps themselves.
    pub fn into_maps(self) -> impl Iterator<Item = HeaderMapMut<'a>> {
        self.maps.into_iter().flatten()
    }
}

impl HeaderMapMut<'_> {
    fn insert(&mut self, name: &str, payload: Payload) -> Result<(), InvalidHeaderValue> {
        match self {
            Self::Payloads(map) => {
                map.insert(name.to_owned(), payload);
            }
            Self::Optional(header) => {
                header
                    .get_or_insert_default()
                    .fields
                    .insert(name.to_owned(), payload);
            }
            Self::Strings(map) => {
                map.insert(name.to_owned(), text_of(&payload, name)?);
            }
        }
        Ok(())
    }
}

/// The payload as a header string. A JSON string loses its quotes, as other SDKs write it, unless the text would then
/// read as a quoted string itself.
fn text_of(payload: &Payload, name: &str) -> Result<String, InvalidHeaderValue> {
    if let Ok(text) = serde_json::from_slice::<String>(&payload.data)
        && !text.starts_with('"')
    {
        return Ok(text);
    }
    String::from_utf8(payload.data.clone()).map_err(|_| InvalidHeaderValue {
        name: name.to_owned(),
    })
}

/// A header that must be a string was given a payload that is no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the header `{name}` can't be sent with a Nexus operation: its headers are strings, and the payload is no UTF-8 text"
)]
pub struct InvalidHeaderValue {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(data: impl Into<Vec<u8>>) -> Payload {
        Payload {
            data: data.into(),
            ..Default::default()
        }
    }

    #[test]
    fn optional_headers_are_made_when_written() {
        let (mut start, mut update) = (None, None);
        let mut headers = HeadersMut::optional([&mut start, &mut update]);
        headers.insert("user", payload("1")).unwrap();
        for header in [&start, &update] {
            assert_eq!(Headers::optional([header]).get("user"), Some(&payload("1")));
        }
    }

    #[test]
    fn optional_headers_stay_unset_when_nothing_is_written() {
        let mut header = None;
        assert!(!HeadersMut::optional([&mut header]).remove("user"));
        assert_eq!(header, None);
        assert!(Headers::optional([&header]).are_carried());
        assert!(!Headers::optional([&header]).contains("user"));
    }

    #[test]
    fn a_call_without_headers_takes_none() {
        let mut headers = HeadersMut::none();
        assert!(!headers.are_carried());
        assert_eq!(headers.insert("user", payload("1")), Ok(()));
    }

    #[test]
    fn values_are_written_as_json() {
        let mut header = None;
        let mut headers = HeadersMut::optional([&mut header]);
        headers.insert_json("user", "alice").unwrap();
        headers.insert_json("ids", &[1, 2]).unwrap();
        let headers = Headers::optional([&header]);
        let user = headers.get("user").unwrap();
        assert_eq!(user.data, br#""alice""#);
        assert_eq!(user.metadata["encoding"], b"json/plain");
        let user: Option<String> = headers.get_json("user").unwrap();
        assert_eq!(user.as_deref(), Some("alice"));
        assert_eq!(headers.get_json("ids").unwrap(), Some([1, 2]));
        assert_eq!(headers.get_json::<u32>("other").unwrap(), None);
        assert!(headers.get_json::<u32>("user").is_err());
        assert!(HeadersMut::none().insert_json("user", "alice").is_ok());
    }

    #[test]
    fn nexus_headers_are_text() {
        let mut map = HashMap::new();
        let mut headers = HeadersMut::one(HeaderMapMut::Strings(&mut map));
        headers.insert("plain", payload(r#""alice""#)).unwrap();
        headers.insert("quoted", payload(r#""\"x\"""#)).unwrap();
        headers.insert("object", payload(r#"{"a":1}"#)).unwrap();
        let error = headers.insert("binary", payload([0xff])).unwrap_err();
        assert!(error.to_string().contains("`binary`"), "{error}");
        let headers = Headers::one(HeaderMap::Strings(&map));
        assert_eq!(headers.get_str("plain"), Some("alice"));
        assert_eq!(headers.get_str("quoted"), Some(r#""\"x\"""#));
        assert_eq!(headers.get_str("object"), Some(r#"{"a":1}"#));
        assert!(!headers.contains("binary"));
    }
}
