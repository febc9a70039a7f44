package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// outputFile is a file that gets its name when it is whole: nobody finds half of it under
// that name, not even after a crash.
type outputFile struct {
	*os.File
	name string
}

// createOutput begins to write a file that must not exist.
func createOutput(name string) (*outputFile, error) {
	if err := absent(name); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.partial") // for its owner alone
	if err != nil {
		return nil, err
	}
	return &outputFile{f, name}, nil
}

// finish gives the file its name, if it was written without an error. Otherwise nothing is
// left of it.
func (f *outputFile) finish(failed error) error {
	err := failed
	if err == nil {
		err = f.Sync() // what it was made from may be deleted next
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = absent(f.name)
	}
	if err == nil {
		err = os.Rename(f.Name(), f.name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	if failed == nil && err != nil {
		err = fmt.Errorf("write %s: %w", f.name, err)
	}
	return err
}

func absent(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return &fs.PathError{Op: "create", Path: name, Err: syscall.EEXIST}
	}
	return nil
}

// emptyRedirection says that the shell has made a file for the output of a command that
// has failed before it had any. A command can't take that back.
func (a *app) emptyRedirection() string {
	f, ok := a.stdout.(*os.File)
	if !ok {
		return ""
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
		return ""
	}
	return "Nothing was written: the file to which the output is redirected was made by the shell, and is empty. -o FILE makes a file only when it is whole."
}
