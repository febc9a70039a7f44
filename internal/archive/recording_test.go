package archive_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

var runSecret = []byte("0123456789abcdef0123456789abcdef")

// upperCase redacts fields in a way that can be read.
func upperCase(fields ...string) func(*store.Run, string, any) any {
	return func(_ *store.Run, path string, v any) any {
		if s, ok := v.(string); ok && slices.Contains(fields, path) {
			return "<" + strings.ToUpper(s) + ">"
		}
		return v
	}
}

// A recording has the present generation alone, and nothing that a replay does not need.
func TestRecordingIsOfTheGeneration(t *testing.T) {
	t.Parallel()
	secret := "secret of the run to start"
	other := &store.NewRun{ID: "s", Workflow: "w", Secret: []byte(secret)}
	a := store.Archive{
		Run: store.Run{
			ID: "r", Workflow: "w", Version: 3, Status: store.Waiting, Secret: runSecret, Trace: "a trace", Worker: "a worker", Epoch: 7,
			Events: 4, Base: 2, Generation: 1,
		},
		Events: []store.Event{
			{Position: 1, Kind: store.Started, Data: []byte(`"old"`)},
			{Position: 2, Kind: store.Restarted},
			{Position: 3, Kind: store.Started, Ref: "generation 1", Data: []byte(`"new"`), Asked: "hook 1.1\nhook 1.2 named inbox\nhook 1.3 token mine", Epoch: 7, Seq: 9},
			{Position: 4, Kind: store.PayloadReceived, Ref: "r.h1.1", Data: []byte(`1`), OrStart: other},
		},
		Mail: []store.Message{
			{ID: 5, RunID: "r", Kind: store.PayloadReceived, Ref: "r.h1.1", Data: []byte(`2`), OrStart: other, Trace: "another"},
			{ID: 6, RunID: "r", Kind: store.CancelRequested},
		},
		Hooks: []store.ArchivedHook{{Hook: store.Hook{ID: "r.h1.1", Token: "secret"}}},
	}
	recorder := archive.Recorder{IDs: 2, Rands: 1}
	got, err := recorder.Record(&a)
	if err != nil {
		t.Fatal(err)
	}
	own := journal.NewDrawn(runSecret, 1, 2, 1, 1, []string{"inbox"})
	if len(got.Drawn.Tokens) != 1 || got.Drawn.Tokens[0] == own.Tokens[0] || got.Drawn.Named["inbox"] == own.Named["inbox"] {
		t.Errorf("the recording has tokens of the run: %+v", got.Drawn)
	}
	own.Tokens, own.Named = got.Drawn.Tokens, got.Drawn.Named
	want := archive.Recording{
		Archive: store.Archive{
			Run: store.Run{ID: "r", Workflow: "w", Version: 3, Status: store.Waiting, Events: 4, Base: 2, Generation: 1},
			Events: []store.Event{
				{Position: 3, Kind: store.Started, Ref: "generation 1", Data: []byte(`"new"`), Asked: "hook 1.1\nhook 1.2 named inbox\nhook 1.3 token mine"},
				{Position: 4, Kind: store.PayloadReceived, Ref: "r.h1.1", Data: []byte(`1`)},
			},
			Mail: []store.Message{{ID: 5, RunID: "r", Kind: store.PayloadReceived, Ref: "r.h1.1", Data: []byte(`2`)}},
		},
		Drawn: own,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recording (-want +got):\n%s", diff)
	}
	for label, n := range map[journal.Label]uint64{journal.LabelID: 2, journal.LabelRand: 1, journal.LabelToken: 1, journal.LabelNamed("inbox"): 1} {
		if _, ok := got.Drawn.Get(label, n); !ok {
			t.Errorf("%s %d is not recorded", label, n)
		}
		if _, ok := got.Drawn.Get(label, n+1); ok && label != journal.LabelNamed("inbox") {
			t.Errorf("%s %d is recorded, and was not drawn", label, n+1)
		}
	}
}

