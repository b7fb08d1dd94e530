//! Every query of every panel and variable of the Grafana dashboards, as committed, against Debian's Prometheus and VictoriaMetrics that hold
//! a day of a small province ([`day`]). Each must give the series and the values that follow from what happened that day ([`expect`]); a query of
//! which nothing is expected fails, so that none is left out.

mod day;
mod expect;
mod query;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use wan_tests::netns::Namespace;
use wan_tests::process;
use wan_tests::scene::Scene;
use wan_tests::stores::{Kind, Store};

use day::{Day, END, MINUTE, SCRAPE};
use query::Series;

/// What Grafana puts in place of its own variables, for a data source that says how often is scraped, and a day in a thousand points.
const STEP: i64 = SCRAPE * MINUTE;
const OWN: [(&str, &str); 3] = [("__rate_interval", "480s"), ("__interval", "120s"), ("__range", "86400s")];

#[test]
fn every_query_of_the_dashboards_gives_what_happened_that_day() -> Result<()> {
    let scene = Scene::new("dashboards")?;
    let started = wan_tests::clock::now();
    let_others_go_first()?;
    let day = Day::simulate(&scene)?;
    let count: usize = day.series.iter().map(|(_, samples)| samples.len()).sum();
    let (series, pushed) = (day.series.len(), day.pushed);
    println!("{pushed} samples, {count} scraped of {series} series, simulated in {:?}", started.elapsed());
    let space = Namespace::alone("dashboards")?;
    let mut stores = [
        Store::of_history(&scene, &space, Kind::Prometheus, 9090)?,
        Store::of_history(&scene, &space, Kind::VictoriaMetrics, 8428)?,
    ];
    for store in &mut stores {
        store.start()?;
    }
    day.forward(&scene, &space, &stores)?;
    println!("forwarded after {:?}", started.elapsed());
    let mut wrong = Vec::new();
    for store in &mut stores {
        query::write(store, &day)?;
        println!("{:?} is filled after {:?}", store.kind(), started.elapsed());
        for which in ["province", "site", "carriers", "monitor"] {
            let asked = ask(store, which, &mut wrong)?;
            println!("{:?}: {which}: {asked} queries, after {:?}", store.kind(), started.elapsed());
        }
        store.stop()?;
    }
    ensure!(wrong.is_empty(), "{} answers are wrong:\n{}", wrong.len(), wrong.join("\n"));
    scene.passed();
    Ok(())
}

/// This is all work and nothing that must be in time; beside it run tests of which some measure time.
fn let_others_go_first() -> Result<()> {
    let thread = nix::unistd::gettid().to_string();
    process::run(Path::new("/usr/bin/renice"), &["-n", "10", "-p", &thread]).map(drop)
}

