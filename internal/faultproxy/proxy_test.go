package faultproxy_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/faultproxy"
)

// server speaks as much of PostgreSQL's protocol as the proxy knows: it answers each
// query with its text, and remembers it.
type server struct {
	addr string

	mu      sync.Mutex
	queries []string
	news    chan struct{} // has one when there is one more query
}

func newServer(t *testing.T) *server {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String(), news: make(chan struct{}, 1)}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return s
}

func (s *server) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for { // requests to encrypt, and the start
		code, err := untyped(c)
		if err != nil {
			return
		}
		if code == 3<<16 {
			break
		}
		if _, err := c.Write([]byte("N")); err != nil {
			return
		}
	}
	if _, err := c.Write(slices.Concat(message('R', "\x00\x00\x00\x00"), message('Z', "I"))); err != nil {
		return
	}
	for {
		kind, text, err := typed(c)
		if err != nil || kind != 'Q' {
			return
		}
		s.mu.Lock()
		s.queries = append(s.queries, text)
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
		if _, err := c.Write(slices.Concat(message('D', text), message('Z', "I"))); err != nil {
			return
		}
	}
}

// heard returns how often a query was.
func (s *server) heard(text string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queries {
		if q == text {
			n++
		}
	}
	return n
}

// client is a connection to such a server.
type client struct{ c net.Conn }

func dial(t *testing.T, p *faultproxy.Proxy) (*client, error) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr().String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{conn}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	ssl := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877103)
	if _, err := conn.Write(ssl); err != nil {
		return nil, err
	}
	var no [1]byte
	if _, err := io.ReadFull(conn, no[:]); err != nil {
		return nil, err
	}
	start := "user\x00tenter\x00\x00"
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(8+len(start))), 3<<16)
	if _, err := conn.Write(append(head, start...)); err != nil {
		return nil, err
	}
	return c, c.ready(nil)
}

func mustDial(t *testing.T, p *faultproxy.Proxy) *client {
	t.Helper()
	c, err := dial(t, p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// query asks a query and waits for its answer.
func (c *client) query(text string) error {
	if _, err := c.c.Write(message('Q', text)); err != nil {
		return err
	}
	var got string
	if err := c.ready(&got); err != nil {
		return err
	}
	if got != text {
		return fmt.Errorf("asked %q, was answered %q", text, got)
	}
	return nil
}

// ready waits until the server is ready for a query.
func (c *client) ready(data *string) error {
	for {
		kind, text, err := typed(c.c)
		switch {
		case err != nil:
			return err
		case kind == 'Z':
			return nil
		case kind == 'D':
			*data = text
		}
	}
}

func message(kind byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(text))), text...)
}

func typed(r io.Reader) (kind byte, text string, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, "", err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(r, body)
	return head[0], string(body), err
}

func untyped(r io.Reader) (code uint32, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(r, make([]byte, binary.BigEndian.Uint32(head[:])-8))
	return binary.BigEndian.Uint32(head[4:]), err
}

func newProxy(t *testing.T, s *server, seed uint64) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.Listen("tcp", s.addr, faultproxy.Options{Seed: seed, Moment: 10 * time.Millisecond, While: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestKinds: what a fault does to the query that it hits.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind     faultproxy.Kind
		answered bool
		heard    int // by the server when the client knows what became of it
		late     int // and later
	}{
		{kind: faultproxy.CutRequest},
		{kind: faultproxy.HalfRequest},
		{kind: faultproxy.LostAnswer, heard: 1},
		{kind: faultproxy.HalfAnswer, heard: 1},
		{kind: faultproxy.LateRequest, late: 1},
		{kind: faultproxy.Delay, answered: true, heard: 1},
		{kind: faultproxy.Freeze, answered: true, heard: 1},
		{kind: faultproxy.CutAll},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			p := newProxy(t, s, 1)
			c, other := mustDial(t, p), mustDial(t, p)
			if err := c.query("before"); err != nil {
				t.Fatal(err)
			}
			if n := len(p.Faults()); n != 0 {
				t.Errorf("%d faults of their own accord", n)
			}
			p.Inject(tt.kind)
			asked := time.Now()
			err := c.query("q")
			if tt.answered != (err == nil) {
				t.Errorf("the client has error %v", err)
			}
			faults := p.Faults()
			if len(faults) != 1 || faults[0].Kind != tt.kind {
				t.Fatalf("faults %v", faults)
			}
			if tt.answered && (time.Now().Before(faults[0].Ended) || faults[0].Ended.Before(asked)) {
				t.Error("it was over before the fault was")
			}
			if tt.late == 0 && s.heard("q") != tt.heard {
				t.Errorf("the server has heard it %d times, want %d", s.heard("q"), tt.heard)
			}
			for tt.late > 0 && s.heard("q") < tt.late {
				select {
				case <-s.news:
				case <-t.Context().Done():
					t.Fatal("the server does not hear it")
				}
			}
			if tt.late > 0 && time.Now().Before(faults[0].Ended) {
				t.Error("the server has heard it too early")
			}
			if err := other.query("other"); (err == nil) != (tt.kind != faultproxy.CutAll) {
				t.Errorf("another connection has error %v", err)
			}
			if err := mustDial(t, p).query("after"); err != nil {
				t.Errorf("a new connection has error %v", err)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	p := newProxy(t, newServer(t), 2)
	c := mustDial(t, p)
	p.Inject(faultproxy.Refuse)
	until := p.Faults()[0].Ended
	if _, err := dial(t, p); err == nil && time.Now().Before(until) {
		t.Error("a new connection was not refused")
	}
	if err := c.query("q"); err != nil {
		t.Errorf("a connection that was there: %v", err)
	}
	for {
		_, err := dial(t, p)
		if err == nil {
			break
		}
		if time.Since(until) > time.Minute {
			t.Fatalf("connections are refused forever: %v", err)
		}
	}
	if early := time.Until(until); early > 0 {
		t.Errorf("a new connection was not refused, %v too early", early)
	}
}

// TestTorment: under faults of all kinds a client that repeats what failed has
// everything carried out, and nothing that was answered is missing.
func TestTorment(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := newProxy(t, s, 3)
	ctx, stop := context.WithCancel(t.Context())
	var torment sync.WaitGroup
	torment.Go(func() { p.Torment(ctx, time.Millisecond) })
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			var c *client
			for n := 0; len(p.Faults()) < 300; n++ {
				text := fmt.Sprintf("%d of client %d", n, i)
				for err := errors.New("no connection"); err != nil; {
					if c == nil {
						if c, err = dial(t, p); err != nil {
							c = nil
							continue
						}
					}
					if err = c.query(text); err != nil {
						c = nil
					}
				}
				if s.heard(text) == 0 {
					t.Errorf("%s was answered and never heard", text)
				}
			}
		})
	}
	clients.Wait()
	stop()
	torment.Wait()
	kinds := map[faultproxy.Kind]int{}
	for _, f := range p.Faults() {
		kinds[f.Kind]++
	}
	for _, k := range faultproxy.Kinds {
		if kinds[k] == 0 {
			t.Errorf("there was no %s", k)
		}
	}
	t.Logf("%v", kinds)
}

func TestCloseEndsConnections(t *testing.T) {
	t.Parallel()
	p := newProxy(t, newServer(t), 4)
	c := mustDial(t, p)
	p.Inject(faultproxy.Freeze)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.query("q"); err == nil {
		t.Error("the connection is still there")
	}
	if _, err := dial(t, p); err == nil {
		t.Error("it still listens")
	}
}
