//go:build unix

package patroni

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// newEcho starts a network with a wire from the other nodes to node1, which sends back what it gets
// and tells the test.
func newEcho(t *testing.T) (n *Network, addr string, heard chan string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard = make(chan string, 100)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 1<<10)
				for {
					k, err := c.Read(buf)
					if err != nil {
						return
					}
					heard <- string(buf[:k])
					if _, err := c.Write(buf[:k]); err != nil {
						return
					}
				}
			}()
		}
	}()
	n = newNetwork()
	t.Cleanup(func() {
		if err := errors.Join(n.close(), listener.Close()); err != nil {
			t.Error(err)
		}
	})
	if addr, err = n.wire(t.Context(), Peers, "node1", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	return n, addr, heard
}

type caller struct {
	t *testing.T
	net.Conn
}

func dial(t *testing.T, addr string) *caller {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &caller{t, c}
}

func (c *caller) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// hear wants to be answered.
func (c *caller) hear(text string) {
	c.t.Helper()
	buf := make([]byte, len(text))
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
		c.t.Fatalf("heard %q, %v, want %q", buf, err, text)
	}
}

// silence wants not to be answered.
func (c *caller) silence() {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		c.t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("%d bytes came through, %v", n, err)
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	n, addr, heard := newEcho(t)
	c := dial(t, addr)
	c.say("before")
	c.hear("before")
	<-heard

	n.Cut(Peers, "node1")
	c.say("there")
	c.silence()
	later := dial(t, addr) // connections are made, and stay silent
	later.say("later")
	later.silence()
	if len(heard) > 0 {
		t.Errorf("%q came through", <-heard)
	}
	n.Heal()
	c.hear("there")
	later.hear("later")
	<-heard
	<-heard

	n.Cut("node1", Peers)
	c.say("and back")
	if got := <-heard; got != "and back" {
		t.Errorf("%q came through", got)
	}
	c.silence()
	n.Heal()
	c.hear("and back")
}

// Replication is known by the name that a standby gives to its connection.
func TestPartitionOfOneStandby(t *testing.T) {
	t.Parallel()
	n, addr, _ := newEcho(t)
	start := func(name string) *caller {
		params := "user\x00replicator\x00application_name\x00" + name + "\x00\x00"
		text := string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(8+len(params))), 3<<16)) + params
		c := dial(t, addr)
		ssl := string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877103))
		c.say(ssl)
		c.hear(ssl)
		c.say(text)
		c.hear(text)
		return c
	}
	two := start("node2")
	three := start("node3")
	n.Part("node2", "node1")
	two.say("x")
	three.say("y")
	three.hear("y")
	two.silence()
	n.Heal()
	two.hear("x")
}
