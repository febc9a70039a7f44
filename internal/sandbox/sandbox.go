// Package sandbox runs the servers that tests start: as a user who is not root, in a folder of
// their own, and gone with the test process, whatever that dies of.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Loopback is where servers listen.
const Loopback = "127.0.0.1"

// A Sandbox is a folder, the user that it belongs to, and the programs that run in it.
type Sandbox struct {
	dir     string
	user    account
	keeper  *exec.Cmd
	release io.Closer // ends the keeper
}

// keep is the keeper, a shell script that outlives us. The end of its input says that the
// sandbox is not needed anymore or that this process is dead, whatever it died of. Then it
// ends all processes of its group and, in a sandbox with daemons, those that work in the folder,
// stopped ones too, and removes the folder.
const keep = `
trap '' QUIT
read -r _
kill -s QUIT 0
if [ -n "$2" ]; then
	kill -s CONT 0
	for cwd in /proc/[0-9]*/cwd; do
		pid=${cwd#/proc/} pid=${pid%/cwd}
		case $(readlink "$cwd") in "$1" | "$1"/*) [ "$pid" = $$ ] || kill -s KILL "$pid" ;; esac
	done
fi
for try in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf "$1" && exit
	sleep 1
done
`

// New makes a sandbox, in a folder of its own in one that there is. Its commands are in one process
// group, and end with it. The error is errors.ErrUnsupported where there are no such groups.
func New(ctx context.Context, parent, pattern string) (*Sandbox, error) {
	return newSandbox(ctx, parent, pattern, "")
}

// NewForDaemons is New for commands that start others in sessions of their own, which Linux can
// tell by their working directory: below the folder.
func NewForDaemons(ctx context.Context, parent, pattern string) (*Sandbox, error) {
	return newSandbox(ctx, parent, pattern, "daemons")
}

func newSandbox(ctx context.Context, parent, pattern, daemons string) (*Sandbox, error) {
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{dir: dir, user: user}
	if err := s.start(ctx, daemons); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context, daemons string) error {
	keeper := s.Command(context.WithoutCancel(ctx), "sh", "-c", keep, "keeper", s.dir, daemons)
	var err error
	if s.release, err = keeper.StdinPipe(); err != nil {
		return err
	}
	if err := s.user.own(s.dir); err != nil {
		return err
	}
	s.keeper = keeper
	return keeper.Start()
}

// Command returns a command that will be executed in the folder, as its user, with no environment
// but the path.
func (s *Sandbox) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // nothing that begins with PG
	group := 0                                      // a new one
	if s.keeper != nil {
		group = s.keeper.Process.Pid
	}
	s.user.execute(cmd, group)
	return cmd
}

// Path is that of a file in the folder.
func (s *Sandbox) Path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// WriteFile makes a file that only the user can read.
func (s *Sandbox) WriteFile(name string, data []byte) error {
	return errors.Join(os.WriteFile(s.Path(name), data, 0o600), s.user.own(s.Path(name)))
}

// Mkdir makes a folder that only the user can get to.
func (s *Sandbox) Mkdir(name string) error {
	return errors.Join(os.Mkdir(s.Path(name), 0o700), s.user.own(s.Path(name)))
}

// Close ends all programs and removes the folder.
func (s *Sandbox) Close() error { return errors.Join(s.release.Close(), s.keeper.Wait()) }

// FreePort returns a port below those that systems give to outgoing connections, so that
// it is free again after a restart.
func FreePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	for try := 0; ; try++ {
		port := 20_000 + rand.IntN(10_000)
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(Loopback, strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
		if try == 100 {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
	}
}
