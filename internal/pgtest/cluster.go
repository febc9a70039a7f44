package pgtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/sandbox"
)

const (
	superuser = "postgres"

	// patience is far above what anything here takes, on a busy machine too.
	patience = 5 * time.Minute
)

// ErrNotInstalled says that there are no programs of PostgreSQL.
var ErrNotInstalled = errors.New("PostgreSQL is needed, and not here: install it (on Debian: apt-get install postgresql)")

// A cluster is what PostgreSQL calls a server with its data.
//
// Its folder belongs to the user that the server runs as, and nobody else can get to the
// socket in it. Over TCP anybody could, so that takes a password.
type cluster struct {
	bin      string           // folder of PostgreSQL's programs
	box      *sandbox.Sandbox // its folder has data, log and socket
	port     int
	password string // of the superuser
	settings []string

	postgres *exec.Cmd
	ended    chan struct{} // closed when postgres has ended
}

// shortPath is where folders of clusters are, rather than in os.TempDir: the path of a
// socket has 103 bytes at most, and the user that the server runs as needs a way to it.
const shortPath = "/tmp"

// newCluster makes a cluster, in a folder of its own in one that there is, and starts it.
func newCluster(ctx context.Context, parent string, settings ...string) (_ *cluster, err error) {
	bin, err := Programs()
	if err != nil {
		return nil, err
	}
	box, err := sandbox.New(ctx, parent, "tenter-pg-")
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, fmt.Errorf("%w, on a Unix", ErrNotInstalled)
	}
	if err != nil {
		return nil, err
	}
	c := &cluster{bin: bin, box: box, password: rand.Text(), settings: settings}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a PostgreSQL cluster: %w", err), c.close())
		}
	}()

	if err := c.initData(ctx); err != nil {
		return nil, err
	}
	if c.port, err = sandbox.FreePort(ctx); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	return c, execute(ctx, c.socketURL(superuser), "ALTER ROLE "+superuser+" PASSWORD '"+c.password+"'")
}

func (c *cluster) socketURL(user string) string {
	query := url.Values{"host": {c.box.Path()}, "port": {strconv.Itoa(c.port)}}
	return "postgres://" + user + "@/postgres?" + query.Encode()
}

func (c *cluster) tcpURL() string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/postgres?sslmode=disable", superuser, c.password, sandbox.Loopback, c.port)
}

// start starts the server and returns when clients can connect.
func (c *cluster) start(ctx context.Context) error {
	args := []string{
		"-D", c.box.Path("data"), "-k", c.box.Path(), "-p", strconv.Itoa(c.port),
		"-c", "listen_addresses=" + sandbox.Loopback, "-c", "max_connections=300",
	}
	for _, s := range c.settings {
		args = append(args, "-c", s)
	}
	c.postgres = c.box.Command(ctx, filepath.Join(c.bin, "postgres"), args...)
	log, err := os.OpenFile(c.box.Path("log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	c.postgres.Stdout, c.postgres.Stderr = log, log
	if err := errors.Join(c.postgres.Start(), log.Close()); err != nil {
		return err
	}
	ended := make(chan struct{})
	c.ended = ended
	go func() {
		defer close(ended)
		_ = c.postgres.Wait() // the log says more
	}()
	return c.ready(ctx)
}

func (c *cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.socketURL(superuser))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-c.ended:
			log, _ := os.ReadFile(c.box.Path("log"))
			return fmt.Errorf("the server has ended at once:\n%s", log)
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready after %v: %w", patience, err)
		}
	}
}

// stop ends the server with a signal of postmaster's.
func (c *cluster) stop(signal os.Signal) error {
	if err := c.postgres.Process.Signal(signal); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("PostgreSQL has not ended %v after signal %v", patience, signal)
	}
}

// close ends the server, if it is up, and removes the folder.
func (c *cluster) close() error {
	err := c.box.Close()
	if c.ended != nil {
		<-c.ended
	}
	return err
}

// binEnv names the folder of PostgreSQL's programs.
const binEnv = "TENTER_TEST_POSTGRES_BIN"

// Programs returns the folder of initdb and postgres: the one that the environment names,
// that on the PATH, or else of the newest version that Debian has installed. It fails with
// ErrNotInstalled if there is none.
func Programs() (string, error) {
	if dir := os.Getenv(binEnv); dir != "" {
		for _, name := range []string{"initdb", "postgres"} {
			// Not ErrNotInstalled: tests of a version must not be skipped because its name is wrong.
			if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
				return "", fmt.Errorf("%s: there is no %s in %q: %w", binEnv, name, dir, err)
			}
		}
		return filepath.Abs(dir)
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		// On the PATH may be links to some of the programs.
		initdb, err = filepath.EvalSymlinks(initdb)
		return filepath.Dir(initdb), err
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", ErrNotInstalled
	}
	version := func(initdb string) int {
		v, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
		return v
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
	return filepath.Dir(newest), nil
}
