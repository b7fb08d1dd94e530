//! What was first reported of each month, in SQL.

use sqlx::Row as _;
use wan_wire::UnixMillis;

use super::SqliteStore;
use crate::calendar::Month;
use crate::report::monthly::restated::Figure;
use crate::report::monthly::{FirstReport, KeyFigures};
use crate::store::StoreError;

impl SqliteStore {
    pub(super) async fn read_first_report(&self, month: Month) -> Result<Option<FirstReport>, StoreError> {
        let failed = || self.failed("read what was first reported of a month");
        let mut reading = self.readers.begin().await.map_err(failed())?;
        let month = name(month);
        let made: Option<i64> = sqlx::query_scalar("SELECT made_ms FROM report WHERE month = $1")
            .bind(&month)
            .fetch_optional(&mut *reading)
            .await
            .map_err(failed())?;
        let Some(made) = made else { return Ok(None) };
        let rows = sqlx::query("SELECT subject, figure, value FROM report_figure WHERE month = $1")
            .bind(&month)
            .fetch_all(&mut *reading)
            .await
            .map_err(failed())?;
        let mut figures = KeyFigures::default();
        for row in rows {
            let word: String = row.try_get("figure").map_err(failed())?;
            let figure = Figure::ALL.into_iter().find(|figure| figure.as_str() == word);
            let figure = figure.ok_or_else(|| self.invalid("a reported figure's name", word))?;
            let subject = row.try_get("subject").map_err(failed())?;
            figures.0.insert((subject, figure), row.try_get("value").map_err(failed())?);
        }
        Ok(Some(FirstReport { at: UnixMillis(made), figures }))
    }

    pub(super) async fn write_first_report(
        &self,
        month: Month,
        report: &FirstReport,
    ) -> Result<bool, StoreError> {
        let failed = || self.failed("keep what is first reported of a month");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let month = name(month);
        let added = sqlx::query("INSERT INTO report (month, made_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&month)
            .bind(report.at.0)
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        for ((subject, figure), value) in &report.figures.0 {
            sqlx::query("INSERT INTO report_figure (month, subject, figure, value) VALUES ($1, $2, $3, $4)")
                .bind(&month)
                .bind(subject)
                .bind(figure.as_str())
                .bind(value)
                .execute(&mut *writing)
                .await
                .map_err(failed())?;
        }
        writing.commit().await.map_err(failed())?;
        Ok(true)
    }
}

/// `2026-10`.
fn name(month: Month) -> String {
    month.first_day().strftime("%Y-%m").to_string()
}
