package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

// evil is put wherever users have a say. If any of it becomes part of a page as anything
// but text, the page calls pwned, has an element that it should not have, or breaks its
// policy, which the console notes.
const evil = `"'><script>pwned()</script><img src=x onerror=pwned()><svg onload=pwned()><b id=pwned>{{.}}</b><a href="javascript:pwned()">&lt;x</a>`

var evilHook = workflow.DefineHook[struct {
	Field string `json:"<img src=x onerror=pwned()>" jsonschema:"<script>pwned()</script>"`
}]("type" + evil)

var evilWorkflow = workflow.Define("wf"+evil, func(ctx workflow.Context, in string) (string, error) {
	if in == "child" {
		return evil, nil
	}
	if _, err := workflow.Step(ctx, "step"+evil, func(context.Context) (string, error) { return evil, nil }); err != nil {
		return "", err
	}
	hook, err := evilHook.New(ctx, workflow.Token("token"+evil), workflow.Metadata(map[string]string{evil: evil}))
	if err != nil {
		return "", err
	}
	plain, err := workflow.NewHook[any](ctx, workflow.Token("plain"+evil), workflow.Metadata(evil))
	if err != nil {
		return "", err
	}
	if _, err := plain.Wait(ctx); err != nil {
		return "", err
	}
	web, err := workflow.NewWebhook(ctx, workflow.Token("web-evil"))
	if err != nil {
		return "", err
	}
	if _, err := web.Wait(ctx); err != nil {
		return "", err
	}
	retried := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
		return workflow.Step(ctx, "retry"+evil, func(context.Context) (string, error) { return "", errors.New(evil) }, workflow.Backoff(time.Hour, time.Hour))
	})
	if _, err := hook.Wait(ctx); err != nil {
		return "", err
	}
	return retried.Wait(ctx)
})

var evilFailure = workflow.Define("fails", func(workflow.Context, string) (string, error) { panic(evil) })

func TestEvil(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{Title: evil}, func(o *engine.Options) {
		o.Workflows = append(o.Workflows, evilWorkflow, evilFailure)
		o.Hooks = append(o.Hooks, evilHook)
	})
	const id = "id" + evil
	as := workflow.WithActor(t.Context(), workflow.Actor{Name: evil, Via: "<script>pwned()</script>", Link: evil})
	run, err := evilWorkflow.Start(as, w.eng, evil, workflow.RunID(id))
	if err != nil {
		t.Fatal(err)
	}
	opened(w, run)
	w.eventually(func() bool {
		_, err := workflow.Resume(as, w.eng, "plain"+evil, map[string]any{evil: []string{evil}})
		return err == nil
	})
	w.eventually(func() bool {
		hooks, err := w.eng.Hooks(t.Context(), inspect.HookFilter{RunID: id})
		return err == nil && strings.Contains(fmt.Sprint(hooks), "web-evil")
	})
	post(w, "web-evil", "X-Evil", evil, "Content-Type", "text/html"+evil, "Authorization", "Bearer the-secret-of-the-sender")
	w.eventually(func() bool {
		info, err := run.Info(t.Context())
		return err == nil && !info.WakeAt.IsZero()
	})
	failed := start(w, evilFailure, evil)
	ended(w, failed)
	killed := start(w, nap, time.Hour)
	if err := killed.Terminate(as, evil); err != nil {
		t.Fatal(err)
	}
	q := url.QueryEscape
	pages := []string{
		"", "?prefix=" + q(evil), "?workflow=" + q(evil), "?parent=" + q(evil), "?within=" + q(evil), "?status=" + q(evil), "?since=" + q(evil), "?notice=" + q(evil),
		"?status=failed", "failures", "failures?workflow=" + q(evil), "failures?since=" + q(evil),
		"run?id=" + q(id), "run?id=" + q(failed.ID()), "run?id=" + q(killed.ID()), "run?id=" + q(evil),
		"run?id=" + q(id) + "&zoom=" + q(evil) + "&scale=" + q(evil) + "&items=" + q(evil),
		"hooks", "hooks?type=" + q(evil), "hooks?prefix=" + q(evil), "links?addressee=" + q(evil), "links?after=" + q(evil),
		"hook?run=" + q(id) + "&id=" + q(id+".h1"), "hook?run=" + q(id) + "&id=" + q(evil), "workflows",
		"start?workflow=" + q("wf"+evil), "start?workflow=" + q("wf"+evil) + "&like=" + q(id), "start?workflow=" + q(evil),
		"act?do=terminate&id=" + q(id), "act?do=" + q(evil) + "&id=" + q(id), "find?q=" + q(evil), "journal?after=" + q(evil) + "&id=" + q(id), "journal?id=" + q(id),
		"payload?run=" + q(id) + "&event=1", "payload?run=" + q(id) + "&event=" + q(evil), "payload?mail=" + q(evil) + "&run=" + q(id), "nothing" + url.PathEscape(evil),
		"signin?back=" + q("javascript:pwned()"),
	}
	for i := 1; i <= 8; i++ {
		pages = append(pages, fmt.Sprintf("event?id=%s&position=%d", q(id), i))
	}
	b := browsertest.New(t)
	for _, page := range pages {
		b.Do(chromedp.Navigate(w.url + page))
		b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => d.open = true)`))
		if strings.HasPrefix(page, "run?id="+q(id)) { // also by the way that changes come
			b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("[data-soft]")?.click(); new Promise(done => setTimeout(done, 150))`, chromedp.EvalAwaitPromise))
			b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("a.event")?.click(); new Promise(done => setTimeout(done, 150))`, chromedp.EvalAwaitPromise))
		}
		found := browsertest.Get(b, chromedp.Evaluate[string](`[
			...document.querySelectorAll("#pwned, main script, [onerror], [onload], img, [href^='javascript:' i], [action^='javascript:' i]"),
			...(document.querySelectorAll("script").length > 1 ? [document.scripts[1]] : []),
		].map(e => e.outerHTML.slice(0, 200)).join("\n")`))
		if found != "" {
			t.Errorf("%s: %s", page, found)
		}
		if body := browsertest.Get(b, chromedp.Evaluate[string](`document.documentElement.outerHTML`)); strings.Contains(body, "the-secret-of-the-sender") {
			t.Errorf("%s shows the secret of the webhook's caller", page)
		}
		for _, p := range b.Problems() {
			if !strings.HasPrefix(p, "network: Failed to load resource: the server responded with a status of 4") { // some of them ask for nonsense
				t.Errorf("%s: %s", page, p)
			}
		}
	}
	if shown := browsertest.Get(b, chromedp.Evaluate[string](`fetch("run?id=" + encodeURIComponent(`+"`"+strings.ReplaceAll(id, "`", "")+"`"+`)).then(r => r.text())`, chromedp.EvalAwaitPromise)); !strings.Contains(shown, "&lt;script&gt;pwned()") {
		t.Error("the page of the evil run does not show it: what is tested here?")
	}
	remote := *w
	remote.url = w.web + "/remote/"
	for _, page := range []string{"run?id=" + q(id), "hook?run=" + q(id) + "&id=" + q(id+".h1"), "start?workflow=" + q("wf"+evil) + "&like=" + q(id)} {
		if res, body := newVisitor(&remote).get(page); res.StatusCode != 200 || strings.Contains(body, "<script>pwned") {
			t.Errorf("of an engine elsewhere, %s: %s", page, res.Status)
		}
	}
}
