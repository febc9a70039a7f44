//go:build unix

package patroni

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/internal/sandbox"
)

const (
	superuser  = "postgres"
	replicator = "replicator"
	nodePrefix = "node"

	// patience is far above what anything here takes.
	patience = 3 * time.Minute
)

// Options are those of Patroni that decide how fast a failover is.
type Options struct {
	TTL, LoopWait, RetryTimeout time.Duration
}

// Default is what Patroni does if nobody says otherwise.
var Default = Options{TTL: 30 * time.Second, LoopWait: 10 * time.Second, RetryTimeout: 10 * time.Second}

// Fast is about as fast as Patroni allows: its ttl is 20 s at least.
var Fast = Options{TTL: 20 * time.Second, LoopWait: 2 * time.Second, RetryTimeout: 5 * time.Second}

// Cluster is three nodes and an etcd.
type Cluster struct {
	Network *Network

	t        testing.TB
	opts     Options
	box      *sandbox.Sandbox
	bin      string // folder of PostgreSQL's programs
	password string
	etcd     *exec.Cmd
	nodes    []*Node
}

// Start starts a cluster, which ends with the test. It returns when there are a primary and a
// standby that is synchronous.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	bin, err := programs()
	if err != nil && os.Getenv("TENTER_REQUIRE_PATRONI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context()) // servers end when the sandbox does
	box, err := sandbox.NewForDaemons(ctx, "/tmp", "tenter-ha-")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{Network: newNetwork(), t: t, opts: o, box: box, bin: bin, password: rand.Text()}
	t.Cleanup(func() {
		if t.Failed() {
			c.showLogs()
		}
		if err := errors.Join(c.Network.close(), box.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := c.startEtcd(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		n, err := c.newNode(ctx, nodePrefix+strconv.Itoa(i+1))
		if err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, n)
		n.Start()
	}
	c.AwaitSync()
	return c
}

// programs returns the folder of PostgreSQL's programs, if the others are here as well.
func programs() (bin string, err error) {
	bin, err = pgtest.Programs()
	for _, name := range []string{"patroni", "etcd"} {
		if _, missing := exec.LookPath(name); missing != nil {
			err = errors.Join(err, missing)
		}
	}
	if _, missing := os.Stat("/proc/self/cwd"); missing != nil {
		err = errors.Join(err, missing)
	}
	if err != nil {
		return "", fmt.Errorf("a cluster needs Linux with PostgreSQL, Patroni and etcd (on Debian: apt-get install postgresql patroni python3-etcd etcd-server): %w", err)
	}
	return bin, nil
}

func (c *Cluster) startEtcd(ctx context.Context) error {
	var urls [2]string
	for i := range urls {
		port, err := sandbox.FreePort(ctx)
		if err != nil {
			return err
		}
		urls[i] = "http://" + address(port)
	}
	// It shares the disk with the logs of three servers: waits for syncs must not look like failures.
	c.etcd = c.box.Command(ctx, "etcd", "--data-dir", c.box.Path("etcd"),
		"--heartbeat-interval=1000", "--election-timeout=10000",
		"--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
		"--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1], "--initial-cluster", "default="+urls[1])
	if err := c.log(c.etcd, "etcd.log"); err != nil {
		return err
	}
	if err := c.etcd.Start(); err != nil {
		return err
	}
	return c.awaitEtcd(ctx)
}

// awaitEtcd waits until etcd has decided on its version, without which Patroni does not start.
func (c *Cluster) awaitEtcd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var version struct {
			Cluster string `json:"etcdcluster"`
		}
		err := ask(ctx, http.MethodGet, "http://"+c.etcdAddr()+"/version", nil, &version)
		if err == nil && version.Cluster != "not_decided" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("etcd is not ready after %v: %w", patience, err)
		}
	}
}

// etcdAddr is where etcd listens.
func (c *Cluster) etcdAddr() string {
	return strings.TrimPrefix(c.etcd.Args[slices.Index(c.etcd.Args, "--listen-client-urls")+1], "http://")
}

