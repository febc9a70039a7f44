// Package faultdisk is a disk that fails, below SQLite: writes that don't fit or come
// short, syncs that fail and forget what they were to write, and a power cut, after
// which is left what was synced and, of the rest, whatever the disk liked to write.
//
// It is a SQLite VFS: SQLite's own, with its write, truncate, sync and delete wrapped.
// The store above knows nothing of it. Files of a process that are in no mounted folder
// pass through.
//
// This package must not know what is written.
package faultdisk
