//! Planned windows in SQL.

use sqlx::Row as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use wan_wire::UnixMillis;

use super::SqliteStore;
use super::register::raise_revision;
use crate::planned::{MOST_VOID, MOST_WINDOWS, Planned, PlannedId, PlannedWindow, Removal, Scope, Work};
use crate::store::{AddedWindow, StoreError};

const WINDOWS: &str = "SELECT id, scope, scope_of, occurs, valid_from, valid_to, reason, added_ms, added_by, removed_ms, \
                       removed_by, void FROM planned_window ORDER BY id";
const SAME: &str = "SELECT id FROM planned_window WHERE removed_ms IS NULL AND scope = $1 AND scope_of = $2 AND occurs = $3 \
                    AND valid_from IS $4 AND valid_to IS $5";
const ADD: &str = "INSERT INTO planned_window (scope, scope_of, occurs, valid_from, valid_to, reason, added_ms, added_by) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
const COUNT: &str =
    "SELECT count(*) FILTER (WHERE void = 0), count(*) FILTER (WHERE void = 1) FROM planned_window";
// One that was ended and turns out to be a mistake becomes void; who ended it first is then told no more.
const REMOVE: &str = "UPDATE planned_window SET removed_ms = $2, removed_by = $3, void = $4 \
                      WHERE id = $1 AND (removed_ms IS NULL OR (void = 0 AND $4 = 1))";

impl SqliteStore {
    pub(super) async fn read_planned(&self, reading: &mut SqliteConnection) -> Result<Planned, StoreError> {
        let rows =
            sqlx::query(WINDOWS).fetch_all(reading).await.map_err(self.failed("read the planned windows"))?;
        rows.iter().map(|row| self.planned_window(row)).collect::<Result<_, _>>().map(Planned::new)
    }

    pub(super) async fn write_planned(&self, work: &Work) -> Result<AddedWindow, StoreError> {
        let failed = || self.failed("write a planned window");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let (scope, of) = (work.scope.kind(), work.scope.of().unwrap_or_default());
        let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string());
        let (occurs, from, to) = (work.when.to_string(), day(work.valid_from), day(work.valid_to));
        let same: Option<i64> = sqlx::query_scalar(SAME)
            .bind(scope)
            .bind(of)
            .bind(&occurs)
            .bind(&from)
            .bind(&to)
            .fetch_optional(&mut *writing)
            .await
            .map_err(failed())?;
        if let Some(id) = same {
            return Ok(AddedWindow::Already(PlannedId(id)));
        }
        let (held, void): (i64, i64) =
            sqlx::query_as(COUNT).fetch_one(&mut *writing).await.map_err(failed())?;
        let full = |count: i64, most: usize| usize::try_from(count).is_ok_and(|count| count >= most);
        if full(held, MOST_WINDOWS) || full(void, MOST_VOID) {
            return Ok(AddedWindow::Full);
        }
        let id = sqlx::query_scalar(ADD)
            .bind(scope)
            .bind(of)
            .bind(&occurs)
            .bind(&from)
            .bind(&to)
            .bind(&work.reason)
            .bind(work.added.0)
            .bind(&work.by)
            .fetch_one(&mut *writing)
            .await
            .map_err(failed())?;
        raise_revision(&mut writing).await.map_err(failed())?;
        writing.commit().await.map_err(failed())?;
        Ok(AddedWindow::Added(PlannedId(id)))
    }

    pub(super) async fn write_planned_removal(
        &self,
        id: PlannedId,
        removal: &Removal,
    ) -> Result<bool, StoreError> {
        let failed = || self.failed("remove a planned window");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let done = sqlx::query(REMOVE)
            .bind(id.0)
            .bind(removal.at.0)
            .bind(&removal.by)
            .bind(i64::from(removal.void))
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        raise_revision(&mut writing).await.map_err(failed())?;
        writing.commit().await.map_err(failed())?;
        Ok(true)
    }

    fn planned_window(&self, row: &SqliteRow) -> Result<PlannedWindow, StoreError> {
        let (scope, of): (String, String) = (self.column(row, "scope")?, self.column(row, "scope_of")?);
        let scope = Scope::from_parts(&scope, &of)
            .ok_or_else(|| self.invalid("a planned window's scope", format!("{scope} {of}")))?;
        let day = |name: &str| {
            let text: Option<String> = self.column(row, name)?;
            text.map(|day| self.parsed("a planned window's day", day)).transpose()
        };
        let at: Option<i64> = self.column(row, "removed_ms")?;
        let by: Option<String> = self.column(row, "removed_by")?;
        let void: i64 = row.try_get("void").map_err(self.failed("read a row"))?;
        Ok(PlannedWindow {
            id: PlannedId(self.column(row, "id")?),
            work: Work {
                scope,
                when: self.parsed("a planned window's time", self.column(row, "occurs")?)?,
                valid_from: day("valid_from")?,
                valid_to: day("valid_to")?,
                reason: self.column(row, "reason")?,
                added: UnixMillis(self.column(row, "added_ms")?),
                by: self.column(row, "added_by")?,
            },
            removed: at.zip(by).map(|(at, by)| Removal { at: UnixMillis(at), by, void: void == 1 }),
        })
    }
}
