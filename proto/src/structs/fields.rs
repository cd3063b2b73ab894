//! The fields of a struct, those of embedded structs among them, and how all of them are sent and read.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeStruct, Serializer};

/// The fields of a struct on the wire, those of embedded structs among them.
///
/// [`wire_struct!`](crate::wire_struct) implements it; there is little reason to do so by hand. Fields are
/// known by their place in the Go declaration, where an embedded struct takes as many places as it has
/// fields.
pub trait Fields: Default {
    /// The name of the struct in Go.
    const NAME: &'static str;
    /// How many fields there are.
    const COUNT: usize;
    /// Their names, in the order of declaration: the order of a struct that comes as an array.
    const DECLARED: &'static [&'static str];
    /// The same in the order of the bytes of their names: the order of a struct that is sent.
    const SORTED: &'static [Key];

    /// Writes the field at `place`.
    fn write<S: SerializeStruct>(&self, place: usize, out: &mut S) -> Result<(), S::Error>;

    /// Reads the field at `place`.
    fn read<'de, D: Deserializer<'de>>(&mut self, place: usize, from: D) -> Result<(), D::Error>;
}

/// The name of a field and its place in the declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub name: &'static str,
    /// The place.
    pub place: usize,
}

/// Puts the names of an embedded struct behind those that are there.
#[doc(hidden)]
#[must_use]
pub const fn append<const N: usize>(
    mut names: [&'static str; N],
    mut place: usize,
    embedded: &[&'static str],
) -> ([&'static str; N], usize) {
    let mut next = 0;
    while next < embedded.len() {
        names[place] = embedded[next];
        place += 1;
        next += 1;
    }
    (names, place)
}

/// Sorts the names of a struct bytewise. Two equal names stop the compiler.
#[doc(hidden)]
#[must_use]
pub const fn sort<const N: usize>(declared: &[&'static str]) -> [Key; N] {
    let mut keys = [Key { name: "", place: 0 }; N];
    let mut place = 0;
    while place < N {
        let key = Key {
            name: declared[place],
            place,
        };
        let mut at = place;
        while at > 0 && less(key.name.as_bytes(), keys[at - 1].name.as_bytes()) {
            keys[at] = keys[at - 1];
            at -= 1;
        }
        keys[at] = key;
        place += 1;
    }
    keys
}

/// Whether `left` sorts before `right`.
const fn less(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() {
        if left[at] != right[at] {
            return left[at] < right[at];
        }
        at += 1;
    }
    assert!(left.len() != right.len(), "two fields have the same name");
    left.len() < right.len()
}

/// Writes a struct: all fields, sorted by name.
#[doc(hidden)]
pub fn serialize_fields<T: Fields, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut out = serializer.serialize_struct(T::NAME, T::COUNT)?;
    for key in T::SORTED {
        value.write(key.place, &mut out)?;
    }
    out.end()
}

/// Reads a struct from a map, an array or nothing.
#[doc(hidden)]
pub fn deserialize_fields<'de, T: Fields, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut target = T::default();
    if deserializer.is_human_readable() {
        // JSON refuses null where it is asked for a struct.
        deserializer.deserialize_any(Whole(&mut target))?;
    } else {
        deserializer.deserialize_struct(T::NAME, T::DECLARED, Whole(&mut target))?;
    }
    Ok(target)
}

/// Reads a whole struct in its place: the larger ones are worth no move on the way back.
struct Whole<'a, T>(&'a mut T);

impl<'de, T: Fields> Visitor<'de> for Whole<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "struct {}", T::NAME)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut guess = 0;
        while let Some(found) = map.next_key_seed(Name {
            sorted: T::SORTED,
            guess,
        })? {
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            map.next_value_seed(Field {
                target: &mut *self.0,
                place: T::SORTED[index].place,
            })?;
            guess = index + 1;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for place in 0..T::COUNT {
            let field = Field {
                target: &mut *self.0,
                place,
            };
            if seq.next_element_seed(field)?.is_none() {
                return Ok(());
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads one field into its struct.
struct Field<'a, T> {
    target: &'a mut T,
    place: usize,
}

impl<'de, T: Fields> DeserializeSeed<'de> for Field<'_, T> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.target.read(self.place, from)
    }
}

/// Reads the name of a field and finds it among those that there are.
struct Name {
    sorted: &'static [Key],
    /// Where it is if the sender sorts its names and leaves none out.
    guess: usize,
}

impl Name {
    #[inline]
    fn find(&self, name: &[u8]) -> Option<usize> {
        if let Some(key) = self.sorted.get(self.guess)
            && same(key.name.as_bytes(), name)
        {
            return Some(self.guess);
        }
        self.sorted
            .binary_search_by(|key| key.name.as_bytes().cmp(name))
            .ok()
    }
}

/// Whether two names are equal. Most have 8 to 16 bytes, and two words are compared faster than called for.
#[inline]
fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    if left.len() > 16 {
        return left == right;
    }
    match (ends::<8>(left), ends::<8>(right)) {
        (Some(left), Some(right)) => left == right,
        _ => match (ends::<4>(left), ends::<4>(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left.iter().eq(right),
        },
    }
}

/// The first and the last `N` bytes, which may overlap.
#[inline]
fn ends<const N: usize>(bytes: &[u8]) -> Option<([u8; N], [u8; N])> {
    Some((*bytes.first_chunk()?, *bytes.last_chunk()?))
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<usize>, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    #[inline]
    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.find(name.as_bytes()))
    }

    #[inline]
    fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<Option<usize>, E> {
        Ok(self.find(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{less, same};

    #[test]
    fn names_of_every_length_are_told_apart() {
        let name = b"AllowNotModifiedResponse";
        for length in 0..=name.len() {
            assert!(same(&name[..length], &name[..length]));
            assert!(length == 0 || !same(&name[..length], &name[..length - 1]));
            for wrong in 0..length {
                let mut other = *name;
                other[wrong] ^= 0x20;
                assert!(!same(&name[..length], &other[..length]), "{length} {wrong}");
            }
        }
    }

    #[test]
    fn upper_case_sorts_before_lower_case_and_short_before_long() {
        assert!(less(b"Zebra", b"apple"));
        assert!(less(b"Key", b"Keys"));
        assert!(!less(b"Keys", b"Key"));
    }
}
