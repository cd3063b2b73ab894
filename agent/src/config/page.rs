//! The reference page of settings, made from their table.

use std::fmt::Write;

use super::{Setting, document::Value, settings::SETTINGS};

const HEAD: &str = "\
# Settings

Made by `oneport settings --markdown`; a test holds this page to the program.

`oneport agent` takes its settings from flags and from files: `--config-file PATH`, as often as you like.
A file is JSON (`.json`) or TOML (`.toml`); a directory stands for all such files in it, in the order of
their names. Later files count, key by key; flags count over files. `oneport validate PATH...` says
everything that is wrong with files and starts nothing.

Keys, nesting and meaning are Consul's wherever Consul has the setting, so an operator's JSON works: what
Consul knows and this program has no use for yet is listed with a warning, and what neither knows is an
error. Settings that Consul has not are under `oneport`. A dot in a key means a table: `ports.server` is
`{\"ports\": {\"server\": 8300}}`.

A duration is text as Go writes it: `\"10s\"`, `\"1m30s\"`, `\"500ms\"`. The column *changes* says when a new
value counts after `oneport agent reload` or SIGHUP: `at once`, for `new connections`, or only after a
`restart`; the answer to a reload names what waits for a restart.
";

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let (consuls, ours): (Vec<_>, Vec<_>) = SETTINGS.iter().partition(|row| row.is_consuls());
    table(&mut page, "Consul's", &consuls);
    table(&mut page, "Ours", &ours);
    page
}

fn table(page: &mut String, title: &str, settings: &[&Setting]) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "\n## {title}\n");
    let _ = writeln!(page, "| key | default | must be | changes | meaning |");
    let _ = writeln!(page, "|---|---|---|---|---|");
    for setting in settings {
        let default = shown(&setting.default_value());
        let flag = setting.flag.map(|flag| format!(" Flag: `{flag}`."));
        let _ = writeln!(
            page,
            "| `{}` | {default} | {} | {} | {}{} |",
            setting.key,
            setting.field.allowed(),
            setting.change.label(),
            setting.meaning,
            flag.unwrap_or_default(),
        );
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "none".to_owned(),
        value => format!("`{value}`"),
    }
}

/// For a terminal: a line for each setting, with its default.
pub fn plain() -> String {
    let keys = SETTINGS.iter().map(|setting| setting.key.len()).max();
    let width = keys.unwrap_or(0);
    let mut page = String::new();
    for setting in SETTINGS {
        let (key, default) = (setting.key, shown(&setting.default_value()));
        let default = default.trim_matches('`').to_owned();
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{key:width$}  {default}");
        let _ = writeln!(page, "{:width$}    {}", "", setting.meaning);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_five_cells() {
        for line in markdown().lines().filter(|line| line.starts_with("| `")) {
            assert_eq!(line.matches(" | ").count(), 4, "{line}");
        }
    }
}
