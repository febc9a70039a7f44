package pgtest

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// initArgs are what initdb is called with, apart from the folder.
var initArgs = []string{
	"--no-sync", "--username", superuser, "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale",
}

// initData makes the data of the cluster. initdb takes a second or two and tests start dozens of
// servers, so the first result is kept in the user's cache, and the others are copies of it.
func (c *cluster) initData(ctx context.Context) error {
	template, err := c.template()
	if err != nil {
		return c.initdb(ctx) // there is nowhere to keep anything
	}
	if archive, err := os.Open(template); err == nil {
		if err := errors.Join(c.unpack(archive), archive.Close()); err != nil {
			return fmt.Errorf("copy %s, which may be deleted: %w", template, err)
		}
		return nil
	}
	if err := c.initdb(ctx); err != nil {
		return err
	}
	_ = c.pack(template) // without it the next server takes longer, and that is all
	return nil
}

func (c *cluster) initdb(ctx context.Context) error {
	args := append([]string{"--pgdata", c.box.Path("data")}, initArgs...)
	if out, err := c.box.Command(ctx, filepath.Join(c.bin, "initdb"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// template returns the path of the archive of what initdb makes. Other programs have another.
func (c *cluster) template() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	var key strings.Builder
	fmt.Fprintln(&key, initArgs)
	for _, name := range []string{"initdb", "postgres"} {
		path := filepath.Join(c.bin, name)
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&key, path, info.Size(), info.ModTime().UnixNano())
	}
	return filepath.Join(cache, "tenter-pgtest", fmt.Sprintf("%x.tar", sha256.Sum256([]byte(key.String())))), nil
}

// pack keeps the data as a template. Nobody sees it before it is whole.
func (c *cluster) pack(template string) (err error) {
	if err := os.MkdirAll(filepath.Dir(template), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(template), "new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	archive := tar.NewWriter(f)
	err = errors.Join(archive.AddFS(os.DirFS(c.box.Path("data"))), archive.Close(), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), template)
}

// unpack makes the data from a template.
func (c *cluster) unpack(template io.Reader) error {
	if err := c.box.Mkdir("data"); err != nil {
		return err
	}
	for archive := tar.NewReader(template); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Join("data", filepath.FromSlash(h.Name))
		if h.FileInfo().IsDir() {
			err = c.box.Mkdir(name)
		} else {
			err = c.copyFile(name, archive)
		}
		if err != nil {
			return err
		}
	}
}

func (c *cluster) copyFile(name string, from io.Reader) error {
	data, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	return c.box.WriteFile(name, data)
}
