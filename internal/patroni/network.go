//go:build unix

package patroni

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
)

// Network passes TCP connections between parties, unless it is partitioned: then what they send
// waits, as it does where packets are lost and sent again, until the partition is healed or one
// side gives up.
type Network struct {
	mu      sync.Mutex
	changed sync.Cond
	cut     map[route]bool
	wires   []*wire
}

// A route is how packets of one party get to another.
type route struct{ from, to string }

// Parties that are not nodes.
const (
	Etcd    = "etcd"
	Clients = "clients"

	// Peers are the other nodes, where it is not known which: in all but replication.
	Peers = "peers"
)

func newNetwork() *Network {
	n := &Network{cut: make(map[route]bool)}
	n.changed.L = &n.mu
	return n
}

// Cut loses all packets that one party sends to another.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[route{from, to}] = true
}

// Part cuts two parties off from each other, in both directions.
func (n *Network) Part(a, b string) {
	n.Cut(a, b)
	n.Cut(b, a)
}

// Heal ends all partitions.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.changed.Broadcast()
}

func (n *Network) close() error {
	n.Heal()
	var errs []error
	for _, w := range n.wires {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// A wire is a proxy before what listens at one port of a party.
type wire struct {
	network  *Network
	from, to string // from is who connects, unless a connection says who it is
	addr     string // behind the proxy
	listener net.Listener
	tasks    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

// wire puts a proxy before an address, for connections of a party to another. It returns where it
// listens.
func (n *Network) wire(ctx context.Context, from, to, addr string) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	w := &wire{network: n, from: from, to: to, addr: addr, listener: listener, open: make(map[net.Conn]bool)}
	n.wires = append(n.wires, w)
	ctx = context.WithoutCancel(ctx)
	w.tasks.Go(func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				w.tasks.Go(func() { w.pass(ctx, client) })
			}
		}
	})
	return listener.Addr().String(), nil
}

func (w *wire) close() error {
	err := w.listener.Close()
	w.mu.Lock()
	w.closed = true
	for c := range w.open {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.tasks.Wait()
	return err
}

// keep notes a connection, to close it in the end. It reports whether that is yet to come.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = c.Close()
		return false
	}
	w.open[c] = true
	return true
}

func (w *wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, c)
	_ = c.Close()
}

// pass passes on a connection. If nothing listens there, it is reset, as a machine does whose server
// is down.
func (w *wire) pass(ctx context.Context, client net.Conn) {
	defer w.drop(client)
	server, err := new(net.Dialer).DialContext(ctx, "tcp", w.addr)
	if err != nil || !w.keep(client) {
		_ = client.(*net.TCPConn).SetLinger(0) // it is closed either way
		return
	}
	defer w.drop(server)
	if !w.keep(server) {
		return
	}
	l := &link{wire: w, from: w.from}
	var both sync.WaitGroup
	both.Go(func() { l.carry(client, server, true) })
	both.Go(func() { l.carry(server, client, false) })
	both.Wait()
}

// A link is a connection that is passed on.
type link struct {
	wire *wire
	mu   sync.Mutex
	from string
}

// carry passes on what one side sends, until there is no more.
func (l *link) carry(from, to net.Conn, up bool) {
	// Either end closes both: TCP connections that are half open are used by none of the parties.
	defer l.wire.drop(from)
	defer l.wire.drop(to)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if up {
				l.identify(buf[:n])
			}
			l.await(up)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			// The end of a connection is a packet too.
			l.await(up)
			return
		}
	}
}

// await waits while packets in a direction are lost.
func (l *link) await(up bool) {
	l.mu.Lock()
	way := route{l.from, l.wire.to}
	l.mu.Unlock()
	if !up {
		way = route{way.to, way.from}
	}
	n := l.wire.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.cut[way] {
		n.changed.Wait()
	}
}

// identify learns from the start of a connection to PostgreSQL which node replicates over it.
func (l *link) identify(start []byte) {
	const protocol = 3 << 16
	if l.from != Peers || len(start) < 8 || binary.BigEndian.Uint32(start[4:]) != protocol {
		return
	}
	params := strings.Split(string(start[8:]), "\x00")
	i := slices.Index(params, "application_name")
	if i >= 0 && i+1 < len(params) && strings.HasPrefix(params[i+1], nodePrefix) {
		l.mu.Lock()
		l.from = params[i+1]
		l.mu.Unlock()
	}
}
