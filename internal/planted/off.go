//go:build !plantedbugs

package planted

// Here reports whether the bug is there: it is not.
func (Bug) Here() bool { return false }
