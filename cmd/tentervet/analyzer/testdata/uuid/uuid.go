// Package uuid has the names of the real one that the tests need.
package uuid

// UUID is an ID.
type UUID [16]byte

// New makes one.
func New() UUID { return UUID{} }

// NewString makes one.
func NewString() string { return "" }

// Parse reads one.
func Parse(string) (UUID, error) { return UUID{}, nil }