/// Asks all that a dashboard asks, and notes what is wrong.
fn ask(store: &Store, which: &str, wrong: &mut Vec<String>) -> Result<usize> {
    let path = process::repository()?.join(format!("deploy/grafana/dashboards/en/{which}.json"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let mut note = |what: &str, result: Result<()>| {
        if let Err(error) = result {
            wrong.push(format!("{:?}: {what}: {error:#}", store.kind()));
        }
    };
    let mut chosen: BTreeMap<String, String> = BTreeMap::new();
    let mut asked = 0;
    for variable in dashboard["templating"]["list"].as_array().context("no variables")? {
        let name = text_of(variable, "name")?;
        if let Some(query) = variable["query"]["query"].as_str() {
            let values = values(store, &substitute(query, &chosen), variable)?;
            note(&format!("{which}: ${name}"), expect::variable(which, name, &values));
            asked += 1;
        }
        chosen.insert(name.to_owned(), choice(which, name, variable)?);
    }
    for mark in dashboard["annotations"]["list"].as_array().context("no annotations")? {
        let (name, query) = (text_of(mark, "name")?, substitute(text_of(mark, "expr")?, &chosen));
        note(
            &format!("{which}: mark {name}: {query}"),
            query::range(store, &query, STEP).and_then(|series| expect::mark(name)?.holds(&series)),
        );
        asked += 1;
    }
    for panel in dashboard["panels"].as_array().context("no panels")? {
        let Some(targets) = panel["targets"].as_array() else { continue };
        let title = text_of(panel, "title")?;
        let mut chosen = chosen.clone();
        match panel["repeat"].as_str() {
            Some("tier") => chosen.insert("tier".to_owned(), "province".to_owned()),
            Some("link") => chosen.insert("link".to_owned(), "wan".to_owned()),
            Some(other) => bail!("{title}: repeated by {other}"),
            None => None,
        };
        let mut answers = Vec::new();
        for target in targets {
            let reference = text_of(target, "refId")?;
            let query = substitute(text_of(target, "expr")?, &chosen);
            let what = format!("{which}: {title}: {reference}: {query}");
            let answer = if target["range"] == true {
                query::range(store, &query, STEP)
            } else {
                query::instant(store, &query, END)
            };
            asked += 1;
            match answer {
                Ok(series) => {
                    let want = expect::panel(which, title, reference);
                    note(&what, want.and_then(|want| want.holds(&series)));
                    note(&what, legend(target, &series));
                    answers.push(series);
                }
                Err(error) => note(&what, Err(error)),
            }
        }
        note(&format!("{which}: {title}"), columns(panel, &answers));
    }
    Ok(asked)
}

/// What a person has chosen: all, or of single ones a site that something happened at.
fn choice(which: &str, name: &str, variable: &Value) -> Result<String> {
    Ok(match (which, name) {
        ("site", "site") => "xa-1".to_owned(),
        (_, "datasource" | "collector") => String::new(),
        (_, "window") => text_of(variable, "query")?.split(',').next().unwrap_or_default().to_owned(),
        _ => {
            ensure!(variable["multi"] == true && variable["includeAll"] == true, "{name} has no All");
            text_of(variable, "allValue")?.to_owned()
        }
    })
}

/// Puts values in place of variables, the longest names first.
fn substitute(query: &str, chosen: &BTreeMap<String, String>) -> String {
    let own = OWN.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut all: Vec<(String, String)> =
        own.chain(chosen.iter().map(|(name, value)| (name.clone(), value.clone()))).collect();
    all.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    all.iter().fold(query.to_owned(), |query, (name, value)| query.replace(&format!("${name}"), value))
}

/// The values of a variable, as Grafana finds them.
fn values(store: &Store, query: &str, variable: &Value) -> Result<Vec<String>> {
    if let Some(inner) = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')) {
        let (selector, label) = inner.rsplit_once(", ").context("label_values without a label")?;
        return query::label_values(store, selector, label);
    }
    let inner = query.strip_prefix("query_result(").and_then(|rest| rest.strip_suffix(')'));
    let series =
        query::instant(store, inner.with_context(|| format!("neither values nor a result: {query}"))?, END)?;
    let regex = text_of(variable, "regex")?;
    ensure!(
        regex == "/name=\"(?<text>[^\"]+)\".*site=\"(?<value>[^\"]+)\"/",
        "another way to read results: {regex}"
    );
    // By labels in the order of their names: name comes before site.
    let text = |series: &Series, label: &str| series.labels.get(label).cloned().unwrap_or_default();
    Ok(series.iter().map(|series| format!("{}={}", text(series, "name"), text(series, "site"))).collect())
}

/// A legend that names a label wants series that have it.
fn legend(target: &Value, series: &[Series]) -> Result<()> {
    let legend = text_of(target, "legendFormat")?;
    for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
        ensure!(
            series.iter().all(|series| series.labels.contains_key(label)),
            "not every series has {label}"
        );
    }
    if !legend.is_empty() && !legend.contains("{{") {
        ensure!(series.len() <= 1, "{} series are all called {legend}", series.len());
    }
    Ok(())
}

/// A table's columns are values of its queries or labels that a row has, and what has the same labels is one row.
fn columns(panel: &Value, answers: &[Vec<Series>]) -> Result<()> {
    let Some(transformations) = panel["transformations"].as_array() else { return Ok(()) };
    let Some(filter) = transformations.iter().find(|one| one["id"] == "filterFieldsByName") else {
        return Ok(());
    };
    let rows: Vec<&Series> = answers.iter().flatten().collect();
    for name in filter["options"]["include"]["names"].as_array().context("no names")? {
        let name = name.as_str().context("a name")?;
        let is_value = (name == "Value" && answers.len() == 1)
            || name
                .strip_prefix("Value #")
                .is_some_and(|query| answers.len() > usize::from(query.as_bytes()[0] - b'A'));
        let is_label = rows.is_empty() || rows.iter().any(|row| row.labels.contains_key(name));
        ensure!(is_value || is_label, "nothing gives the column {name}");
    }
    for answer in answers {
        ensure!(
            answer.iter().all(|row| !row.labels.contains_key("__name__") || answers.len() == 1),
            "values of a name"
        );
    }
    Ok(())
}

fn text_of<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().with_context(|| format!("no {key} in {value}"))
}
