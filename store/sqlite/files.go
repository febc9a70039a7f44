package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// openFiles are the files of an open database. SQLite goes on with files that were removed,
// renamed or replaced as if nothing had happened. But what it writes to them is gone when they
// are closed, and a process that opens the path later finds another database. So the store
// checks that the files still have their names: after each commit, before anybody hears of it,
// and whenever it polls for changes of other processes.
type openFiles struct {
	main  string     // of the file, as SQLite calls it: without symbolic links
	files []openFile // the first is the database
}

// openFile is a file as it was found when the database was opened.
type openFile struct {
	path string
	info os.FileInfo
}

// statFiles looks at the file of the database that a connection has open, and has read from, and at
// those beside it that have a suffix.
func statFiles(path string, c *conn, beside ...string) (*openFiles, error) {
	main, err := mainFile(c)
	if err != nil {
		return nil, err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	p := &openFiles{main: main}
	// The path may be a symbolic link, which may come to lead elsewhere.
	names := []string{path}
	for _, suffix := range beside {
		names = append(names, main+suffix)
	}
	for _, path := range names {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReplaced, err)
		}
		p.files = append(p.files, openFile{path, info})
	}
	return p, nil
}

// changed says which of the files was removed or replaced.
func (p *openFiles) changed() error {
	for i := range p.files {
		f := &p.files[i]
		now, err := os.Stat(f.path)
		switch {
		case err == nil && !os.SameFile(f.info, now):
			return fmt.Errorf("%s is another file", f.path)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return fmt.Errorf("%s is not there", f.path)
		default:
			// An error of another kind says nothing about the file.
		}
	}
	return nil
}

// mainFile returns the path of the file that a connection has open.
func mainFile(c *conn) (string, error) {
	path, err := c.text("SELECT file FROM pragma_database_list WHERE name = 'main'")
	if err != nil {
		return "", fmt.Errorf("look which file the connection has open: %w", err)
	}
	return path, nil
}

// adviceReplaced says what to do when files were removed or replaced.
func adviceReplaced() string {
	advice := "put the file back together with its -wal, once this process has ended, and start it again"
	if runtime.GOOS == "linux" {
		advice += fmt.Sprintf("; if they were deleted, copy them from /proc/%d/fd before it ends", os.Getpid())
	}
	return advice
}
