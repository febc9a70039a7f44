package postgres

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// hosts are those of a connection string that has several. They are tried in their order,
// beginning with the one that was connected to last: one that is cut off costs each connection the
// time that it takes to notice. One that stops responding is tried last, since it may go on
// accepting connections, as a primary that another has replaced and that does not know.
type hosts struct {
	all []host

	mu    sync.Mutex
	first int                 // is tried first
	ips   map[string][]string // of names
}

type host struct {
	name string
	port uint16
	ways []*pgconn.FallbackConfig // to connect to it: with TLS and without
}

func newHosts(c *pgx.ConnConfig) *hosts {
	h := &hosts{ips: make(map[string][]string)}
	ways := append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	for _, way := range ways {
		i := slices.IndexFunc(h.all, func(o host) bool { return o.name == way.Host && o.port == way.Port })
		if i < 0 {
			i, h.all = len(h.all), append(h.all, host{name: way.Host, port: way.Port})
		}
		h.all[i].ways = append(h.all[i].ways, way)
	}
	return h
}

// several reports whether there is a choice.
func (h *hosts) several() bool { return len(h.all) > 1 }

// order has a connection try the hosts in their order.
func (h *hosts) order(c *pgx.ConnConfig) {
	if !h.several() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var ways []*pgconn.FallbackConfig
	for _, o := range slices.Concat(h.all[h.first:], h.all[:h.first]) {
		ways = append(ways, o.ways...)
	}
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = ways[0].Host, ways[0].Port, ways[0].TLSConfig, ways[1:]
	lookUp := c.LookupFunc
	c.LookupFunc = func(ctx context.Context, name string) ([]string, error) {
		ips, err := lookUp(ctx, name)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ips[name] = ips
		return ips, err
	}
}

// connected notes to which address there is a connection.
func (h *hosts) connected(addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.find(addr); i >= 0 {
		h.first = i
	}
}

// silent notes that an address does not respond.
func (h *hosts) silent(addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.find(addr); i == h.first {
		h.first = (i + 1) % len(h.all)
	}
}

// find returns which host has an address, -1 if that is not known. h is locked.
func (h *hosts) find(addr string) int {
	ip, port, err := net.SplitHostPort(addr)
	if err != nil {
		return -1
	}
	return slices.IndexFunc(h.all, func(o host) bool {
		return strconv.Itoa(int(o.port)) == port && (o.name == ip || slices.Contains(h.ips[o.name], ip))
	})
}
