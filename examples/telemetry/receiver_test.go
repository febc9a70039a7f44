package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is an OTLP endpoint on loopback that keeps what it gets.
type receiver struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	spans   []*trace.Span
	metrics map[string]*metrics.Metric // as they came last, by name
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, metrics: map[string]*metrics.Metric{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(_ http.ResponseWriter, req *http.Request) {
		var got collectortrace.ExportTraceServiceRequest
		r.read(req, &got)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range got.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
	})
	mux.HandleFunc("POST /v1/metrics", func(_ http.ResponseWriter, req *http.Request) {
		var got collectormetrics.ExportMetricsServiceRequest
		r.read(req, &got)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range got.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					r.metrics[m.GetName()] = m
				}
			}
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func (r *receiver) read(req *http.Request, m proto.Message) {
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = proto.Unmarshal(body, m)
	}
	if err != nil {
		r.t.Errorf("%s: %v", req.URL.Path, err)
	}
}

// tree is what has come of a trace, indented below its parents: names, attempts,
// errors, and for links the traces that they lead to.
func (r *receiver) tree(traceID, root string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.spans, func(a, b *trace.Span) int {
		if a.GetStartTimeUnixNano() != b.GetStartTimeUnixNano() {
			return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano())
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
	var b strings.Builder
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, s := range r.spans {
			if hex.EncodeToString(s.GetTraceId()) != traceID || hex.EncodeToString(s.GetParentSpanId()) != parent {
				continue
			}
			b.WriteString(indent + s.GetName())
			for _, attr := range s.GetAttributes() {
				if attr.GetKey() == "tenter.attempt" {
					b.WriteString(" " + string('0'+rune(attr.GetValue().GetIntValue())))
				}
			}
			if s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR && s.GetStatus().GetMessage() != "" {
				b.WriteString(" error: " + s.GetStatus().GetMessage())
			}
			for _, l := range s.GetLinks() {
				b.WriteString(" <- " + hex.EncodeToString(l.GetTraceId())[:4])
			}
			b.WriteString("\n")
			below(hex.EncodeToString(s.GetSpanId()), indent+"  ")
		}
	}
	below(root, "")
	return b.String()
}

// sum adds up what has come of a counter.
func (r *receiver) sum(name string) (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.metrics[name].GetSum().GetDataPoints() {
		n += p.GetAsInt()
	}
	return n
}

// count adds up how often a histogram was recorded.
func (r *receiver) count(name string) (n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.metrics[name].GetHistogram().GetDataPoints() {
		n += p.GetCount()
	}
	return n
}
