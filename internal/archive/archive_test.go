package archive_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/store"
)

// TestArchiveKeepsEverything fills every field that there is, so that one which is added
// to a record and forgotten here is noticed.
func TestArchiveKeepsEverything(t *testing.T) {
	t.Parallel()
	var a store.Archive
	n := 0
	fill(reflect.ValueOf(&a).Elem(), &n)
	a.Run.Events, a.Run.Base = a.Events[0].Position, a.Events[0].Position-1
	a.Events[0].Data = []byte("\x00\xff no text")
	a.Mail[0].Data = []byte{}
	a.Unread[0].Message.Data = nil
	for _, id := range []*string{
		&a.Mail[0].RunID, &a.Unread[0].Message.RunID, &a.Hooks[0].Hook.RunID, &a.Receipts[0].RunID, &a.Responses[0].RunID,
		&a.Subscriptions[0].RunID,
	} {
		*id = a.Run.ID
	}
	// These belong to the database of origin, and are determined again in the new one.
	a.Mail[0].Deferred, a.Unread[0].Message.Deferred, a.Hooks[0].Hook.Number = false, false, 0
	var b bytes.Buffer
	if err := archive.WriteTree(&b, "r", 2); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := archive.WriteRun(&b, &a); err != nil {
			t.Fatal(err)
		}
	}
	whole := b.String()
	r := archive.NewReader(&b)
	got, err := r.Tree()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]store.Archive{a, a}, got); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if _, err := r.Tree(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end the error is %v, want io.EOF", err)
	}
	// A tree that is cut off anywhere is not a tree.
	for cut := 1; cut < len(whole); cut += 7 {
		r := archive.NewReader(strings.NewReader(whole[:len(whole)-1-cut]))
		if runs, err := r.Tree(); err == nil || runs != nil {
			t.Fatalf("with %d bytes missing: %d runs, error %v", cut, len(runs), err)
		}
	}
}

// An export that was edited by hand, or damaged, is not taken for what it is not.
func TestArchiveIsReadStrictly(t *testing.T) {
	t.Parallel()
	const run = `{"lines":0,"id":"r","workflow":"w","version":1,"status":"waiting","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","epoch":1,"events":0}`
	hook := `{"hook":{"id":"h","token":"t","created_at":"2026-01-01T00:00:00Z","opened_pos":1}}`
	withHook := strings.Replace(run, `"lines":0`, `"lines":1`, 1)
	for _, tt := range []struct{ run, line, from, to, says string }{
		{run, "", "", "", ""},
		{withHook, hook, "", "", ""},
		{run, "", `"r"`, `"r\ud800"`, `run.id: \ud800 is half of a surrogate pair`},
		{run, "", `"r"`, "\"r\xff\"", `run.id: \xff is not UTF-8`},
		{run, "", `"r"`, `""`, "invalid name: it is empty"},
		{run, "", `"w"`, `"w\n"`, "invalid name: it has control characters"},
		{run, "", `"version"`, `"Version"`, `there is no field "Version"`},
		{run, "", `"version"`, `"color":"red","version"`, `there is no field "color"`},
		{run, "", `"version":1`, `"version":1,"version":2`, "run.version: the name occurs twice"},
		{withHook, hook, `"t"`, `""`, "invalid token: it is empty"},
	} {
		text := `{"tree":{"root":"r","runs":1}}` + "\n" + strings.Replace(`{"run":`+tt.run+"}\n"+tt.line, tt.from, tt.to, 1)
		r := archive.NewReader(strings.NewReader(text))
		_, err := r.Tree()
		if (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "line ")) {
			t.Errorf("%s instead of %s: error is %v, want %q", tt.to, tt.from, err, tt.says)
		}
	}
}

// fill gives each field a value of its own, which is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 1, 0, 0, *n, 123_000, time.UTC)))
			return
		}
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.String:
		v.SetString("\u2028<text " + time.Duration(*n).String())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(uint64(*n % 100))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	default:
		panic("fill " + v.Kind().String())
	}
}