// log appends what a command says to a file.
func (c *Cluster) log(cmd *exec.Cmd, name string) error {
	f, err := os.OpenFile(c.box.Path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = f, f
	return nil
}

func address(port int) string { return net.JoinHostPort(sandbox.Loopback, strconv.Itoa(port)) }

// newNode makes a node, with proxies between it and everybody else.
func (c *Cluster) newNode(ctx context.Context, name string) (n *Node, err error) {
	n = &Node{Name: name, c: c}
	for _, port := range []*int{&n.postgres, &n.rest} {
		if *port, err = sandbox.FreePort(ctx); err != nil {
			return nil, err
		}
	}
	var etcd, rest, peers string
	for _, w := range []struct {
		addr         *string
		from, to, at string
	}{
		{&etcd, name, Etcd, c.etcdAddr()},
		{&rest, Peers, name, address(n.rest)},
		{&peers, Peers, name, address(n.postgres)},
		{&n.clients, Clients, name, address(n.postgres)},
	} {
		if *w.addr, err = c.Network.wire(ctx, w.from, w.to, w.at); err != nil {
			return nil, err
		}
	}
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	type object = map[string]any
	config, err := json.Marshal(object{ // YAML is a superset of JSON
		"scope": "tenter", "name": name,
		"restapi": object{"listen": address(n.rest), "connect_address": rest},
		"etcd3":   object{"hosts": []string{etcd}, "use_proxies": true},
		"bootstrap": object{
			"dcs": object{
				"ttl": seconds(c.opts.TTL), "loop_wait": seconds(c.opts.LoopWait), "retry_timeout": seconds(c.opts.RetryTimeout),
				"primary_start_timeout": 0, "synchronous_mode": true, "synchronous_mode_strict": true,
				"postgresql": object{"use_pg_rewind": true, "parameters": object{
					"max_connections": 300,
					// A standby that is cut off holds commits up until it is noticed.
					"wal_sender_timeout": "5s", "wal_receiver_timeout": "5s",
				}},
			},
			"initdb": []any{object{"encoding": "UTF8"}, object{"locale": "C"}, "data-checksums"},
		},
		"postgresql": object{
			"listen": address(n.postgres), "connect_address": peers,
			"data_dir": c.box.Path(name), "bin_dir": c.bin, "pgpass": c.box.Path(name + ".pgpass"),
			"authentication": object{
				"superuser":   object{"username": superuser, "password": c.password, "sslmode": "disable", "gssencmode": "disable"},
				"replication": object{"username": replicator, "password": c.password, "sslmode": "disable", "gssencmode": "disable"},
			},
			"pg_hba":     []string{"host all all 127.0.0.1/32 scram-sha-256", "host replication " + replicator + " 127.0.0.1/32 scram-sha-256"},
			"parameters": object{"unix_socket_directories": ""},
		},
	})
	if err != nil {
		return nil, err
	}
	return n, c.box.WriteFile(name+".yml", config)
}

// URL is for clients: it has all nodes in it, and wants the primary.
func (c *Cluster) URL() string {
	var hosts []string
	for _, n := range c.nodes {
		hosts = append(hosts, n.clients)
	}
	return c.url(strings.Join(hosts, ","), "&target_session_attrs=read-write")
}

func (c *Cluster) url(hosts, more string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, c.password), Host: hosts, Path: "/postgres"}
	return u.String() + "?sslmode=disable&connect_timeout=5" + more
}

// showLogs shows the ends of the logs of a test that has failed.
func (c *Cluster) showLogs() {
	names := []string{"etcd.log"}
	for _, n := range c.nodes {
		names = append(names, n.Name+".log")
	}
	for _, name := range names {
		text, err := os.ReadFile(c.box.Path(name))
		if err != nil {
			c.t.Log(err)
		}
		const most = 8 << 10
		c.t.Logf("%s:\n%s", name, text[max(0, len(text)-most):])
	}
}
