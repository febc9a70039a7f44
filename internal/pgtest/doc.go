// Package pgtest gives tests a PostgreSQL, with nothing to set up and nothing left
// behind. [Database] is for tests that need a database; [Start] for those that need a
// server to stop, crash and restart.
//
// Servers are private: made with initdb in a folder below /tmp, reached over a unix
// socket in it and over TCP on loopback, and gone with the test process, also when that is
// killed. They need no more than the programs of PostgreSQL, on the PATH or where Debian
// has them. Environment variables say otherwise:
//
//   - TENTER_TEST_POSTGRES is the URL of a server for [Database] to use instead, with a
//     role that may CREATE DATABASE.
//   - TENTER_TEST_POSTGRES_BIN is the folder of the programs of PostgreSQL, of another version
//     than the one that is found. make test-postgres runs the tests on each supported one.
//   - TENTER_REQUIRE_POSTGRES, if it is not empty, makes tests fail that would be skipped
//     because there is no PostgreSQL. make test sets it.
package pgtest
