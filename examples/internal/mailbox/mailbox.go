// Package mailbox is a mail server on loopback, for the examples that send mail: it takes what
// it is sent, and passes nothing on.
package mailbox

import (
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// Mailbox is the server. Its zero value is of no use.
type Mailbox struct {
	listener net.Listener
	mails    chan []byte
}

// Listen opens a mailbox on a free port.
func Listen() (*Mailbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &Mailbox{listener, make(chan []byte, 100)}
	go m.serve()
	return m, nil
}

// Addr is where to send mail to: host and port.
func (m *Mailbox) Addr() string { return m.listener.Addr().String() }

// Close closes the mailbox.
func (m *Mailbox) Close() error { return m.listener.Close() }

// Mails are those that come, as they were sent.
func (m *Mailbox) Mails() <-chan []byte { return m.mails }

func (m *Mailbox) serve() {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			return // closed
		}
		go m.converse(conn)
	}
}

// converse speaks as much of SMTP (RFC 5321) as it takes to receive mails.
func (m *Mailbox) converse(conn net.Conn) {
	defer conn.Close()
	c := textproto.NewConn(conn)
	say := func(line string) error { return c.PrintfLine("%s", line) }
	err := conn.SetDeadline(time.Now().Add(time.Minute))
	if err == nil {
		err = say("220 mailbox ready")
	}
	for err == nil {
		var line string
		if line, err = c.ReadLine(); err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch command {
		case "EHLO", "HELO":
			err = say("250 mailbox")
		case "MAIL", "RCPT", "RSET", "NOOP":
			err = say("250 fine")
		case "DATA":
			if err = say("354 go on"); err == nil {
				err = m.take(c, say)
			}
		case "QUIT":
			err = errors.Join(say("221 bye"), io.EOF)
		default:
			err = say("502 not here")
		}
	}
}

// take takes a mail, which counts when the sender is told so.
func (m *Mailbox) take(c *textproto.Conn, say func(string) error) error {
	mail, err := c.ReadDotBytes()
	if err != nil {
		return err
	}
	select {
	case m.mails <- mail:
		return say("250 taken")
	default:
		return say("452 the mailbox is full")
	}
}
