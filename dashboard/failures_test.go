package dashboard_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A list of failed runs says why they failed, and another page groups them.
func TestFailures(t *testing.T) {
	t.Parallel()
	pays := workflow.Define("pays", func(ctx workflow.Context, order int) (int, error) {
		return 0, workflow.Do(ctx, "charge", func(context.Context) error {
			return workflow.Fatal(fmt.Errorf("card of order %d is <declined>", order))
		})
	})
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) { o.Workflows = append(o.Workflows, pays) })
	var last string
	for order := range 5 {
		run := start(w, pays, order)
		ended(w, run)
		last = run.ID()
	}
	v := newVisitor(w)
	for path, wants := range map[string][]string{
		"?status=failed&workflow=pays": {"step charge#1 failed after 1 attempt: card of order 4 is &lt;declined&gt;", `href="failures?workflow=pays"`},
		"failures":                     {`<td class="right num">5</td>`, ">charge<", "card of order … is &lt;declined&gt;", `href="run?id=` + last + `"`, "and 2 more"},
		"failures?workflow=other":      {"No runs have failed that fit."},
	} {
		_, body := v.get(path)
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q:\n%s", path, want, body)
			}
		}
	}
}
