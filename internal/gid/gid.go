// Package gid tells goroutines apart, fast enough for every durable call of a
// replay: parsing runtime.Stack takes 20 µs, this takes a nanosecond.
//
// It knows nothing about the layout of the runtime's structures. It only compares
// the address that the runtime keeps in a register, or in thread-local storage, for
// the goroutine that is executing. Two goroutines that live at the same time never
// have the same one.
package gid

// ID identifies a goroutine for as long as it lives.
type ID uintptr

// Current returns the ID of the calling goroutine. It is never 0.
func Current() ID { return ID(current()) }
