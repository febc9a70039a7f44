package memdir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/internal/memdir"
)

// A folder is in memory if there is room, is the test's own, and goes with the test.
func TestTempDir(t *testing.T) { //nolint:tparallel // what its subtest leaves is looked at
	t.Parallel()
	var dirs []string
	t.Run("test", func(t *testing.T) {
		for range 2 {
			dir := memdir.TempDir(t)
			if !strings.HasPrefix(dir, memdir.Root()) {
				t.Errorf("%s is not in %s", dir, memdir.Root())
			}
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
				t.Error(err)
			}
			dirs = append(dirs, dir)
		}
	})
	if dirs[0] == dirs[1] {
		t.Errorf("%s is given out twice", dirs[0])
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
}
