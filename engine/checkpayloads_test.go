package engine_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

type amount int

func (a amount) Validate() error {
	if a < 0 {
		return errors.New("an amount can't be negative")
	}
	return nil
}

// A check finds the payloads that the types of a new build can't take, wherever they are: in the
// journal, in a backlog, in the mailbox.
func TestCheckReplayTriesPayloads(t *testing.T) {
	t.Parallel()
	payments := func(open func(ctx workflow.Context, token string) error) workflow.Definition {
		return workflow.Define("payments", func(ctx workflow.Context, id string) (string, error) {
			if err := open(ctx, "amount:"+id); err != nil {
				return "", err
			}
			hook, err := workflow.NewHook[string](ctx, workflow.Token("go:"+id))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
	}
	old := payments(func(ctx workflow.Context, token string) error {
		_, err := workflow.NewHook[json.RawMessage](ctx, workflow.Token(token))
		return err
	})
	now := payments(func(ctx workflow.Context, token string) error {
		_, err := workflow.NewHook[amount](ctx, workflow.Token(token))
		return err
	})
	inLab(t, func(t *testing.T, l *lab) {
		runs := map[string]struct{ executing, parked []any }{
			"fits":    {[]any{1, 2, 3}, []any{4, 5}},
			"journal": {[]any{"one", 2, 3}, []any{4}},
			"backlog": {[]any{1, 2, "three", "four"}, []any{5}},
			"mailbox": {[]any{1}, []any{2, -3}},
			"all":     {[]any{"one", "two", "three"}, []any{-4, 5}},
		}
		l.run(engine.Options{}, old)
		for id, payloads := range runs {
			if _, err := l.eng.StartRun(l.Context(), workflow.StartRequest{Workflow: "payments", RunID: id, Input: []byte(`"` + id + `"`)}); err != nil {
				t.Fatal(err)
			}
			l.advance(time.Second)
			for _, p := range payloads.executing {
				l.resume("amount:"+id, p)
			}
		}
		l.advance(time.Second)
		l.run(engine.Options{}) // has no such workflow
		for id, payloads := range runs {
			for _, p := range payloads.parked {
				l.resume("amount:"+id, p)
			}
			l.resume("go:"+id, "ahead")
		}
		before := map[string]int{}
		for id := range runs {
			before[id] = len(l.journal(id))
		}

		got, counts := map[string]string{}, map[string]int{}
		for c, err := range engine.CheckReplay(l.Context(), l.store, engine.Options{Workflows: []workflow.Definition{now}}, engine.CheckReplayOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Verdict != engine.ReplaySame || (c.Detail == "") != (len(c.InvalidPayloads) == 0) || len(c.InvalidPayloads) > 1 {
				t.Errorf("%+v", c)
			}
			for _, p := range c.InvalidPayloads {
				got[c.RunID], counts[c.RunID] = p.Error, p.Count
				if p.Token != "amount:"+c.RunID || p.HookID != c.RunID+".h1" || !strings.Contains(p.Caller, "checkpayloads_test.go:") {
					t.Errorf("%+v", p)
				}
				for _, part := range []string{p.Token, p.Caller, p.Error} {
					if !strings.Contains(c.Detail, part) {
						t.Errorf("%q does not name %q", c.Detail, part)
					}
				}
			}
		}
		if diff := cmp.Diff(map[string]int{"journal": 1, "backlog": 2, "mailbox": 1, "all": 4}, counts); diff != "" {
			t.Errorf("invalid payloads (-want +got):\n%s", diff)
		}
		for id, reason := range got {
			want := "decode into engine_test.amount"
			if id == "mailbox" {
				want = "an amount can't be negative"
			}
			if !strings.Contains(reason, want) {
				t.Errorf("%s: %q does not tell that %q", id, reason, want)
			}
		}
		for id, n := range before {
			if now := len(l.journal(id)); now != n {
				t.Errorf("%s: the journal had %d events, has %d", id, n, now)
			}
		}
	})
}
