package scenario_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/faultdisk"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	sqlitestore "github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// A program whose database does not answer any more is told to stop: Run takes
// DrainTimeout, closing the store 3 s, however much was under way.
func TestStopWithAHungDatabase(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	for name, open := range map[string]func(t *testing.T) (st store.Store, hang func()){
		"network that drops all": func(t *testing.T) (store.Store, func()) {
			proxy, url := newProxy(t, pgtest.Database(t), 1)
			st, err := postgres.OpenWith(t.Context(), url, postgres.Options{Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			return st, proxy.Swallow
		},
		"file locked by another process": func(t *testing.T) (store.Store, func()) {
			path := filepath.Join(t.TempDir(), "locked.db")
			st, err := sqlitestore.OpenWith(path, sqlitestore.Options{Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			return st, func() {
				c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				if err := sqlitex.ExecuteTransient(c, "BEGIN IMMEDIATE", nil); err != nil {
					t.Fatal(err)
				}
			}
		},
		"disk that does not answer": func(t *testing.T) (store.Store, func()) {
			dir, err := os.MkdirTemp("", "stuck") //nolint:usetesting // not the test's: the file is open beyond its end
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			disk, err := faultdisk.Mount(dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(disk.Unmount)
			st, err := sqlitestore.OpenWith(filepath.Join(dir, "stuck.db"), sqlitestore.Options{Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			answers := make(chan struct{})
			t.Cleanup(func() { close(answers) })
			return st, func() {
				disk.Inject(func(faultdisk.Op) faultdisk.Fault {
					<-answers
					return faultdisk.None
				})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, hang := open(t)
			const drain = 2 * time.Second
			began := make(chan struct{})
			busy := workflow.Define("busy", func(ctx workflow.Context, _ string) (string, error) {
				return workflow.Step(ctx, "work", func(ctx context.Context) (string, error) {
					close(began)
					<-ctx.Done()
					return "", ctx.Err()
				})
			})
			eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{busy}, DrainTimeout: drain, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
			ran := make(chan error, 1)
			go func() { ran <- eng.Run(ctx) }()
			if _, err := busy.Start(t.Context(), eng, ""); err != nil {
				t.Fatal(err)
			}
			<-began
			hang()
			client, err := engine.New(st, engine.Options{Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			lost := make(chan error, 1)
			go func() { // of a handler that nobody has told
				_, err := client.StartRun(context.WithoutCancel(t.Context()), workflow.StartRequest{Workflow: "busy", Input: []byte(`""`)})
				lost <- err
			}()
			// What it takes beside that is what a busy machine needs. It was 30 s, or forever.
			const slack = 4 * time.Second
			stopped := time.Now()
			cancel()
			if err := errors.Join(<-ran, eng.Close(), client.Close()); err == nil {
				t.Error("stopped without a word about what could not be written")
			}
			drained := time.Since(stopped)
			if drained > drain+slack {
				t.Errorf("Run took %v, DrainTimeout is %v", drained, drain)
			}
			stopped = time.Now()
			err = st.Close()
			closed := time.Since(stopped)
			if closed > 3*time.Second+slack {
				t.Errorf("closing the store took %v: %v", closed, err)
			}
			t.Logf("Run took %v, closing %v: %v", drained, closed, err)
			if name == "disk that does not answer" {
				return // its caller waits for it, or for the end of its context
			}
			if err := <-lost; err == nil {
				t.Error("a start was acknowledged by a database that does not answer")
			}
		})
	}
}
