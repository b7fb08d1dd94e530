//! Incidents and their restatements in SQL.

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use wan_wire::UnixMillis;

use super::SqliteStore;
use crate::ledger::told::{Because, Changes, Gone, IncidentId, Restatement, Subject, Told, Word};
use crate::store::{StoreError, Wanted};

/// Rows of one statement; SQLite allows 32,766 values.
const ROWS: usize = 500;
const COLUMNS: &str =
    "id, site, link, kind, start_ms, end_ms, bad_ms, rule, scene, since_ms, gone_ms, gone_into, restated";

impl SqliteStore {
    pub(super) async fn read_incidents(&self, wanted: &Wanted) -> Result<Vec<Told>, StoreError> {
        let failed = || self.failed("read the incidents");
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM incident"));
        push_wanted(&mut query, wanted);
        query.push(" ORDER BY start_ms DESC, id LIMIT ").push_bind(wanted.limit);
        let mut rows = query.build().fetch(&self.readers);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            found.push(self.told(&row)?);
        }
        Ok(found)
    }

    pub(super) async fn read_restatements(&self, wanted: &Wanted) -> Result<Vec<Restatement>, StoreError> {
        let failed = || self.failed("read the restatements");
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT incident, at_ms, was, now, because FROM restatement WHERE incident IN (SELECT id FROM incident",
        );
        push_wanted(&mut query, wanted);
        query.push(" ORDER BY start_ms DESC, id LIMIT ").push_bind(wanted.limit);
        query.push(") ORDER BY incident, number");
        let mut rows = query.build().fetch(&self.readers);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            let text = |index: usize| row.try_get::<&str, _>(index).map_err(failed());
            let word = |text: &str| -> Result<Word, StoreError> {
                serde_json::from_str(text).map_err(|_| self.invalid("what was said of an incident", text))
            };
            let because = text(4)?;
            found.push(Restatement {
                id: self.incident_id(text(0)?)?,
                at: UnixMillis(row.try_get(1).map_err(failed())?),
                was: word(text(2)?)?,
                is: row.try_get::<Option<&str>, _>(3).map_err(failed())?.map(word).transpose()?,
                because: Because::ALL
                    .into_iter()
                    .find(|known| known.as_str() == because)
                    .ok_or_else(|| self.invalid("why an incident was restated", because))?,
            });
        }
        Ok(found)
    }

    pub(super) async fn write_incidents(&self, changes: &Changes) -> Result<(), StoreError> {
        let failed = || self.failed("write the incidents");
        let scene = |told: &Told| serde_json::to_string(&told.scene).unwrap_or_default();
        let word = |word: &Word| serde_json::to_string(word).unwrap_or_default();
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        for rows in changes.told.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(format!("INSERT INTO incident ({COLUMNS}) "));
            query.push_values(rows, |mut row, told| {
                let gone = told.gone.as_ref();
                let into = gone.and_then(|(_, gone)| match gone {
                    Gone::Withdrawn => None,
                    Gone::Into(id) => Some(id.to_string()),
                });
                row.push_bind(told.id.to_string())
                    .push_bind(told.subject.site.to_string())
                    .push_bind(told.subject.link.as_ref().map(ToString::to_string).unwrap_or_default())
                    .push_bind(told.word.kind.as_str())
                    .push_bind(told.word.start.0)
                    .push_bind(told.word.end.map(|end| end.0))
                    .push_bind(told.word.bad_ms)
                    .push_bind(told.word.rule.as_str())
                    .push_bind(scene(told))
                    .push_bind(told.since.0)
                    .push_bind(gone.map(|(at, _)| at.0))
                    .push_bind(into)
                    .push_bind(told.restated);
            });
            query.push(
                " ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, start_ms = excluded.start_ms, \
                 end_ms = excluded.end_ms, bad_ms = excluded.bad_ms, rule = excluded.rule, scene = excluded.scene, \
                 gone_ms = excluded.gone_ms, gone_into = excluded.gone_into, restated = excluded.restated",
            );
            query.build().execute(&mut *writing).await.map_err(failed())?;
        }
        for restatement in &changes.restatements {
            sqlx::query(
                "INSERT INTO restatement (incident, number, at_ms, was, now, because) \
                 SELECT $1, 1 + COUNT(*), $2, $3, $4, $5 FROM restatement WHERE incident = $1",
            )
            .bind(restatement.id.to_string())
            .bind(restatement.at.0)
            .bind(word(&restatement.was))
            .bind(restatement.is.as_ref().map(word))
            .bind(restatement.because.as_str())
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        }
        writing.commit().await.map_err(failed())
    }

    fn told(&self, row: &SqliteRow) -> Result<Told, StoreError> {
        let failed = || self.failed("read the incidents");
        let text = |index: usize| row.try_get::<&str, _>(index).map_err(failed());
        let number = |index: usize| row.try_get::<i64, _>(index).map_err(failed());
        let maybe = |index: usize| row.try_get::<Option<i64>, _>(index).map_err(failed());
        let id = self.incident_id(text(0)?)?;
        let invalid = |what: &'static str, value: &str| self.invalid(what, format!("{value} of {id}"));
        let link = match text(2)? {
            "" => None,
            link => Some(link.parse().map_err(|_| invalid("an incident's link", link))?),
        };
        let (site, kind, rule, scene) = (text(1)?, text(3)?, text(7)?, text(8)?);
        let subject = Subject { site: site.parse().map_err(|_| invalid("an incident's site", site))?, link };
        let word = Word {
            kind: kind.parse().map_err(|_| invalid("an incident's kind", kind))?,
            start: UnixMillis(number(4)?),
            end: maybe(5)?.map(UnixMillis),
            bad_ms: number(6)?,
            rule: rule.parse().map_err(|_| invalid("an incident's rule", rule))?,
        };
        let scene = serde_json::from_str(scene).map_err(|_| invalid("an incident's scene", scene))?;
        let into = row.try_get::<Option<&str>, _>(11).map_err(failed())?;
        let gone = match (maybe(10)?, into) {
            (None, _) => None,
            (Some(at), None) => Some((UnixMillis(at), Gone::Withdrawn)),
            (Some(at), Some(into)) => Some((UnixMillis(at), Gone::Into(self.incident_id(into)?))),
        };
        let restated = u32::try_from(number(12)?).unwrap_or(u32::MAX);
        Ok(Told { id: id.clone(), subject, word, scene, since: UnixMillis(number(9)?), gone, restated })
    }

    fn incident_id(&self, text: &str) -> Result<IncidentId, StoreError> {
        text.parse().map_err(|_| self.invalid("an incident's id", text))
    }
}

fn push_wanted(query: &mut QueryBuilder<Sqlite>, wanted: &Wanted) {
    query.push(" WHERE start_ms < ").push_bind(wanted.window.end.0);
    query.push(" AND (end_ms IS NULL OR end_ms > ").push_bind(wanted.window.start.0).push(")");
    if let Some(site) = &wanted.site {
        query.push(" AND site = ").push_bind(site.to_string());
    }
    if let Some(id) = &wanted.id {
        query.push(" AND id = ").push_bind(id.to_string());
    }
    if wanted.open {
        query.push(" AND end_ms IS NULL AND gone_ms IS NULL");
    }
    if wanted.sites {
        query.push(" AND link = ''");
    }
    if let Some(time) = &wanted.restated {
        query.push(" AND id IN (SELECT incident FROM restatement WHERE at_ms >= ").push_bind(time.start.0);
        query.push(" AND at_ms < ").push_bind(time.end.0).push(")");
    }
}
