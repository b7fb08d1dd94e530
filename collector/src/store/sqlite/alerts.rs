//! Alerts, acknowledgements and silences in SQL.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use wan_wire::UnixMillis;

use super::SqliteStore;
use super::outbox::push_outbox;
use crate::alert::machine::{Entry, Key};
use crate::alert::notice::{AlertId, Both, Rule, Severity};
use crate::alert::record::{Acknowledgement, AlertChanges, Record, Silence, SilenceId, WantedAlerts};
use crate::ledger::cause::Cause;
use crate::planned::Scope;
use crate::store::StoreError;

const COLUMNS: &str = "id, rule, subject, site, severity, since_ms, fired_ms, until_ms, told_ms, under, members, flaps, cause, \
                       why_vi, why_en, drill, drill_ends_ms, corrections";
const TAKEN: &str =
    "taken.at_ms AS taken_ms, taken.taken_by, taken.reason AS taken_reason, taken.until_ms AS taken_until_ms";
const SILENCES: &str = "SELECT id, scope, scope_of, rule, from_ms, to_ms, reason, added_by, added_ms, ended_ms, ended_by FROM alert_silence \
                        WHERE to_ms > $1 ORDER BY id";

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl SqliteStore {
    pub(super) async fn read_alert_states(&self) -> Result<BTreeMap<Key, Entry>, StoreError> {
        let failed = || self.failed("read the states of alerts");
        let rows = sqlx::query("SELECT rule, subject, entry FROM alert_state")
            .fetch_all(&self.readers)
            .await
            .map_err(failed())?;
        let state = |row: &SqliteRow| {
            let key = Key { rule: self.rule(row, 0)?, subject: self.json(row, 1, "of what an alert is")? };
            Ok((key, self.json(row, 2, "the state of an alert")?))
        };
        rows.iter().map(state).collect()
    }

    pub(super) async fn write_alert_changes(&self, changes: &AlertChanges) -> Result<(), StoreError> {
        let failed = || self.failed("write the alerts");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        for (key, entry) in &changes.entries {
            let (rule, subject) = (key.rule.as_str(), json(&key.subject));
            let query = match entry {
                Some(entry) => sqlx::query(
                    "INSERT INTO alert_state (rule, subject, entry) VALUES ($1, $2, $3) \
                     ON CONFLICT (rule, subject) DO UPDATE SET entry = excluded.entry",
                )
                .bind(rule)
                .bind(subject)
                .bind(json(entry)),
                None => sqlx::query("DELETE FROM alert_state WHERE rule = $1 AND subject = $2")
                    .bind(rule)
                    .bind(subject),
            };
            query.execute(&mut *writing).await.map_err(failed())?;
        }
        for rows in changes.records.chunks(500) {
            let mut query = QueryBuilder::<Sqlite>::new(format!("INSERT INTO alert ({COLUMNS}) "));
            query.push_values(rows, |mut row, record| {
                row.push_bind(record.id.as_str())
                    .push_bind(record.rule.as_str())
                    .push_bind(json(&record.subject))
                    .push_bind(record.subject.site().map(ToString::to_string).unwrap_or_default())
                    .push_bind(record.severity.as_str())
                    .push_bind(record.since.0)
                    .push_bind(record.fired.0)
                    .push_bind(record.until.map(|at| at.0))
                    .push_bind(record.told.map(|at| at.0))
                    .push_bind(record.under.as_ref().map(json))
                    .push_bind(json(&record.members))
                    .push_bind(record.flaps)
                    .push_bind(record.cause.map(Cause::as_str))
                    .push_bind(&record.why.vi)
                    .push_bind(&record.why.en)
                    .push_bind(record.drill)
                    .push_bind(record.drill_ends.map(|at| at.0))
                    .push_bind(json(&record.corrections));
            });
            query.push(
                " ON CONFLICT (id) DO UPDATE SET since_ms = excluded.since_ms, until_ms = excluded.until_ms, \
                 told_ms = excluded.told_ms, under = excluded.under, members = excluded.members, flaps = excluded.flaps, \
                 cause = CASE excluded.corrections WHEN '[]' THEN coalesce(excluded.cause, cause) ELSE excluded.cause END, \
                 corrections = CASE excluded.corrections WHEN '[]' THEN corrections ELSE excluded.corrections END, \
                 why_vi = CASE excluded.why_vi WHEN '' THEN why_vi ELSE excluded.why_vi END, \
                 why_en = CASE excluded.why_en WHEN '' THEN why_en ELSE excluded.why_en END",
            );
            query.build().execute(&mut *writing).await.map_err(failed())?;
        }
        for (notice, channels) in &changes.notices {
            let each: Vec<_> = channels.iter().map(|channel| (notice.clone(), channel.clone())).collect();
            push_outbox(&mut writing, &each).await.map_err(failed())?;
        }
        writing.commit().await.map_err(failed())
    }

    pub(super) async fn read_alerts(&self, wanted: &WantedAlerts) -> Result<Vec<Record>, StoreError> {
        let failed = || self.failed("read the alerts");
        let columns: Vec<String> = COLUMNS.split(", ").map(|column| format!("alert.{column}")).collect();
        let mut query = QueryBuilder::<Sqlite>::new(format!(
            "SELECT {}, {TAKEN} FROM alert LEFT JOIN alert_taken AS taken ON taken.alert = alert.id WHERE fired_ms < ",
            columns.join(", ")
        ));
        query.push_bind(wanted.before.0);
        query.push(" AND (alert.until_ms IS NULL OR alert.until_ms > ").push_bind(wanted.after.0).push(")");
        if let Some(site) = &wanted.site {
            query.push(" AND alert.site = ").push_bind(site.to_string());
        }
        if let Some(rule) = wanted.rule {
            query.push(" AND alert.rule = ").push_bind(rule.as_str());
        }
        if let Some(ids) = &wanted.ids {
            query.push(" AND alert.id IN (SELECT value FROM json_each(").push_bind(json(ids)).push("))");
        }
        if wanted.open {
            query.push(" AND alert.until_ms IS NULL");
        }
        if wanted.folded {
            query.push(" AND alert.under IS NULL");
        }
        if wanted.drills {
            query.push(" AND alert.drill");
        }
        query.push(" ORDER BY alert.fired_ms DESC, alert.id LIMIT ").push_bind(wanted.limit);
        let rows = query.build().fetch_all(&self.readers).await.map_err(failed())?;
        rows.iter().map(|row| self.record(row)).collect()
    }

    pub(super) async fn read_acknowledged(&self) -> Result<BTreeMap<AlertId, Acknowledgement>, StoreError> {
        let failed = || self.failed("read the acknowledgements");
        let rows = sqlx::query(
            "SELECT alert.id, taken.at_ms, taken.taken_by, taken.reason, taken.until_ms FROM alert_taken AS taken \
             JOIN alert ON alert.id = taken.alert WHERE alert.until_ms IS NULL",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed())?;
        let taken = |row: &SqliteRow| {
            let id: &str = row.try_get(0).map_err(failed())?;
            let taken = Acknowledgement {
                at: UnixMillis(row.try_get(1).map_err(failed())?),
                by: row.try_get(2).map_err(failed())?,
                reason: row.try_get(3).map_err(failed())?,
                until: row.try_get::<Option<i64>, _>(4).map_err(failed())?.map(UnixMillis),
            };
            Ok((AlertId::parse(id).ok_or_else(|| self.invalid("an alert's id", id))?, taken))
        };
        rows.iter().map(taken).collect()
    }

    pub(super) async fn write_acknowledgement(
        &self,
        alert: &AlertId,
        taken: Option<&Acknowledgement>,
    ) -> Result<bool, StoreError> {
        let failed = || self.failed("write an acknowledgement");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM alert WHERE id = $1")
            .bind(alert.as_str())
            .fetch_optional(&mut *writing)
            .await
            .map_err(failed())?;
        if there.is_none() {
            return Ok(false);
        }
        sqlx::query("DELETE FROM alert_taken WHERE alert = $1")
            .bind(alert.as_str())
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        if let Some(taken) = taken {
            sqlx::query(
                "INSERT INTO alert_taken (alert, at_ms, taken_by, reason, until_ms) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(alert.as_str())
            .bind(taken.at.0)
            .bind(&taken.by)
            .bind(&taken.reason)
            .bind(taken.until.map(|at| at.0))
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        }
        writing.commit().await.map_err(failed())?;
        Ok(true)
    }

    pub(super) async fn read_silences(
        &self,
        after: UnixMillis,
    ) -> Result<Vec<(SilenceId, Silence)>, StoreError> {
        let failed = || self.failed("read the silences");
        let rows = sqlx::query(SILENCES).bind(after.0).fetch_all(&self.readers).await.map_err(failed())?;
        rows.iter().map(|row| self.silence(row)).collect()
    }

    pub(super) async fn write_silence(&self, silence: &Silence) -> Result<SilenceId, StoreError> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO alert_silence (scope, scope_of, rule, from_ms, to_ms, reason, added_by, added_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(silence.scope.kind())
        .bind(silence.scope.of().unwrap_or_default())
        .bind(silence.rule.map(Rule::as_str))
        .bind(silence.from.0)
        .bind(silence.to.0)
        .bind(&silence.reason)
        .bind(&silence.by)
        .bind(silence.added.0)
        .fetch_one(&self.writer)
        .await
        .map_err(self.failed("write a silence"))?;
        Ok(SilenceId(id))
    }

    pub(super) async fn write_silence_end(
        &self,
        id: SilenceId,
        by: &str,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE alert_silence SET ended_ms = $2, ended_by = $3 WHERE id = $1 AND ended_ms IS NULL AND to_ms > $2",
        )
        .bind(id.0)
        .bind(at.0)
        .bind(by)
        .execute(&self.writer)
        .await
        .map_err(self.failed("end a silence"))?;
        Ok(done.rows_affected() > 0)
    }

    fn rule(&self, row: &SqliteRow, index: usize) -> Result<Rule, StoreError> {
        let text: &str = row.try_get(index).map_err(self.failed("read the alerts"))?;
        let known = Rule::ALL.into_iter().find(|rule| rule.as_str() == text);
        known.ok_or_else(|| self.invalid("the rule of an alert", text))
    }

    fn json<T: DeserializeOwned>(
        &self,
        row: &SqliteRow,
        index: usize,
        what: &'static str,
    ) -> Result<T, StoreError> {
        let text: &str = row.try_get(index).map_err(self.failed("read the alerts"))?;
        serde_json::from_str(text).map_err(|_| self.invalid(what, text))
    }

    fn record(&self, row: &SqliteRow) -> Result<Record, StoreError> {
        let failed = || self.failed("read the alerts");
        let text = |index: usize| row.try_get::<&str, _>(index).map_err(failed());
        let at = |index: usize| row.try_get(index).map(UnixMillis).map_err(failed());
        let maybe = |index: usize| {
            row.try_get::<Option<i64>, _>(index).map(|at| at.map(UnixMillis)).map_err(failed())
        };
        let id = AlertId::parse(text(0)?)
            .ok_or_else(|| self.invalid("an alert's id", text(0).unwrap_or_default()))?;
        let severity = text(4)?;
        let cause = row.try_get::<Option<&str>, _>(12).map_err(failed())?;
        let under = row.try_get::<Option<&str>, _>(9).map_err(failed())?;
        let taken = match maybe(18)? {
            None => None,
            Some(taken) => Some(Acknowledgement {
                at: taken,
                by: text(19)?.to_owned(),
                reason: text(20)?.to_owned(),
                until: maybe(21)?,
            }),
        };
        Ok(Record {
            id,
            rule: self.rule(row, 1)?,
            subject: self.json(row, 2, "of what an alert is")?,
            severity: Severity::ALL
                .into_iter()
                .find(|known| known.as_str() == severity)
                .ok_or_else(|| self.invalid("the severity of an alert", severity))?,
            since: at(5)?,
            fired: at(6)?,
            until: maybe(7)?,
            told: maybe(8)?,
            under: match under {
                None => None,
                Some(_) => self.json(row, 9, "what an alert is part of")?,
            },
            members: self.json(row, 10, "the sites of an alert")?,
            flaps: row.try_get(11).map_err(failed())?,
            cause: cause
                .map(|text| {
                    let known = Cause::ALL.into_iter().find(|cause| cause.as_str() == text);
                    known.ok_or_else(|| self.invalid("the cause of an alert", text))
                })
                .transpose()?,
            why: Both { vi: text(13)?.to_owned(), en: text(14)?.to_owned() },
            drill: row.try_get(15).map_err(failed())?,
            drill_ends: maybe(16)?,
            taken,
            corrections: self.json(row, 17, "the corrections of an alert")?,
        })
    }

    fn silence(&self, row: &SqliteRow) -> Result<(SilenceId, Silence), StoreError> {
        let failed = || self.failed("read the silences");
        let text = |index: usize| row.try_get::<&str, _>(index).map_err(failed());
        let at = |index: usize| row.try_get(index).map(UnixMillis).map_err(failed());
        let scope = Scope::from_parts(text(1)?, text(2)?)
            .ok_or_else(|| self.invalid("the scope of a silence", text(2).unwrap_or_default()))?;
        let rule = match row.try_get::<Option<&str>, _>(3).map_err(failed())? {
            None => None,
            Some(_) => Some(self.rule(row, 3)?),
        };
        let silence = Silence {
            scope,
            rule,
            from: at(4)?,
            to: at(5)?,
            reason: text(6)?.to_owned(),
            by: text(7)?.to_owned(),
            added: at(8)?,
            ended: row.try_get::<Option<i64>, _>(9).map_err(failed())?.map(UnixMillis),
            ended_by: row.try_get(10).map_err(failed())?,
        };
        Ok((SilenceId(row.try_get(0).map_err(failed())?), silence))
    }
}
