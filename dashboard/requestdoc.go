package dashboard

import (
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
)

// requestDoc is an HTTP request to be shown.
type requestDoc struct {
	*inspect.Request
	Headers  []header
	Content  *doc
	Partial  bool // the body is not all there
	Answer   *inspect.Response
	Answered *doc
}

type header struct{ Name, Value string }

func newRequestDoc(q *inspect.Request, limit int, url string) *requestDoc {
	if q == nil {
		return nil
	}
	d := &requestDoc{
		Request: q, Headers: headers(q.Header), Content: bodyDoc(q.Header, q.Body, limit, url),
		Partial: len(q.Body) < q.BodySize, Answer: q.Response,
	}
	if d.Content != nil {
		d.Content.Size = q.BodySize
	}
	if q.Response != nil {
		d.Answered = bodyDoc(q.Response.Header, q.Response.Body, limit, "")
	}
	return d
}

func headers(h http.Header) []header {
	var all []header
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			all = append(all, header{name, v})
		}
	}
	return all
}

// bodyDoc shows a body by its type.
func bodyDoc(h http.Header, body []byte, limit int, url string) *doc {
	if len(body) == 0 {
		return nil
	}
	if len(h) == 0 && json.Valid(body) { // of a call
		return jsonDoc(body, limit, url)
	}
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if media == "application/json" || strings.HasSuffix(media, "+json") {
		return jsonDoc(body, limit, url)
	}
	return textDoc(body, limit, url)
}
