//go:build linux

package scenario_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// TestDiskFull: the disk of the database is full for a while, again and again, under mixed
// load. What was accepted is there, what needs the database waits, and goes on when there
// is space; no process dies.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := smallDisk(t, 64) // a log has 32 MB before it is copied
		diskFull(t, "sqlite:"+filepath.Join(dir, "scenario.db"), dir)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		dir := smallDisk(t, 48)
		diskFull(t, newTablespace(t, dir), dir)
	})
}

func diskFull(t *testing.T, url, dir string) {
	t.Helper()
	db := newDatabase(t, url)
	s := setScene(t, db)
	s.api = db.api
	services := []*service{newService(t, db, workLease), newService(t, db, workLease)}
	s.fronts = []*service{newRole(t, db, role{Database: url, Webhooks: true})}
	s.workersUp(len(services))
	over, stop := context.WithTimeout(t.Context(), lasting())
	defer stop()
	s.over = over
	a := &adversity{scene: s, services: services}
	s.begin()
	full := 0
	for a.pause(lasting()/8, lasting()/8) {
		began := time.Now()
		empty := fill(t, dir)
		a.pause(time.Second, time.Second)
		empty()
		full++
		for _, w := range services {
			s.chron.suffer(mishap{process: w.id(), what: "without space", began: began, over: time.Now().Add(workLease)})
		}
	}
	s.end(s.unfinished)
	fenced := a.fenced()
	for _, w := range append(services, s.fronts...) {
		w.close()
		if n := w.died(); n > 0 {
			t.Errorf("process %d died %d times, of what is wrong with the disk alone", w.id(), n)
		}
	}
	a.tell(s.check(), fenced)
	t.Logf("the disk was full %d times", full)
	if full == 0 {
		t.Error("the disk was never full")
	}
}

// smallDisk mounts a disk of so many MB.
func smallDisk(t *testing.T, mb int) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tenter-disk-") //nolint:usetesting // where the user of a PostgreSQL server gets to
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mb)); err != nil {
		t.Skipf("a small disk can't be mounted, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill takes all space of a disk, until empty gives it back.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := errors.Join(f.Close(), os.Remove(path)); err != nil {
			t.Error(err)
		}
	}
}

// newTablespace makes a database whose tables are on a disk, and returns its URL. The
// server's log of what it writes is elsewhere: if that has no space the server crashes,
// which is another scenario.
func newTablespace(t *testing.T, dir string) string {
	t.Helper()
	server := pgtest.Start(t, "fsync=off")
	tables := filepath.Join(dir, "tables")
	info, err := os.Stat(filepath.Dir(server.Log()))
	if err == nil {
		err = os.Mkdir(tables, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // on Linux it is
	if err := os.Chown(tables, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	name := "full_" + rand.Text()[:8]
	for _, sql := range []string{"CREATE TABLESPACE small LOCATION '" + tables + "'", `CREATE DATABASE "` + name + `" TABLESPACE small`} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
