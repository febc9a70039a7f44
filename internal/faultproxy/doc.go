// Package faultproxy is a proxy between programs and their PostgreSQL server that does
// to them what networks do, only more often: for tests.
//
// A fault hits the next connection that gives occasion to it (see [Kind]), so that it
// is never spent on a connection on which nothing happens. The proxy follows the
// messages of the protocol as far as it takes to know where a request ends and where
// its answer does: it can tell apart a request that never arrived, one whose answer got
// lost, and one that is carried out when nobody waits for it any more.
//
// It knows no store: what the faults do to one is for its tests to say.
package faultproxy
