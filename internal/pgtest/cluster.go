package pgtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "postgres"
	loopback  = "127.0.0.1"

	// patience is far above what anything here takes.
	patience = time.Minute
)

// ErrNotInstalled says that there are no programs of PostgreSQL.
var ErrNotInstalled = errors.New("PostgreSQL is needed, and not here: install it (on Debian: apt-get install postgresql)")

// A cluster is what PostgreSQL calls a server with its data.
//
// Its folder belongs to the user that the server runs as, and nobody else can get to the
// socket in it. Over TCP anybody could, so that takes a password.
type cluster struct {
	bin      string // folder of PostgreSQL's programs
	dir      string // folder of the cluster: data, log and socket
	user     account
	port     int
	password string // of the superuser
	settings []string

	keeper  *exec.Cmd
	release io.Closer // ends the keeper

	postgres *exec.Cmd
	ended    chan struct{} // closed when postgres has ended
}

// keep is the keeper, a shell script that outlives us. The end of its input says that the
// cluster is not needed anymore or that this process is dead, whatever it died of. Then it
// ends all processes of its group, which are those of the cluster, and removes the folder.
const keep = `
trap '' QUIT
read -r _
kill -s QUIT 0
for try in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf "$1" && exit
	sleep 1
done
`

// shortPath is where folders of clusters are, rather than in os.TempDir: the path of a
// socket has 103 bytes at most, and the user that the server runs as needs a way to it.
const shortPath = "/tmp"

// newCluster makes a cluster, in a folder of its own in one that there is, and starts it.
func newCluster(ctx context.Context, parent string, settings ...string) (_ *cluster, err error) {
	bin, err := findPrograms()
	if err != nil {
		return nil, err
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "tenter-pg-")
	if err != nil {
		return nil, err
	}
	c := &cluster{bin: bin, dir: dir, user: user, password: rand.Text(), settings: settings}
	if err := c.startKeeper(ctx); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a PostgreSQL cluster: %w", err), c.close())
		}
	}()

	initdb := c.command(ctx, filepath.Join(bin, "initdb"), "--pgdata", c.path("data"), "--no-sync",
		"--username", superuser, "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if c.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	return c, execute(ctx, c.socketURL(superuser), "ALTER ROLE "+superuser+" PASSWORD '"+c.password+"'")
}

func (c *cluster) startKeeper(ctx context.Context) error {
	c.keeper = c.command(ctx, "sh", "-c", keep, "keeper", c.dir)
	var err error
	if c.release, err = c.keeper.StdinPipe(); err != nil {
		return err
	}
	if err := c.user.own(c.dir); err != nil {
		return err
	}
	return c.keeper.Start()
}

// command returns a command that will be executed as the user of the cluster, in the
// keeper's process group.
func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // nothing that begins with PG
	group := 0                                      // a new one
	if c.keeper != nil {
		group = c.keeper.Process.Pid
	}
	c.user.execute(cmd, group)
	return cmd
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) socketURL(user string) string {
	query := url.Values{"host": {c.dir}, "port": {strconv.Itoa(c.port)}}
	return "postgres://" + user + "@/postgres?" + query.Encode()
}

func (c *cluster) tcpURL() string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/postgres?sslmode=disable", superuser, c.password, loopback, c.port)
}

// start starts the server and returns when clients can connect.
func (c *cluster) start(ctx context.Context) error {
	args := []string{
		"-D", c.path("data"), "-k", c.dir, "-p", strconv.Itoa(c.port),
		"-c", "listen_addresses=" + loopback, "-c", "max_connections=300",
	}
	for _, s := range c.settings {
		args = append(args, "-c", s)
	}
	c.postgres = c.command(ctx, filepath.Join(c.bin, "postgres"), args...)
	log, err := os.OpenFile(c.path("log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
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
			log, _ := os.ReadFile(c.path("log"))
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
	err := errors.Join(c.release.Close(), c.keeper.Wait())
	if c.ended != nil {
		<-c.ended
	}
	return err
}

// freePort returns a port below those that systems give to outgoing connections, so that
// it is free again after a restart.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	for try := 0; ; try++ {
		port := 20_000 + mathrand.IntN(10_000)
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
		if try == 100 {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
	}
}

// binEnv names the folder of PostgreSQL's programs.
const binEnv = "TENTER_TEST_POSTGRES_BIN"

// findPrograms returns the folder of initdb and postgres: the one that the environment names,
// that on the PATH, or else of the newest version that Debian has installed.
func findPrograms() (string, error) {
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
