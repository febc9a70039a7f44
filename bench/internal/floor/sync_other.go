//go:build !linux

package floor

import "os"

func syncData(f *os.File) error { return f.Sync() }
