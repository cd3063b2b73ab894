//! The macro that declares a Go struct.

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
/// The struct gets `Clone`, `Debug`, `Default`, `PartialEq`, `Serialize`, `Deserialize` and
/// [`Fields`](crate::structs::Fields).
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
