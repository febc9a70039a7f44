// Package report writes what was measured: numbers, on what machine, into a file.
package report
