package workflow_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/workflow"
)

// Bad forms are errors, never panics; and a request survives JSON whatever is in it.
func FuzzRequest(f *testing.F) {
	for _, s := range []struct{ kind, body string }{
		{"application/x-www-form-urlencoded", "a=1&b=%20&a=2"},
		{"application/x-www-form-urlencoded; charset=utf-8", "a=1;b=2&%zz"},
		{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n\x00\r\n--B--\r\n"},
		{"multipart/form-data; boundary=", "--\r\n"},
		{"multipart/form-data", "--B"},
		{"text/plain; charset=\xff", "{}"},
		{"", `{"a": [1]}`},
	} {
		f.Add(s.kind, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := &workflow.Request{
			ID: "q", RunID: "r", Method: "POST", URL: &url.URL{Path: "/p", RawQuery: "q=1"}, Host: "h", RemoteAddr: "1.2.3.4:5",
			Header: http.Header{"Content-Type": {kind}}, ReceivedAt: time.Unix(1, 0).UTC(),
		}
		if len(body) > 0 {
			r.Body = body
		}
		form, err := r.Form()
		if _, multi := r.MultipartForm(); multi == nil && err != nil {
			t.Errorf("a multipart form is not a form: %v", err)
		}
		if err == nil && form == nil {
			t.Error("neither form nor error")
		}
		_ = r.JSON(new(any)) // it may fail
		if got, err := io.ReadAll(r.HTTP(t.Context()).Body); err != nil || string(got) != string(body) {
			t.Errorf("body %q, %v", got, err)
		}
		_ = r.LogValue()
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again workflow.Request
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, &again); diff != "" {
			t.Error(diff)
		}
	})
}
