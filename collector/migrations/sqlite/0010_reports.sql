-- What was first reported of a closed month: never changed afterwards, so that a later report can say what is different.
CREATE TABLE report (
    month TEXT PRIMARY KEY NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE report_figure (
    month TEXT NOT NULL REFERENCES report (month),
    subject TEXT NOT NULL,
    figure TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (month, subject, figure)
) STRICT, WITHOUT ROWID;
