//! The macro that declares a Go struct, and what it stands on.

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

/// Declares a struct of Consul's net/rpc.
///
/// ```
/// use oneport_proto::structs::{Fields, GoString, QueryOptions};
///
/// oneport_proto::wire_struct! {
///     /// Asks for one key.
///     pub struct KeyRequest {
///         /// The datacenter that is asked.
///         pub datacenter: GoString = "Datacenter",
///         /// The key.
///         pub key: GoString = "Key",
///         /// How to read.
///         pub query: QueryOptions => embed,
///     }
/// }
///
/// assert_eq!(KeyRequest::COUNT, 14);
/// assert_eq!(KeyRequest::SORTED[2].name, "Datacenter");
/// ```
///
/// The struct gets `Clone`, `Debug`, `Default`, `PartialEq`, [`Fields`], `Serialize` and `Deserialize`.
/// A `#[derive(…)]` of more goes above it like on any struct.
///
/// Why a macro: Go merges the fields of an embedded struct into those of its parent and sends all of them
/// sorted by name. Only the declaration knows all names, the order has to be settled when the program is
/// compiled, and no function can declare a struct. serde's own `flatten` buffers every field that it
/// passes down, which is slow and forgets what the decoder knows about bytes and strings.
///
/// Reading is as lenient as Go: keys may miss, be unknown, come twice (the last counts) or in any order;
/// the sorted order is guessed and costs one comparison a key. An array is read by declaration, where an
/// embedded struct stands where it is declared. Nil is the default of everything.
#[macro_export]
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[$doc:meta])*
                $fvis:vis $field:ident : $type:ty $(= $key:literal)? $(=> $embed:ident)?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $name {
            $($(#[$doc])* $fvis $field: $type,)*
        }

        impl $crate::structs::Fields for $name {
            const NAME: &'static str = ::core::stringify!($name);
            const COUNT: usize = 0 $(+ $crate::wire_struct!(@count $type $(= $key)? $(=> $embed)?))*;
            const DECLARED: &'static [&'static str] = &{
                let names = [""; <$name as $crate::structs::Fields>::COUNT];
                let place = 0;
                $(let (names, place) =
                    $crate::wire_struct!(@declare names place $type $(= $key)? $(=> $embed)?);)*
                ::core::assert!(place == names.len());
                names
            };
            const SORTED: &'static [$crate::structs::Key] = &$crate::structs::sort::<
                { <$name as $crate::structs::Fields>::COUNT },
            >(<$name as $crate::structs::Fields>::DECLARED);

            #[inline]
            #[allow(unused_variables)]
            fn write<S: $crate::structs::serde::ser::SerializeStruct>(
                &self,
                place: usize,
                out: &mut S,
            ) -> ::core::result::Result<(), S::Error> {
                let first = 0;
                $(let first = $crate::wire_struct!(
                    @write self $field place first out $type $(= $key)? $(=> $embed)?
                );)*
                ::core::result::Result::Ok(())
            }

            #[inline]
            #[allow(unused_variables)]
            fn read<'de, D: $crate::structs::serde::Deserializer<'de>>(
                &mut self,
                place: usize,
                from: D,
            ) -> ::core::result::Result<(), D::Error> {
                let first = 0;
                $(let first = $crate::wire_struct!(
                    @read self $field place first from $type $(= $key)? $(=> $embed)?
                );)*
                ::core::result::Result::Ok(())
            }
        }

        impl $crate::structs::serde::Serialize for $name {
            fn serialize<S: $crate::structs::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::structs::serialize_fields(self, serializer)
            }
        }

        impl<'de> $crate::structs::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::structs::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::structs::deserialize_fields(deserializer)
            }
        }
    };

    // How many places a field takes.
    (@count $type:ty = $key:literal) => { 1 };
    (@count $type:ty => embed) => { <$type as $crate::structs::Fields>::COUNT };

    // The names with those of one more field.
    (@declare $names:ident $place:ident $type:ty = $key:literal) => {{
        let mut names = $names;
        names[$place] = $key;
        (names, $place + 1)
    }};
    (@declare $names:ident $place:ident $type:ty => embed) => {
        $crate::structs::append($names, $place, <$type as $crate::structs::Fields>::DECLARED)
    };

    // Writes the field if it is meant, else tells the place of the next one.
    (@write $self:ident $field:ident $place:ident $first:ident $out:ident $type:ty = $key:literal) => {{
        if $place == $first {
            return $out.serialize_field($key, &$self.$field);
        }
        $first + 1
    }};
    (@write $self:ident $field:ident $place:ident $first:ident $out:ident $type:ty => embed) => {{
        let next = $first + <$type as $crate::structs::Fields>::COUNT;
        if $place < next {
            return $crate::structs::Fields::write(&$self.$field, $place - $first, $out);
        }
        next
    }};

    // Reads the field if it is meant, else tells the place of the next one.
    (@read $self:ident $field:ident $place:ident $first:ident $from:ident $type:ty = $key:literal) => {{
        if $place == $first {
            $self.$field = $crate::structs::serde::Deserialize::deserialize($from)?;
            return ::core::result::Result::Ok(());
        }
        $first + 1
    }};
    (@read $self:ident $field:ident $place:ident $first:ident $from:ident $type:ty => embed) => {{
        let next = $first + <$type as $crate::structs::Fields>::COUNT;
        if $place < next {
            return $crate::structs::Fields::read(&mut $self.$field, $place - $first, $from);
        }
        next
    }};
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
