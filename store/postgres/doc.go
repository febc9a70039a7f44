// Package postgres is a store in a schema of a PostgreSQL database, for any number of
// workers and API processes on any number of machines.
//
//	st, err := postgres.Open(ctx, "postgres://app@db.example.com/app")
package postgres
