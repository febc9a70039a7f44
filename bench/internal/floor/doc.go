// Package floor measures what the disk and the databases can do without us, so that it
// can stand beside what we do.
package floor
