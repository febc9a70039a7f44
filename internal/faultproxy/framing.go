package faultproxy

import "encoding/binary"

// The codes in the first message of a client, which has no type.
const (
	protocol3  = 3 << 16
	sslRequest = 80877103
	gssRequest = 80877104
)

// framing follows the messages that go one way on a connection.
type framing struct {
	typed  bool   // messages begin with their type
	opaque bool   // it is encrypted, or no PostgreSQL
	head   []byte // of the message that has begun, as far as it has come
	left   int    // bytes to come of its body
	kind   byte
}

// feed takes in bytes and calls ended for each message that they complete: with its
// type, or with the code of a message that has none.
func (f *framing) feed(b []byte, ended func(kind byte, code uint32)) {
	for len(b) > 0 && !f.opaque {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left -= n
			b = b[n:]
			if f.left == 0 {
				ended(f.kind, 0)
			}
			continue
		}
		f.head = append(f.head, b[0])
		b = b[1:]
		switch {
		case f.typed && len(f.head) == 5:
			f.kind = f.head[0]
			f.left = int(binary.BigEndian.Uint32(f.head[1:])) - 4
			f.head = f.head[:0]
			if f.left == 0 {
				ended(f.kind, 0)
			}
		case !f.typed && len(f.head) == 8:
			length, code := binary.BigEndian.Uint32(f.head), binary.BigEndian.Uint32(f.head[4:])
			f.kind, f.left = 0, int(length)-8
			f.head = f.head[:0]
			if code == protocol3 {
				f.typed = true
			}
			if f.left == 0 || code == protocol3 {
				ended(0, code)
			}
		}
		if f.left < 0 || f.left > 1<<30 {
			f.opaque = true
		}
	}
}

// conversation follows a connection: how many answers the server owes.
type conversation struct {
	client, server framing
	owed           int  // answers to requests that have been passed on
	open           bool // the server has accepted the session
	single         bool // the next byte of the server answers a request to encrypt
}

func newConversation() conversation { return conversation{server: framing{typed: true}} }

// request takes in what goes to the server. It reports whether that ends a request
// of an open session, with nothing begun after it.
func (c *conversation) request(b []byte) (complete bool) {
	c.client.feed(b, func(kind byte, code uint32) {
		complete = false
		switch {
		case code == sslRequest || code == gssRequest:
			c.single = true
		case kind == 'S' || kind == 'Q' || kind == 'F':
			complete = true
			c.owed++
		case code == protocol3:
			c.owed++
		}
	})
	return complete && c.open && c.client.left == 0 && len(c.client.head) == 0
}

// answer takes in what comes from the server.
func (c *conversation) answer(b []byte) {
	if c.single && len(b) > 0 {
		c.single = false
		if b[0] != 'N' {
			c.client.opaque, c.server.opaque = true, true
		}
		b = b[1:]
	}
	c.server.feed(b, func(kind byte, _ uint32) {
		if kind == 'Z' {
			c.open = true
			c.owed--
		}
	})
}
