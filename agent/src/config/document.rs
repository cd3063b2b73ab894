//! A settings file as a tree in which everything knows its place.

use std::{fmt, path::Path};

use jsonc_parser::{
    ParseOptions,
    ast::{self, ObjectPropName},
    common::Ranged,
    parse_to_ast,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The forms that a settings file may have, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.json`
    Json,
    /// `.toml`
    Toml,
}

impl Form {
    /// The form of a file with this name.
    pub fn of(path: &Path) -> Option<Form> {
        match path.extension()?.to_str()? {
            "json" => Some(Form::Json),
            "toml" => Some(Form::Toml),
            _ => None,
        }
    }
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of a byte.
    fn of(text: &str, byte: usize) -> Place {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[start..].chars().count() + 1;
        Place { line, column }
    }
}

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

impl Node {
    /// A value that is in no file.
    pub fn of(value: Value) -> Node {
        let place = Place { line: 1, column: 1 };
        Node { place, value }
    }
}

/// What can be written in a settings file.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// JSON's null: as if the key were not there.
    Null,
    /// A truth value.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Number(f64),
    /// Text; TOML's dates are text too.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A table: its keys in the file's order, each with its place.
    Table(Vec<(String, Place, Node)>),
}

/// As it would be in JSON; lists and tables are only named.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Whole(number) => write!(f, "{number}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(_) => f.write_str("a list"),
            Value::Table(_) => f.write_str("a table"),
        }
    }
}

/// Text that is not of its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where, if that is known.
    pub place: Option<Place>,
    /// What is wrong there.
    pub what: String,
}

/// The tree of a file.
///
/// # Errors
/// Where the text is not of its form, or not a table.
pub fn parse(text: &str, form: Form) -> Result<Node, Malformed> {
    match form {
        Form::Json => json(text),
        Form::Toml => toml(text),
    }
}

/// JSON as it is standardised: none of its many extensions.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

fn json(text: &str) -> Result<Node, Malformed> {
    let parsed = parse_to_ast(text, &Default::default(), &STRICT).map_err(|error| Malformed {
        place: Some(Place::of(text, error.range().start)),
        what: error.kind().to_string(),
    })?;
    match parsed.value {
        Some(ast::Value::Object(object)) => Ok(json_node(text, &ast::Value::Object(object))),
        other => Err(Malformed {
            place: other.map(|value| Place::of(text, value.start())),
            what: "a settings file is one JSON object".to_owned(),
        }),
    }
}

fn json_node(text: &str, value: &ast::Value<'_>) -> Node {
    let place = Place::of(text, value.start());
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(flag) => Value::Flag(flag.value),
        ast::Value::NumberLit(number) => number_of(number.value),
        ast::Value::StringLit(string) => Value::Text(string.value.clone().into_owned()),
        ast::Value::Array(array) => {
            let nodes = array.elements.iter().map(|value| json_node(text, value));
            Value::List(nodes.collect())
        }
        ast::Value::Object(object) => {
            let entry = |property: &ast::ObjectProp<'_>| {
                let name = match &property.name {
                    ObjectPropName::String(name) => name.value.clone().into_owned(),
                    ObjectPropName::Word(name) => name.value.to_owned(),
                };
                let place = Place::of(text, property.start());
                (name, place, json_node(text, &property.value))
            };
            Value::Table(object.properties.iter().map(entry).collect())
        }
    };
    Node { place, value }
}

fn toml(text: &str) -> Result<Node, Malformed> {
    let table = DeTable::parse(text).map_err(|error| Malformed {
        place: error.span().map(|span| Place::of(text, span.start)),
        what: error.message().to_owned(),
    })?;
    Ok(Node {
        place: Place { line: 1, column: 1 },
        value: toml_table(text, table.get_ref()),
    })
}

fn toml_table(text: &str, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let entry = |(name, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let place = Place::of(text, name.span().start);
        (name.get_ref().to_string(), place, toml_node(text, value))
    };
    Value::Table(entries.into_iter().map(entry).collect())
}

fn toml_node(text: &str, value: &Spanned<DeValue<'_>>) -> Node {
    let place = Place::of(text, value.span().start);
    let value = match value.get_ref() {
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            parsed.map_or_else(|_| Value::Text(number.to_string()), Value::Whole)
        }
        DeValue::Float(number) => number_of(number.as_str()),
        DeValue::String(string) => Value::Text(string.to_string()),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(array) => {
            Value::List(array.iter().map(|node| toml_node(text, node)).collect())
        }
        DeValue::Table(table) => toml_table(text, table),
    };
    Node { place, value }
}

/// A number of either form. One that no type of ours can hold is kept as text, for the error.
fn number_of(text: &str) -> Value {
    if let Ok(whole) = text.parse() {
        return Value::Whole(whole);
    }
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.map_or_else(|| Value::Text(text.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize) -> Place {
        Place { line, column }
    }

    #[test]
    fn both_forms_give_the_same_tree() {
        let json = "{\n  \"a\": {\"b\": [1, -2.5, \"x\", true]}\n}";
        let toml = "[a]\nb = [1, -2.5, \"x\", true]\n";
        for (text, form, at) in [
            (json, Form::Json, place(2, 9)),
            (toml, Form::Toml, place(2, 1)),
        ] {
            let Value::Table(top) = parse(text, form).unwrap().value else {
                panic!("{form:?}");
            };
            let Value::Table(inner) = &top[0].2.value else {
                panic!("{form:?}");
            };
            assert_eq!((inner[0].0.as_str(), inner[0].1), ("b", at));
            let Value::List(items) = &inner[0].2.value else {
                panic!("{form:?}");
            };
            let shown: Vec<_> = items.iter().map(|item| item.value.to_string()).collect();
            assert_eq!(shown, ["1", "-2.5", "\"x\"", "true"]);
        }
    }

    #[test]
    fn columns_count_characters() {
        let node = parse("{\"ä\": 1}", Form::Json).unwrap();
        let Value::Table(entries) = node.value else {
            panic!()
        };
        assert_eq!(entries[0].2.place, place(1, 7));
    }

    #[test]
    fn what_is_malformed_says_where() {
        let error = parse("{\n  \"a\": 1,\n}", Form::Json).unwrap_err();
        assert_eq!(error.place.map(|place| place.line), Some(2));
        let error = parse("a = 1\nb = \n", Form::Toml).unwrap_err();
        assert_eq!(error.place.map(|place| place.line), Some(2));
        let error = parse("[]", Form::Json).unwrap_err();
        assert_eq!(error.what, "a settings file is one JSON object");
        assert!(parse("", Form::Json).is_err());
        // Comments and the like are other tools' JSON.
        assert!(parse("{} // so", Form::Json).is_err());
        assert!(parse(&"[".repeat(100_000), Form::Json).is_err());
        assert!(parse(&format!("a = {}", "[".repeat(100_000)), Form::Toml).is_err());
    }
}