// A value that is redacted is replaced in its place, and in other texts where it is whole words; all
// else stays byte by byte.
func TestRecordingRedacts(t *testing.T) {
	t.Parallel()
	failure := journal.Failure{
		Text: "ada is blocked", Is: []string{"ada"}, As: []journal.Typed{{Type: journal.AsStep, Step: "ada", Cause: &journal.Failure{Text: "no ada"}}},
	}
	a := store.Archive{
		Run: store.Run{ID: "of ada", Workflow: "w", Status: store.Failed, Secret: runSecret, Events: 7},
		Events: []store.Event{
			{Position: 1, Kind: store.Started, Data: []byte(`{ "name" : "ada", "n": 1.50, "list":["ada","adam"], "in":{"name":"ada"}, "ok":true }`)},
			{Position: 2, Kind: store.StepCompleted, Ref: "ada#1", Data: []byte(`"\u003cto ada-1\u003e"`), Asked: "hook 1 token for:ada\nchild ada#1 run of ada.c.1\nstep ada#2"},
			{Position: 3, Kind: store.ChildStarted, Ref: "ada#1", Data: journal.EncodeID("of ada.c.1")},
			{Position: 4, Kind: store.PayloadReceived, Ref: "of ada.h1", Data: []byte("no JSON for ada")},
			{Position: 5, Kind: store.StepFailed, Ref: "ada#2", Data: failure.Encode()},
			{Position: 6, Kind: store.AwaitedCompleted, Ref: "1 of w run of ada", Data: []byte(`{"name":"eve"}`), Asked: "await 1 run of ada"},
			{Position: 7, Kind: store.RunFailed, Data: []byte(`null`)},
		},
	}
	recorder := archive.Recorder{Redact: upperCase("name")}
	got, err := recorder.Record(&a)
	if err != nil {
		t.Fatal(err)
	}
	failure.Text, failure.As[0].Cause.Text = "<ADA> is blocked", "no <ADA>"
	failure.Is[0], failure.As[0].Step = "<ADA>", "<ADA>" // these are texts as well
	want := []store.Event{
		{Position: 1, Kind: store.Started, Data: []byte(`{ "name" : "\u003cADA\u003e", "n": 1.50, "list":["\u003cADA\u003e","adam"], "in":{"name":"\u003cADA\u003e"}, "ok":true }`)},
		{Position: 2, Kind: store.StepCompleted, Ref: "ada#1", Data: []byte(`"\u003cto \u003cADA\u003e-1\u003e"`), Asked: "hook 1 token for:<ADA>\nchild ada#1 run of <ADA>.c.1\nstep ada#2"},
		{Position: 3, Kind: store.ChildStarted, Ref: "ada#1", Data: journal.EncodeID("of <ADA>.c.1")},
		{Position: 4, Kind: store.PayloadReceived, Ref: "of <ADA>.h1", Data: []byte("no JSON for <ADA>")},
		{Position: 5, Kind: store.StepFailed, Ref: "ada#2", Data: failure.Encode()},
		{Position: 6, Kind: store.AwaitedCompleted, Ref: "1 of w run of <ADA>", Data: []byte(`{"name":"\u003cEVE\u003e"}`), Asked: "await 1 run of <ADA>"},
		{Position: 7, Kind: store.RunFailed, Data: []byte(`null`)},
	}
	if diff := cmp.Diff(want, got.Events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got.Run.ID != "of <ADA>" {
		t.Errorf("the run is called %q", got.Run.ID)
	}
}

// The credentials of a webhook's request are left out, whatever is redacted.
func TestRecordingOfARequest(t *testing.T) {
	t.Parallel()
	token := journal.Token(journal.Derive(runSecret, journal.LabelToken, 1))
	data, err := run.EncodeRequest(run.Request{
		ID: "q", RunID: "r", Method: "POST", URL: "/hooks/" + token, Host: "example.com", RemoteAddr: "192.0.2.7:99", Sensitive: []string{"X-Mine"},
		Header: run.Header{"Authorization": {"Bearer abc"}, "X-Mine": {"mine"}, "Accept": {"text/plain", "*/*"}, "X-User": {"ada"}},
	}, []byte(`{"name":"ada"}`))
	if err != nil {
		t.Fatal(err)
	}
	a := store.Archive{
		Run: store.Run{ID: "r", Workflow: "w", Status: store.Waiting, Secret: runSecret, Events: 2},
		Events: []store.Event{
			{Position: 1, Kind: store.Started, Asked: "hook 1"},
			{Position: 2, Kind: store.PayloadReceived, Ref: "r.h1", Data: data},
		},
	}
	recorder := archive.Recorder{Redact: upperCase("name", "remote_addr")}
	got, err := recorder.Record(&a)
	if err != nil {
		t.Fatal(err)
	}
	r, body, err := run.DecodeRequest(got.Events[1].Data)
	if err != nil {
		t.Fatal(err)
	}
	want := run.Request{
		ID: "q", RunID: "r", Method: "POST", URL: "/hooks/" + got.Drawn.Tokens[0], Host: "example.com", RemoteAddr: "<192.0.2.7:99>", Sensitive: []string{"X-Mine"},
		Header: run.Header{"Authorization": {"***"}, "X-Mine": {"***"}, "Accept": {"text/plain", "*/*"}, "X-User": {"<ADA>"}},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if string(body) != `{"name":"\u003cADA\u003e"}` {
		t.Errorf("body: %s", body)
	}
}

func TestRedactFields(t *testing.T) {
	t.Parallel()
	r := &store.Run{ID: "r", Secret: runSecret}
	redact := archive.RedactFields([]string{"email", "card.number", "*"})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC).Format(time.RFC3339Nano)
	for _, tt := range []struct {
		path string
		v    any
		form string // A, a, 9 and 1 stand for a letter, a digit, and one that is not 0 or greater
	}{
		{"customer.email", "Ada.L@example.com", "Aaa.A@aaaaaaa.aaa"},
		{"card.number", json.Number("1203.5"), "1101.1"},
		{"number", json.Number("12"), "12"},
		{"other", "0a1b-2C3d", "9a9a-9A9a"},
		{"at", at, at},
		{"email", true, "true"},
		{"email", nil, "null"},
	} {
		got := redact(r, tt.path, tt.v)
		if got != redact(r, tt.path, tt.v) {
			t.Errorf("%s: it is another the second time", tt.path)
		}
		text, ok := got.(string)
		if n, isNumber := got.(json.Number); isNumber {
			text, ok = n.String(), true
		}
		if !ok || tt.form == text {
			data, _ := json.Marshal(got)
			if tt.form != strings.Trim(string(data), `"`) {
				t.Errorf("%s: %v becomes %s, want %s", tt.path, tt.v, data, tt.form)
			}
			continue
		}
		shape := strings.Map(func(c rune) rune {
			switch {
			case c >= 'A' && c <= 'Z':
				return 'A'
			case c >= 'a' && c <= 'z':
				return 'a'
			case c >= '0' && c <= '9' && !strings.Contains(tt.form, "1"):
				return '9'
			case c >= '1' && c <= '9':
				return '1'
			}
			return c
		}, text)
		if shape != tt.form {
			t.Errorf("%s: %v becomes %s, of the form %s; want %s", tt.path, tt.v, text, shape, tt.form)
		}
	}
	if a, b := redact(r, "email", "ada"), redact(&store.Run{Secret: []byte("another")}, "email", "ada"); a == b {
		t.Errorf("it can be found without the secret: %v", a)
	}
}
