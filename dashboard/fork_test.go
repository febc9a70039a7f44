package dashboard_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A step leads to the fork at it, which says what it executes again; origin and fork lead to each other.
func TestFork(t *testing.T) {
	t.Parallel()
	order := workflow.Define("forkable", func(ctx workflow.Context, _ string) (string, error) {
		for _, name := range []string{"reserve", "charge"} {
			if err := workflow.Do(ctx, name, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
		}
		return "", nil
	})
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) { o.Workflows = append(o.Workflows, order) })
	ended(w, start(w, order, "", workflow.RunID("o")))
	v := newVisitor(w)
	link := "act?do=fork&amp;id=o&amp;step=reserve%231"
	if _, body := v.get("run?id=o"); !strings.Contains(body, link) {
		t.Fatalf("the page has no link %s", link)
	}
	_, body := v.get(strings.ReplaceAll(link, "&amp;", "&"))
	for _, want := range []string{"up to event 1", "It executes step reserve#1 again, which has completed here.", "It executes step charge#1 again", `name="step" value="reserve#1"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not on the page that asks", want)
		}
	}
	res, body := v.ask("POST", "act", url.Values{"id": {"o"}, "do": {"fork"}, "step": {"reserve#1"}})
	if res.StatusCode == http.StatusSeeOther {
		res, body = v.get(res.Header.Get("Location"))
	}
	if res.StatusCode != http.StatusOK || !strings.Contains(body, "this is the fork") || !strings.Contains(body, "at step reserve#1, after event 1") {
		t.Errorf("forking shows %s\n%s", res.Status, body)
	}
	if _, body := v.get("run?id=o"); !strings.Contains(body, "<dt>Forks</dt>") {
		t.Error("the page of the origin has no forks")
	}
	if res, body := v.get("act?do=fork&id=o&step=none%231"); res.StatusCode != http.StatusConflict || !strings.Contains(body, "be forked there") {
		t.Errorf("a fork at no step: %s", res.Status)
	}
}
