//go:build unix

package patroni

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Node is a server and its Patroni.
type Node struct {
	Name string

	c              *Cluster
	postgres, rest int    // ports
	clients        string // address of the proxy for clients
	patroni        *exec.Cmd
	ended          chan struct{} // closed when Patroni has ended
}

// Start starts Patroni, which starts the server.
func (n *Node) Start() {
	n.c.t.Helper()
	n.patroni = n.c.box.Command(context.WithoutCancel(n.c.t.Context()), "patroni", n.c.box.Path(n.Name+".yml"))
	if err := n.c.log(n.patroni, n.Name+".log"); err != nil {
		n.c.t.Fatal(err)
	}
	if err := n.patroni.Start(); err != nil {
		n.c.t.Fatal(err)
	}
	cmd, ended := n.patroni, make(chan struct{})
	n.ended = ended
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the log says more
	}()
}

// KillPostgres kills the server, all its processes with it: they end when its postmaster has.
func (n *Node) KillPostgres() {
	n.c.t.Helper()
	n.signal(n.postmaster(), syscall.SIGKILL)
}

// Kill kills Patroni and the server, as when the machine dies.
func (n *Node) Kill() {
	n.c.t.Helper()
	postmaster := n.postmaster()
	n.signal(n.patroni.Process.Pid, syscall.SIGKILL)
	n.signal(postmaster, syscall.SIGKILL)
	<-n.ended
}

// FreezePatroni stops Patroni, and nothing else.
func (n *Node) FreezePatroni() (thaw func()) {
	n.c.t.Helper()
	return n.freeze(n.patroni.Process.Pid)
}

// FreezePostmaster stops the process that accepts connections. Those that are there go on.
func (n *Node) FreezePostmaster() (thaw func()) {
	n.c.t.Helper()
	return n.freeze(n.postmaster())
}

// Freeze stops everything on the node.
func (n *Node) Freeze() (thaw func()) {
	n.c.t.Helper()
	return n.freeze(append(n.server(), n.patroni.Process.Pid)...)
}

func (n *Node) freeze(pids ...int) (thaw func()) {
	n.c.t.Helper()
	for _, pid := range pids {
		n.signal(pid, syscall.SIGSTOP)
	}
	return func() {
		n.c.t.Helper()
		for _, pid := range pids {
			n.signal(pid, syscall.SIGCONT)
		}
	}
}

func (n *Node) signal(pid int, s syscall.Signal) {
	n.c.t.Helper()
	if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
		n.c.t.Errorf("send %s to process %d of %s: %v", s, pid, n.Name, err)
	}
}

// postmaster is the ID of the server's first process.
func (n *Node) postmaster() int {
	n.c.t.Helper()
	text, err := os.ReadFile(n.c.box.Path(n.Name, "postmaster.pid"))
	if err != nil {
		n.c.t.Fatal(err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		n.c.t.Fatalf("postmaster.pid of %s: %v", n.Name, err)
	}
	return pid
}

// server returns the IDs of all processes of the server: they work in its folder.
func (n *Node) server() (pids []int) {
	n.c.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		n.c.t.Fatal(err)
	}
	for _, link := range all {
		if dir, err := os.Readlink(link); err != nil || dir != n.c.box.Path(n.Name) {
			continue // it may have ended
		}
		pid, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(link, "/proc/"), "/cwd"))
		if err != nil {
			n.c.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
