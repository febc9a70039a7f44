package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Database returns the URL of an empty database of the test's own, which is dropped in the end. Its
// owner, the URL's user, is not a superuser. The server is shared by the tests of the process, and
// does not wait for the disk: nothing in it outlives the process.
func Database(t testing.TB) string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // cleanups need it, when t's own has ended
	own := sharedServer(ctx, t)
	server := own.String()
	name := "tenter_test_" + strings.ToLower(rand.Text())
	if err := execute(ctx, server, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the database of the test: %v", err)
		}
	})
	own.Path = "/" + name
	return own.String()
}

// sharedServer returns the URL of the server for databases.
func sharedServer(ctx context.Context, t testing.TB) url.URL {
	t.Helper()
	if given := os.Getenv("TENTER_TEST_POSTGRES"); given != "" {
		u, err := url.Parse(given)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			t.Fatal("TENTER_TEST_POSTGRES is not a URL such as postgres://user:password@localhost:5432/postgres")
		}
		return *u
	}
	shared.once.Do(func() { shared.cluster, shared.err = newShared(ctx) })
	if errors.Is(shared.err, ErrNotInstalled) {
		skip(t, shared.err.Error()+", or set TENTER_TEST_POSTGRES to the URL of a server where databases may be created")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	u, err := url.Parse(shared.cluster.socketURL(ordinary))
	if err != nil {
		t.Fatal(err)
	}
	return *u
}

// shared is the server of this process. Somebody has to hold it: a cluster that is garbage
// lets its keeper go.
var shared struct {
	once    sync.Once
	cluster *cluster
	err     error
}

// ordinary is a role that may create databases, and is not a superuser.
const ordinary = "tenter"

func newShared(ctx context.Context) (*cluster, error) {
	c, err := newCluster(ctx, shortPath, "fsync=off", "full_page_writes=off")
	if err != nil {
		return nil, err
	}
	// To drop a database is to end who is at work in it, which may be autovacuum.
	err = execute(ctx, c.socketURL(superuser), "CREATE ROLE "+ordinary+" LOGIN CREATEDB CREATEROLE IN ROLE pg_signal_backend")
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("TENTER_REQUIRE_POSTGRES") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// execute executes one statement on a connection of its own.
func execute(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	if err != nil {
		err = fmt.Errorf("%s: %w", statement, err)
	}
	return errors.Join(err, conn.Close(ctx))
}
