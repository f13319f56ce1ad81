// Package sqldbtest gives tests a database of their own, and holds the suite
// that both dialects of package sqldb pass.
//
// The promise. A test written with [Each] runs on SQLite always, and on
// PostgreSQL where one answers at TEST_DATABASE_URL (by default
// postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable). What the test
// gets is empty, nobody else sees it, and it is gone when the test ends. With
// REQUIRE_REAL=1 in the environment a missing PostgreSQL fails the test
// instead of skipping it.
//
// On PostgreSQL "a database of its own" is a schema: it takes a few
// milliseconds where a database takes a tenth of a second. Tables, sequences
// and types are apart. Advisory locks and notifications belong to the whole
// database, so code that uses them puts the name of the schema into their keys.
package sqldbtest
