// Package memdir has folders in memory, for tests whose databases need not outlive the machine:
// where faults and crashes are simulated, or only processes are killed, waiting for a disk shows
// nothing and takes most of the time.
package memdir

import (
	"os"
	"testing"
)

// TempDir is t.TempDir in memory. It is t.TempDir where there is no file system in memory with
// enough space.
func TempDir(t testing.TB) string {
	t.Helper()
	if Root() == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(Root(), "tenter-test-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
