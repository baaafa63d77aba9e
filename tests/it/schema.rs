//! What the schema as a whole must hold.

use tocsin::store::{Error, Options, ReadTx, Store};

/// The schema of a fresh data folder.
fn on_schema<T>(look: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> T {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    let found = store.read_now(look).unwrap();
    store.stop();
    found
}

/// `table.column` of every column that refers to another table.
const REFERENCES: &str = "
    SELECT tables.name || '.' || refers.\"from\"
    FROM sqlite_master AS tables JOIN pragma_foreign_key_list(tables.name) AS refers
    WHERE tables.type = 'table' ORDER BY 1";

/// `table.column` of every column that leads a whole index, the primary key included.
const LEADING: &str = "
    SELECT tables.name || '.' || columns.name
    FROM sqlite_master AS tables JOIN pragma_index_list(tables.name) AS indexes
    JOIN pragma_index_info(indexes.name) AS columns
    WHERE tables.type = 'table' AND columns.seqno = 0 AND columns.name IS NOT NULL
      AND NOT indexes.partial
    UNION
    SELECT tables.name || '.' || columns.name
    FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns
    WHERE tables.type = 'table' AND columns.pk = 1";

#[test]
fn every_column_that_refers_to_another_table_leads_an_index() {
    let (references, leading) = on_schema(|tx| {
        let names = |sql| tx.all(sql, [], |row| row.get::<_, String>(0));
        Ok((names(REFERENCES)?, names(LEADING)?))
    });
    assert!(references.len() > 20, "{references:?}");
    let missing: Vec<_> = references.iter().filter(|column| !leading.contains(column)).collect();
    assert!(missing.is_empty(), "removing a parent row would read these tables whole: {missing:?}");
}

#[test]
fn numbers_that_others_remember_are_never_given_twice() {
    let counted = on_schema(|tx| {
        tx.all("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'", [], |row| {
            row.get::<_, String>(0)
        })
    });
    for table in ["projects", "issues", "events", "payload_dictionaries"] {
        assert!(counted.iter().any(|name| name == table), "{table} may use a number again");
    }
}
