//go:build !linux

package memdir

// Root returns the root of a file system in memory, or "".
func Root() string { return "" }
