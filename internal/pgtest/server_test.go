package pgtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Start(t, "work_mem=5MB", "statement_timeout=1min").TCP())
	for name, want := range map[string]string{
		"work_mem": "5MB", "statement_timeout": "1min", "fsync": "on", "max_connections": "300",
	} {
		if got := query[string](t, conn, "SHOW "+name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// The environment says which programs are used, and what is wrong with them: others, of
// another version, never take their place.
func TestPrograms(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "tenter-pg-test-") //nolint:usetesting // t.TempDir is closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TENTER_TEST_POSTGRES_BIN", dir)
	start := func() error {
		_, stop, err := pgtest.Private(t.Context(), "/tmp")
		if err == nil {
			t.Fatal("a server has started", stop())
		}
		if errors.Is(err, pgtest.ErrNotInstalled) {
			t.Errorf("tests would be skipped for: %v", err)
		}
		return err
	}
	if err := start(); !strings.Contains(err.Error(), "TENTER_TEST_POSTGRES_BIN: there is no initdb in") {
		t.Error(err)
	}
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho this is the one that was named; exit 1"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := start(); !strings.Contains(err.Error(), "this is the one that was named") {
		t.Error(err)
	}
}

// What was committed outlives each way to go down, and connections do not.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	execute(t, connect(t, server.URL()), "CREATE TABLE t (i int)")
	addr := server.Addr()
	for i, down := range []func(){
		server.Restart,
		func() { server.Stop(); server.Start() },
		func() { server.Crash(); server.Start() },
	} {
		conn := connect(t, server.TCP())
		execute(t, conn, "INSERT INTO t VALUES (1)")
		down()
		if err := conn.Ping(t.Context()); err == nil {
			t.Error("a connection from before works")
		}
		if n := query[int](t, connect(t, server.TCP()), "SELECT count(*) FROM t"); n != i+1 {
			t.Errorf("%d rows after it was down for the %d. time, want %d", n, i+1, i+1)
		}
	}
	if server.Addr() != addr {
		t.Errorf("the address is %s after a restart, %s before", server.Addr(), addr)
	}
}

// Whoever else is on this machine does not get in.
func TestPassword(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	u, err := url.Parse(server.TCP())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "guess")
	if _, err := pgx.Connect(t.Context(), u.String()); err == nil {
		t.Error("any password will do")
	}
	dir, err := os.Stat(filepath.Dir(server.Log()))
	if err != nil {
		t.Fatal(err)
	}
	if dir.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the socket has mode %v", dir.Mode())
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	server.Stop()
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Addr()); err == nil {
		t.Error("something listens on the address of a server that was stopped")
	}
}

const childEnv = "PGTEST_CHILD"

// A server ends with the process, and its folder is removed, even if it is killed.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"up", "stopped"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
			cmd.Env = append(os.Environ(), childEnv+"="+state)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var log, addr string
			lines := bufio.NewScanner(stdout)
			for addr == "" && lines.Scan() {
				if server, ok := strings.CutPrefix(lines.Text(), "server "); ok {
					log, addr, _ = strings.Cut(server, " ")
				}
				if strings.HasPrefix(lines.Text(), "--- SKIP") {
					t.Skip("the child skips: is PostgreSQL installed?")
				}
			}
			if addr == "" {
				t.Fatal("the child does not say which server it has started")
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed

			eventually(t, "its folder is removed", func() bool {
				_, err := os.Stat(filepath.Dir(log))
				return errors.Is(err, fs.ErrNotExist)
			})
			eventually(t, "the server has ended", func() bool {
				_, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
				return err != nil
			})
		})
	}
}

// TestChild is the process that TestKill kills.
func TestChild(t *testing.T) {
	state := os.Getenv(childEnv)
	if state == "" {
		t.Skip("it is started by TestKill")
	}
	server := pgtest.Start(t)
	if state == "stopped" {
		server.Stop()
	}
	fmt.Println("server", server.Log(), server.Addr())
	<-t.Context().Done()
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	late := time.After(5 * time.Minute)
	for !f() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("after five minutes it is not so that %s", what)
		}
	}
}

// A server for programs ends when it is told to, and leaves nothing.
func TestPrivate(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "tenter-pg-test-") //nolint:usetesting // t.TempDir is closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("something is left of the server: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	url, stop, err := pgtest.Private(t.Context(), dir, "work_mem=5MB")
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := query[string](t, connect(t, url), "SHOW work_mem"); got != "5MB" {
		t.Errorf("work_mem is %s", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
