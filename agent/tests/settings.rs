//! Settings files: what every setting takes, at its limits, and what is said of everything else.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::PathBuf, time::Duration};

use oneport::layers::auth::Level;
use oneport_agent::config::{
    Setting,
    document::Value,
    field::{Field, Spanned},
    load::{Loaded, load},
    page,
    settings::SETTINGS,
    span::Span,
};
use serde_json::json;
use tempfile::TempDir;

/// A directory with these files.
fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// Reads one file and gives the settings or the complaints, without the directory's name.
fn read(name: &str, text: &str) -> Result<Loaded, Vec<String>> {
    read_all(&dir(&[(name, text)]), &[name])
}

fn read_all(dir: &TempDir, names: &[&str]) -> Result<Loaded, Vec<String>> {
    let paths: Vec<PathBuf> = names.iter().map(|name| dir.path().join(name)).collect();
    let here = format!("{}/", dir.path().display());
    load(&paths).map_err(|problems| {
        let said = problems.iter().map(|problem| problem.to_string());
        said.map(|text| text.replace(&here, "")).collect()
    })
}

/// A file that sets one key, in both forms.
fn files(key: &str, value: &serde_json::Value) -> [(&'static str, String); 2] {
    let mut json = value.clone();
    for part in key.rsplit('.') {
        json = json!({ part: json });
    }
    [
        ("a.json", json.to_string()),
        ("a.toml", format!("{key} = {}\n", toml(value))),
    ]
}

/// A value as TOML has it.
fn toml(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        serde_json::Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(name, value)| format!("{name:?} = {}", toml(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

/// The values at the limits of a setting, and those just beyond.
fn edges(field: &Field) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
    let (mut good, mut bad) = (Vec::new(), vec![json!([1]), json!({})]);
    match field {
        Field::Name(_) => {
            good.extend([json!("a"), json!("Az-_09"), json!("n".repeat(128))]);
            bad.extend([json!(""), json!("a.b"), json!("n".repeat(129)), json!(1)]);
        }
        Field::Flag(_) => {
            good.extend([json!(true), json!(false)]);
            bad.extend([json!("true"), json!(1)]);
        }
        Field::Whole(_, least, most) => {
            // TOML's numbers are those of an i64.
            let most = (*most).min(i64::MAX.unsigned_abs());
            good.extend([json!(least), json!(most)]);
            bad.extend([json!(-1), json!(1.5), json!("1")]);
            bad.extend(least.checked_sub(1).map(|less| json!(less)));
            if most < i64::MAX.unsigned_abs() {
                bad.push(json!(most + 1));
            }
        }
        Field::Span(at, least, most) => {
            let step = match at {
                Spanned::Seconds(_) => Duration::from_secs(1),
                _ => Duration::from_nanos(1),
            };
            good.extend([
                json!(Span(*least).to_string()),
                json!(Span(*most).to_string()),
            ]);
            bad.extend([json!("-1s"), json!("soon"), json!(10)]);
            bad.push(json!(format!("{}{}", Span(*most), Span(step))));
            match (at, least.checked_sub(step)) {
                (Spanned::Maybe(_), _) => good.push(json!("0s")),
                (_, Some(less)) => bad.push(json!(Span(less).to_string())),
                (_, None) => {}
            }
        }
        Field::Address(_) => {
            good.extend([json!("0.0.0.0"), json!("::1")]);
            bad.extend([json!(""), json!("localhost"), json!("127.0.0.1:80")]);
        }
        Field::Reachable(_) => {
            good.extend([json!("10.0.0.1"), json!("")]);
            bad.extend([json!("0.0.0.0"), json!("::"), json!("x")]);
        }
        Field::Socket(_) => {
            good.extend([json!("127.0.0.1:0"), json!("[::1]:65535"), json!("")]);
            bad.extend([json!("127.0.0.1"), json!(":80"), json!("127.0.0.1:65536")]);
        }
        Field::Path(_, most) => {
            good.extend([json!("/x"), json!("p".repeat(*most)), json!("")]);
            bad.extend([json!("p".repeat(most + 1)), json!(1)]);
        }
        Field::Mode(_) => {
            good.extend([json!("0001"), json!("0777"), json!("0660")]);
            bad.extend([json!("0"), json!("1000"), json!("8"), json!(""), json!(660)]);
        }
        Field::Choice(choice) => {
            good.extend(choice.words.iter().map(|word| json!(word)));
            good.push(json!(choice.words[0].to_uppercase()));
            bad.extend([json!("nonsense"), json!(1), json!("")]);
        }
        Field::Rate(_) => {
            good.extend([json!(-1), json!(1_000_000_000), json!(0.5), json!(100)]);
            bad.extend([
                json!(0),
                json!(1_000_000_001),
                json!(0.000_001),
                json!("10"),
            ]);
        }
        Field::Secret(_) => {
            good.extend([json!("s".repeat(8)), json!("s".repeat(1024)), json!("")]);
            bad.extend([json!("s".repeat(7)), json!("s".repeat(1025)), json!(1)]);
        }
        Field::Tokens(_) => {
            let token = |secret: &str| json!({"accessor": "a", "secret": secret});
            good.extend([json!([]), json!([token("12345678")])]);
            bad = vec![
                json!({}),
                json!([1]),
                json!([token("1234567")]),
                json!([{}]),
            ];
            bad.push(json!([{"accessor": "", "secret": "12345678"}]));
        }
        Field::Rules(_) => {
            let rules = |level: &str| json!({"key_prefix": {"": level}});
            good.extend([rules("deny"), rules("write"), json!({})]);
            let long = "k".repeat(1025);
            bad = vec![
                json!([1]),
                rules("all"),
                json!({"keys": {}}),
                json!({"key": 1}),
            ];
            bad.push(json!({"key": {long: "read"}}));
        }
        Field::Networks(_) => {
            good.extend([json!([]), json!(["10.0.0.0/8", "fd00::/8", "10.1.2.3"])]);
            bad = vec![
                json!({}),
                json!(["10.0.0.0/33"]),
                json!("10.0.0.0/8"),
                json!([1]),
            ];
        }
    }
    (good, bad)
}

/// What does not fit to the defaults of other settings is not the limit of this one.
fn alone(errors: &[String], setting: &Setting) -> bool {
    let (key, limit) = (setting.key, setting.field.allowed());
    let whole = format!(": {key} is ");
    // An error about a part of a list or a table has the part's own limit.
    let parts = [format!(": {key}["), format!(": {key}.")];
    !errors.iter().any(|error| {
        let part = parts.iter().any(|part| error.contains(part));
        part || error.contains(&whole) && error.ends_with(&limit)
    })
}

#[test]
fn every_setting_holds_at_its_limits_and_not_beyond() {
    for setting in SETTINGS {
        let (good, bad) = edges(&setting.field);
        for value in good {
            for (name, text) in files(setting.key, &value) {
                if let Err(errors) = read(name, &text) {
                    assert!(alone(&errors, setting), "{text}: {errors:?}");
                }
            }
        }
        for value in bad {
            for (name, text) in files(setting.key, &value) {
                let errors = read(name, &text).unwrap_err();
                assert!(!alone(&errors, setting), "{text}: {errors:?}");
                assert!(errors[0].starts_with(&format!("{name}:1:")), "{errors:?}");
            }
        }
    }
}

#[test]
fn every_setting_is_read_back_as_it_was_written() {
    for setting in SETTINGS.iter().filter(|setting| setting.field.is_shown()) {
        let (good, _) = edges(&setting.field);
        for value in good {
            let [(name, text), _] = files(setting.key, &value);
            let Ok(loaded) = read(name, &text) else {
                // It does not fit to the defaults of others.
                continue;
            };
            let read = setting.field.get(&loaded.config);
            if !matches!(read, Value::List(_)) {
                let (read, value) = (read.to_string(), value.to_string());
                assert_eq!(read.to_lowercase(), value.to_lowercase(), "{}", setting.key);
            }
        }
    }
}

#[test]
fn keys_are_there_once() {
    for (at, setting) in SETTINGS.iter().enumerate() {
        assert!(SETTINGS[..at].iter().all(|other| other.key != setting.key));
        assert!(Setting::of(setting.key).is_some());
    }
}

#[test]
fn the_page_is_the_one_that_the_table_makes() {
    let page = include_str!("../../docs/settings.md");
    assert!(
        page == page::markdown(),
        "docs/settings.md is not what `oneport settings --markdown` prints"
    );
}

#[test]
fn an_operators_file_works() {
    let text = r#"{
      "server": true, "bootstrap_expect": 3, "data_dir": "/opt/consul",
      "datacenter": "dc2", "node_name": "web-1", "bind_addr": "0.0.0.0",
      "node_meta": {"rack": "r1"}, "retry_join": ["10.0.0.1"],
      "ports": {"server": 9300, "http": 8500},
      "limits": {"rpc_max_conns_per_client": 50, "rpc_handshake_timeout": "1m30s"},
      "performance": {"raft_multiplier": 1, "leave_drain_time": "7s"},
      "dns_config": {"node_ttl": "5s", "service_ttl": {"*": "5s"}},
      "log_level": "WARN", "log_json": null
    }"#;
    let loaded = read("a.json", text).unwrap();
    let config = loaded.config;
    assert_eq!(
        (config.node.as_str(), config.datacenter.as_str()),
        ("web-1", "dc2")
    );
    assert_eq!(config.listen_addr().to_string(), "0.0.0.0:9300");
    assert_eq!(config.listen.max_conns_per_source, 50);
    assert_eq!(config.first_byte, Duration::from_secs(90));
    assert_eq!(config.listen.grace, Duration::from_secs(7));
    let unused: Vec<_> = loaded
        .unused
        .iter()
        .map(|unused| unused.key.as_str())
        .collect();
    let expected = [
        "server",
        "bootstrap_expect",
        "data_dir",
        "node_meta",
        "retry_join",
        "ports.http",
        "performance.raft_multiplier",
        "dns_config.node_ttl",
        "dns_config.service_ttl",
    ];
    assert_eq!(unused, expected);
}

#[test]
fn what_would_leave_a_door_open_is_refused() {
    let text = r#"{"tls": {"defaults": {"verify_incoming": true, "ca_file": "x"}}, "acl_default_policy": "deny"}"#;
    assert_eq!(
        read("a.json", text).unwrap_err(),
        [
            "a.json:1:23: tls.defaults.verify_incoming has no use here: TLS is not served yet, so plain connections would be taken: leave it out if that is meant",
            "a.json:1:66: acl_default_policy has no use here: write acl.default_policy instead",
        ]
    );
    assert!(read("a.json", r#"{"verify_incoming": false}"#).is_ok());
}

#[test]
fn later_files_count_key_by_key() {
    let dir = dir(&[
        ("1.json", r#"{"ports": {"server": 1}, "datacenter": "one"}"#),
        ("2.toml", "node_name = \"two\"\n[ports]\nserver = 2\n"),
        ("notes.txt", "not settings"),
    ]);
    let told = |loaded: Loaded| {
        let config = loaded.config;
        (config.server_port, config.datacenter, config.node)
    };
    let both = read_all(&dir, &["1.json", "2.toml"]).unwrap();
    assert_eq!(told(both), (2, "one".into(), "two".into()));
    let whole = read_all(&dir, &[""]).unwrap();
    assert_eq!(told(whole), (2, "one".into(), "two".into()));
    let turned = read_all(&dir, &["2.toml", "1.json"]).unwrap();
    assert_eq!(told(turned), (1, "one".into(), "two".into()));
}

#[test]
fn all_that_is_wrong_is_said_with_its_place() {
    let text = r#"{
  "datacentre": "dc1",
  "ports": {"server": "many"},
  "limits": 7,
  "log_level": "loud", "log_level": "info",
  "dns_config": {"node_tll": "5s"}
}"#;
    assert_eq!(
        read("a.json", text).unwrap_err(),
        [
            "a.json:2:3: there is no setting datacentre; did you mean datacenter?",
            "a.json:3:23: ports.server is \"many\", but it must be a whole number from 0 to 65535",
            "a.json:4:13: limits is 7, but it must be a table",
            "a.json:5:16: log_level is \"loud\", but it must be one of off, error, warn, info, debug, trace",
            "a.json:5:24: log_level is there twice",
            "a.json:6:18: there is no setting dns_config.node_tll; did you mean dns_config.node_ttl?",
        ]
    );
    let text = "[limits]\nrpc_handshake_timeout = 5\n[oneport.listen]\nmax_con = 1\n";
    assert_eq!(
        read("a.toml", text).unwrap_err(),
        [
            "a.toml:2:25: limits.rpc_handshake_timeout is 5, but it must be a duration like \"10s\" or \"1m30s\", 0s to 1h0m0s",
            "a.toml:4:1: there is no setting oneport.listen.max_con; did you mean oneport.listen.max_conns?",
        ]
    );
}

#[test]
fn what_does_not_fit_together_is_said_at_its_place() {
    assert_eq!(
        read("a.json", r#"{"default_query_time": "20m"}"#).unwrap_err(),
        [
            "a.json:1:24: default_query_time is \"20m0s\", but it must be at most max_query_time, 10m0s"
        ]
    );
    // The default of the one does not fit to the other.
    assert_eq!(
        read("a.json", r#"{"max_query_time": "1m"}"#).unwrap_err(),
        [
            "a.json:1:20: default_query_time is \"5m0s\", but it must be at most max_query_time, 1m0s"
        ]
    );
}

#[test]
fn tokens_and_rules_are_read_and_secrets_are_not_told() {
    let text = r#"{
      "acl": {"enabled": true, "default_policy": "deny", "tokens": {"initial_management": "root-secret"}},
      "oneport": {"acl": {
        "anonymous": {"key_prefix": {"public/": "read"}},
        "tokens": [{"accessor": "a-1", "secret": "web-secret", "name": "web",
                    "rules": {"key": {"one": "deny"}, "key_prefix": {"web/": "write"},
                              "method_prefix": {"KVS.List": "deny"}}}]
      }, "networks": {"deny": ["10.0.0.0/8"]}}
    }"#;
    let config = read("a.json", text).unwrap().config;
    let table = config.acl.table();
    assert_eq!(table.tokens.len(), 2);
    assert_eq!(table.tokens[1].name, "web");
    assert_eq!(
        table.tokens[1].rules.key_prefix,
        [("web/".to_owned(), Level::Write)]
    );
    assert_eq!(
        table.anonymous.key_prefix,
        [("public/".to_owned(), Level::Read)]
    );
    assert_eq!(table.default, Level::Deny);
    assert!(!format!("{config:?}").contains("secret\""));

    let token = |rest: &str| format!(r#"{{"oneport": {{"acl": {{"tokens": [{rest}]}}}}}}"#);
    let said = |rest: &str| read("a.json", &token(rest)).unwrap_err().join("\n");
    assert_eq!(
        said(r#"{"accessor": "a", "secret": "short"}"#),
        "a.json:1:61: oneport.acl.tokens[0].secret is not shown, but it must be a secret of 8 to 1024 bytes"
    );
    assert_eq!(
        said(r#"{"accessor": "a", "secret": "12345678", "rules": {"key": {"k": "all"}}}"#),
        "a.json:1:96: oneport.acl.tokens[0].rules.key.\"k\" is \"all\", but it must be one of deny, read, write"
    );
    assert_eq!(
        said(r#"{"secret": "12345678"}"#),
        "a.json:1:33: oneport.acl.tokens[0].accessor is missing, but it must be there"
    );
    let twice =
        r#"{"accessor": "a", "secret": "12345678"}, {"accessor": "b", "secret": "12345678"}"#;
    assert!(
        said(twice).contains("has a secret that is taken"),
        "{}",
        said(twice)
    );
}

#[test]
fn a_file_that_cannot_be_taken_says_why() {
    let said = |name: &str, text: &str| read(name, text).unwrap_err().join("\n");
    assert_eq!(
        said("a.hcl", ""),
        "a.hcl: a settings file ends in .json or .toml; HCL is not read yet"
    );
    assert!(said("a.json", "{\n  \"a\": 1,\n}").starts_with("a.json:2:9: "));
    assert!(said("a.toml", "a = = 1").starts_with("a.toml:1:5: "));
    assert_eq!(
        said("a.json", "7"),
        "a.json:1:1: a settings file is one JSON object"
    );
    let large = " ".repeat(4 * 1024 * 1024 + 1);
    assert_eq!(
        said("a.json", &large),
        "a.json: it is larger than 4194304 bytes, which no settings file is"
    );
    let empty = dir(&[]);
    assert!(
        read_all(&empty, &["none.json"]).unwrap_err()[0].starts_with("none.json: cannot read it: ")
    );
    assert!(
        read_all(&empty, &[""]).unwrap_err()[0]
            .ends_with("there is no settings file in this directory")
    );
    let hcl = dir(&[("a.json", "{}"), ("b.hcl", "")]);
    assert!(read_all(&hcl, &[""]).unwrap_err()[0].ends_with("HCL is not read yet"));
}
