package main

import (
	"bytes"
	"errors"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/examples/internal/mailbox"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestMailApproval(t *testing.T) {
	t.Parallel()
	// start returns the example after it has sent its mail, and the mail.
	start := func(t *testing.T) (*exampletest.Process, received) {
		t.Helper()
		box, err := mailbox.Listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { box.Close() })
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0", "-smtp", box.Addr())
		return p, parse(t, <-box.Mails())
	}

	t.Run("approved", func(t *testing.T) {
		t.Parallel()
		p, got := start(t)
		if got.to != "<ada@example.com>" || got.subject != "Expense E-17: 70000 for a crane" {
			t.Errorf("the mail is for %s: %s", got.to, got.subject)
		}
		for label, u := range got.buttons {
			if !strings.Contains(got.text, label+": ") || !strings.Contains(got.text, u) {
				t.Errorf("the text lacks %s: %s", label, got.text)
			}
		}
		page := exampletest.Open(t, got.buttons["Approve"])
		if diff := cmp.Diff(map[string]string{"Yes": "true"}, page.Buttons); page.Status != http.StatusOK || diff != "" {
			t.Fatalf("%d, buttons (-want +got):\n%s\n%s", page.Status, diff, page.Body)
		}
		if done := page.Press("Yes"); done.Status != http.StatusOK || !strings.Contains(done.Body, "Thank you") {
			t.Errorf("%d %s", done.Status, done.Body)
		}
		p.WaitFor(`Expense E-17 is paid\.\n`)
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})

	t.Run("rejected, after a scanner has followed all links", func(t *testing.T) {
		t.Parallel()
		p, got := start(t)
		for range 5 {
			for _, u := range got.buttons {
				exampletest.Send(t, http.MethodHead, u, nil, "")
				exampletest.Open(t, u)
			}
		}
		page := exampletest.Open(t, got.buttons["Reject"])
		page = page.Press("No")
		if page.Status != http.StatusUnprocessableEntity {
			t.Errorf("without a reason: %d %s", page.Status, page.Body)
		}
		page = page.Press("No", "reason", "too large")
		if page.Status != http.StatusOK {
			t.Errorf("with a reason: %d %s", page.Status, page.Body)
		}
		p.WaitFor(`Expense E-17 is rejected: too large\n`)
	})
}

// received is what a person sees of a mail.
type received struct {
	to, subject, text string
	buttons           map[string]string // URLs by label
}

var anchor = regexp.MustCompile(`<a href="([^"]*)"[^>]*>([^<]*)</a>`)

func parse(t *testing.T, raw []byte) (got received) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	got.to, got.buttons = m.Header.Get("To"), map[string]string{}
	if got.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Error(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("the type is %s, %v", kind, err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextPart() // decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			got.text = string(body)
			continue
		}
		for _, m := range anchor.FindAllStringSubmatch(string(body), -1) {
			got.buttons[m[2]] = html.UnescapeString(m[1])
		}
	}
}
