//! JSON objects that only pass by: their keys in order, their values as they were written.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Up to this many keys, looking for a double one by one is faster than building an index.
const FEW: usize = 32;

/// One level of a JSON object: what is in the values stays as it is, byte for byte.
///
/// A key that is there twice has its first place and its last value, as in [`serde_json::Map`].
#[derive(Debug, Clone, Default)]
pub(crate) struct RawObject<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> RawObject<'a> {
    /// Reads one level of `raw`; nothing when it is no object.
    pub(crate) fn parse(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }

    /// The value of a key that holds a string.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(|value| serde_json::from_str(value.get()).ok())
    }

    /// The value of a key that holds an object.
    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        self.get(key).and_then(Self::parse)
    }

    /// Replaces the value of a key in its place, or adds the key at the end.
    pub(crate) fn set(&mut self, key: &'a str, value: &'a RawValue) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((Cow::Borrowed(key), value)),
        }
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|(known, _)| known != key);
    }

    /// The object as JSON text.
    pub(crate) fn to_raw(&self) -> Box<RawValue> {
        serde_json::value::to_raw_value(self).expect("texts and JSON values make a JSON object")
    }
}

impl Serialize for RawObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(8).min(FEW));
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Fields).map(|fields| Self(without_doubles(fields)))
    }
}

/// A key that borrows when it holds no escapes; `Cow` by itself always copies.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

type Field<'a> = (Cow<'a, str>, &'a RawValue);

fn without_doubles(fields: Vec<Field<'_>>) -> Vec<Field<'_>> {
    let mut index = (fields.len() > FEW).then(HashMap::new);
    let mut kept: Vec<Field<'_>> = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        let known = match &mut index {
            None => kept.iter().position(|(known, _)| *known == key),
            Some(index) => {
                let place = *index.entry(key.clone()).or_insert(kept.len());
                (place < kept.len()).then_some(place)
            }
        };
        match known {
            Some(place) => kept[place].1 = value,
            None => kept.push((key, value)),
        }
    }
    kept
}

/// The first `most` items of a JSON array, and how many more there are: what is not wanted costs no room.
pub(crate) fn items(json: &str, most: usize) -> serde_json::Result<(Vec<&RawValue>, usize)> {
    struct Items(usize);

    impl<'de> Visitor<'de> for Items {
        type Value = (Vec<&'de RawValue>, usize);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let (mut items, mut more) = (Vec::new(), 0);
            while items.len() < self.0 {
                match list.next_element()? {
                    Some(item) => items.push(item),
                    None => return Ok((items, 0)),
                }
            }
            while list.next_element::<IgnoredAny>()?.is_some() {
                more += 1;
            }
            Ok((items, more))
        }
    }

    let mut reader = serde_json::Deserializer::from_str(json);
    let items = reader.deserialize_seq(Items(most))?;
    reader.end()?;
    Ok(items)
}

/// How deep objects and arrays are nested in a JSON text. It is a scan: no text is too deep for it.
pub(crate) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> RawObject<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn so_many_items_of_a_list_are_read_and_the_others_counted() {
        let texts = |json, most| items(json, most).map(|(items, more)| (items.iter().map(|i| i.get()).collect(), more));
        assert_eq!(texts("[1, {\"a\":[]} ,3]", 2).unwrap(), (vec!["1", "{\"a\":[]}"], 1));
        assert_eq!(texts(" [] ", 2).unwrap(), (vec![], 0));
        for bad in ["{}", "[1,2", "[1,2]x", "[1,2,x]", "7"] {
            assert!(texts(bad, 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_and_the_order_of_keys_survive_as_they_were_written() {
        let json = r#"{"z":1.0,"a":1e400,"m":{"y" : [ 1 ],"x":"\u0041"},"b":12345678901234567890123}"#;
        assert_eq!(object(json).to_raw().get(), json);
    }

    #[test]
    fn a_double_key_has_its_first_place_and_its_last_value() {
        assert_eq!(object(r#"{"a":1,"b":2,"a":3}"#).to_raw().get(), r#"{"a":3,"b":2}"#);
        let many: Vec<String> = (0..100).map(|n| format!(r#""k{}":{n}"#, n % 50)).collect();
        let many = object(&format!("{{{}}}", many.join(","))).to_raw();
        assert!(many.get().starts_with(r#"{"k0":50,"k1":51,"#), "{many}");
        assert!(many.get().ends_with(r#""k49":99}"#), "{many}");
    }

    #[test]
    fn keys_are_borrowed_unless_they_hold_escapes() {
        let fields = object(r#"{"plain":1,"\u0061\n":2}"#).0;
        assert!(matches!(&fields[0].0, Cow::Borrowed("plain")));
        assert!(matches!(&fields[1].0, Cow::Owned(key) if key == "a\n"));
    }

    #[test]
    fn a_key_is_set_in_its_place_or_at_the_end_and_can_be_taken_out() {
        let [one, two] = ["[1]", "[2]"].map(|json| RawValue::from_string(json.to_owned()).unwrap());
        let mut fields = object(r#"{"a":0,"b":true}"#);
        fields.set("a", &one);
        fields.set("c", &two);
        fields.remove("b");
        assert_eq!(fields.to_raw().get(), r#"{"a":[1],"c":[2]}"#);
        assert_eq!(fields.get("c").map(RawValue::get), Some("[2]"));
        assert!(fields.get("b").is_none());
    }

    #[test]
    fn texts_and_objects_are_read_only_where_they_are_some() {
        let fields = object(r#"{"t":"x\ty","o":{"k":1},"n":null}"#);
        assert_eq!(fields.text("t").as_deref(), Some("x\ty"));
        assert!(fields.object("o").is_some_and(|inner| inner.get("k").is_some()));
        assert!(fields.text("n").is_none() && fields.object("t").is_none());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["[]", "1", "null", r#""{}""#] {
            assert!(serde_json::from_str::<RawObject<'_>>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        assert_eq!(depth("1"), 0);
        assert_eq!(depth(r#"{"a":[{}],"b":"[[[[\"[[["}"#), 3);
        assert_eq!(depth(&"[".repeat(100_000)), 100_000);
    }
}
