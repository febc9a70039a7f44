package floor

import (
	"os"
	"syscall"
)

// syncData is what SQLite calls on Linux.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
