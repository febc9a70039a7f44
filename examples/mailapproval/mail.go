package main

import (
	"bytes"
	"context"
	"fmt"
	htmltemplate "html/template"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"text/template"
	"time"
)

// letter is a mail with two buttons.
type letter struct {
	ID      string // the same whenever it is sent
	To      string
	Subject string
	Expense Expense
	Approve string // URL
	Reject  string // URL
	Until   time.Time
}

var plain = template.Must(template.New("").Parse(`{{.Expense.By}} would like to spend {{.Expense.Amount}} for {{.Expense.For}}.

Approve: {{.Approve}}
Reject:  {{.Reject}}

The links are for you alone, until {{.Until.UTC.Format "2 January, 15:04 MST"}}. Whoever has them can decide in your name.
`))

var page = htmltemplate.Must(htmltemplate.New("").Parse(`<!doctype html>
<p>{{.Expense.By}} would like to spend <b>{{.Expense.Amount}}</b> for {{.Expense.For}}.</p>
<p>
<a href="{{.Approve}}" style="display:inline-block;padding:10px 20px;border-radius:6px;background:#176639;color:#fff;text-decoration:none">Approve</a>
<a href="{{.Reject}}" style="display:inline-block;padding:10px 20px;border-radius:6px;background:#a32020;color:#fff;text-decoration:none">Reject</a>
</p>
<p>The buttons are for you alone, until {{.Until.UTC.Format "2 January, 15:04 MST"}}. Whoever has this mail can decide in your name.</p>
`))

// postman sends mails.
type postman struct {
	server string // host and port
	from   string
}

// send gives a mail to the server. A server on the Internet wants STARTTLS and smtp.Auth too:
// c.StartTLS and c.Auth, before c.Mail.
func (p *postman) send(ctx context.Context, l letter) error {
	message, err := p.message(l)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(p.server)
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.server)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })() // net/smtp knows no contexts
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return err
	}
	defer c.Close()
	if err := c.Mail(p.from); err != nil {
		return err
	}
	if err := c.Rcpt(l.To); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // the server has taken it, or says why not
		return err
	}
	_ = c.Quit() // the mail is sent, whatever the server says to this
	return nil
}

// message is the mail as a server takes it: as a text, and as a page with buttons.
func (p *postman) message(l letter) ([]byte, error) {
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	for _, h := range [][2]string{
		{"From", (&mail.Address{Address: p.from}).String()},
		{"To", (&mail.Address{Address: l.To}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", l.Subject)},
		{"Message-ID", "<" + l.ID + "@example.com>"},
		{"Date", time.Now().Format(time.RFC1123Z)},
		{"MIME-Version", "1.0"},
		{"Content-Type", "multipart/alternative; boundary=" + parts.Boundary()},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	for _, part := range []struct {
		kind string
		body interface{ Execute(io.Writer, any) error }
	}{{"text/plain", plain}, {"text/html", page}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type":              {part.kind + "; charset=utf-8"},
			"Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, err
		}
		quoted := quotedprintable.NewWriter(w)
		if err := part.body.Execute(quoted, l); err != nil {
			return nil, err
		}
		if err := quoted.Close(); err != nil {
			return nil, err
		}
	}
	err := parts.Close()
	return b.Bytes(), err
}
