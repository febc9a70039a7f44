// Package proc asks Linux what processes use.
package proc
