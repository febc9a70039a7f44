// Package sqlite is a store in one SQLite file.
package sqlite
