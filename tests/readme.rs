//! What the README shows is what there is.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use oneport_agent::{Agent, Config};

const README: &str = include_str!("../README.md");

#[test]
fn the_example_is_the_one_that_compiles() {
    let example = include_str!("../examples/stranger.rs");
    let (_, code) = example.split_once("\n\n").unwrap();
    assert!(README.contains(code), "README.md and examples/stranger.rs");
}

#[tokio::test]
async fn the_table_is_the_one_that_is_printed() {
    let config = Config {
        server_port: 0,
        ..Config::default()
    };
    let agent = Agent::bind(config).await.unwrap();
    let table = agent.port().to_string();
    assert!(
        README.contains(&table),
        "README.md shows another table than:\n{table}"
    );
}

#[test]
fn the_figures_are_those_that_were_measured() {
    let page = include_str!("../BENCHMARKS.md");
    // With no layers in front; with them the same rows stand further down.
    let (_, page) = page.split_once("\n## Processor time").unwrap();
    let (page, _) = page.split_once("\n## ").unwrap();
    let (before, _) = README.split_once("<!-- end of figures -->").unwrap();
    let (_, figures) = before.rsplit_once("|---|--:|\n").unwrap();
    assert!(figures.lines().count() >= 3, "README.md shows figures");
    for figure in figures.lines() {
        let mut cells = figure.split('|').map(str::trim);
        let (work, share) = (cells.nth(1).unwrap(), cells.next().unwrap());
        let measured = page
            .lines()
            .any(|row| row.starts_with(&format!("| {work} |")) && row.contains(share));
        assert!(measured, "BENCHMARKS.md has no {share} for {work}");
    }
}

#[test]
fn the_settings_are_settings() {
    let (_, rest) = README.split_once("```json\n").unwrap();
    let (json, _) = rest.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("readme.json");
    std::fs::write(&file, json).unwrap();
    let loaded = oneport_agent::config::load::load(&[file]).unwrap();
    assert!(loaded.unused.is_empty(), "{:?}", loaded.unused);
    assert_eq!(loaded.config.validate(), Ok(()));
    assert!(loaded.config.acl.enabled);
}
