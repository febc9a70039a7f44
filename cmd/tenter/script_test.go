package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/internal/sandbox"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tenter": main, "app": appMain, "fetch": fetchMain})
}

var schemas atomic.Int64

// TestSQLite plays the scripts on a SQLite file.
func TestSQLite(t *testing.T) {
	t.Parallel()
	play(t, func(e *testscript.Env) {
		e.Setenv("TENTER_DB", filepath.Join(e.WorkDir, "app.db"))
	})
}

// TestPostgres plays them on PostgreSQL, each in a schema of its own.
func TestPostgres(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	play(t, func(e *testscript.Env) {
		e.Setenv("TENTER_DB", url)
		e.Setenv("TENTER_SCHEMA", fmt.Sprintf("s%d", schemas.Add(1)))
		e.Setenv("OTHER_DB", filepath.Join(e.WorkDir, "other.db"))
	})
}

// TestServer plays them with the API of the application between tenter and the database.
func TestServer(t *testing.T) {
	t.Parallel()
	play(t, func(e *testscript.Env) {
		addr := net.JoinHostPort(sandbox.Loopback, freePort(e))
		e.Setenv("APP_DB", filepath.Join(e.WorkDir, "app.db"))
		e.Setenv("APP_ADDR", addr)
		e.Setenv("TENTER_SERVER", "http://"+addr)
		e.Setenv("TENTER_API_KEY", "a-key-that-is-long-enough")
	})
}

func play(t *testing.T, setup func(e *testscript.Env)) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		WorkdirRoot:         memdir.TempDir(t),
		Setup: func(e *testscript.Env) error {
			e.Setenv("BANK", filepath.Join(e.WorkDir, "bank"))
			e.Setenv("NO_COLOR", "1")
			e.Setenv("PORT", freePort(e))
			setup(e)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"eventually": eventually,
			"exits":      exits,
			"remember":   remember,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "postgres":
				return strings.HasPrefix(t.Name(), "TestPostgres"), nil
			case "server":
				return strings.HasPrefix(t.Name(), "TestServer"), nil
			case "bash", "zsh", "fish":
				_, err := exec.LookPath(cond)
				return err == nil, nil
			}
			return false, fmt.Errorf("there is no condition %q", cond)
		},
	})
}

// freePort returns a port that nobody listens on, and that no connection gets before the script
// uses it.
func freePort(e *testscript.Env) string {
	port, err := sandbox.FreePort(context.Background())
	if err != nil {
		e.T().Fatal(err)
	}
	return strconv.Itoa(port)
}

// fetchMain prints what is at a URL.
func fetchMain() {
	res, err := http.Get(os.Args[1]) //nolint:noctx,gosec // it is the whole program
	if err == nil {
		_, err = io.Copy(os.Stdout, res.Body)
		err = errors.Join(err, res.Body.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

// patience is far above what anything here takes, on a busy machine too.
const patience = 5 * time.Minute

// eventually repeats a command until it prints what matches: eventually REGEXP COMMAND…
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually regexp command...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		_ = ts.Exec(args[1], args[2:]...) // what it prints says all
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%q has not come; at last it printed\n%s%s", args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

// remember sets a variable to what the group of an expression matches in the last output.
func remember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: remember name regexp")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no match for %q", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// exits checks the exit code of a command: exits CODE COMMAND…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
