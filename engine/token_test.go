package engine_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

var tokenWaiter = workflow.Define("token-waiter", func(ctx workflow.Context, token string) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	return hook.Wait(ctx)
})

func TestTokens(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{CacheSize: noCache}, tokenWaiter)
		for _, token := range []string{
			"a", "approval:doc/7", "two words", " ", "..", "größe 日本 🪝", "100%", `quo"te'`, "a#1 token b", "%2F", strings.Repeat("t", 1024),
		} {
			r := mustStart(l, tokenWaiter, token)
			looked, err := l.eng.HookByToken(t.Context(), token)
			if err != nil || looked.Token != token || looked.RunID != r.ID() {
				t.Errorf("token %q: looked up %+v, %v", token, looked, err)
			}
			info := l.resume(token, "for "+token)
			if info.ID != looked.ID || info.Token != token || info.RunID != r.ID() {
				t.Errorf("token %q: resumed %+v", token, info)
			}
			if got := mustResult(l, r); got != "for "+token {
				t.Errorf("token %q: result is %q", token, got)
			}
		}
	})
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, tokenWaiter)
		for name, token := range map[string]string{
			"empty": "", "10 KB": strings.Repeat("t", 10<<10), "two lines": "a\nb", "NUL": "a\x00", "delete": "a\x7f", "C1 control": "a\u0085",
		} {
			err := mustFail(l, mustStart(l, tokenWaiter, token))
			wantIs(l, err, workflow.ErrInvalidToken)
			_, err = workflow.Resume(t.Context(), l.eng, token, "x")
			if wantIs(l, err, workflow.ErrInvalidToken); t.Failed() {
				t.Fatalf("token: %s", name)
			}
			_, err = l.eng.HookByToken(t.Context(), token)
			wantIs(l, err, workflow.ErrInvalidToken)
		}
		_, err := workflow.Resume(t.Context(), l.eng, "not \xff UTF-8", "x")
		wantIs(l, err, workflow.ErrInvalidToken)
	})
}

// A generated token is a secret that does not change, and differs from run to run.
func TestGeneratedTokens(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		seen := map[string]bool{}
		wf := workflow.Define("tokens", func(ctx workflow.Context, _ string) ([]string, error) {
			var got []string
			for range 3 {
				hook, err := workflow.NewHook[string](ctx)
				if err != nil {
					return nil, err
				}
				seen[hook.Token()] = true
				s, err := hook.Wait(ctx)
				if err != nil {
					return nil, err
				}
				got = append(got, s)
			}
			return got, nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		for range 2 {
			r := mustStart(l, wf, "")
			for i := range 3 {
				hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{RunID: r.ID()})
				if err != nil || len(hooks) != i+1 {
					t.Fatalf("hooks %v, error %v", hooks, err)
				}
				l.resume(hooks[i].Token, hooks[i].Token)
			}
			for _, token := range mustResult(l, r) {
				secret, err := base64.RawURLEncoding.DecodeString(token)
				if err != nil || len(secret) < 16 {
					t.Errorf("token %q is not URL-safe or has less than 128 bits", token)
				}
				if !seen[token] {
					t.Errorf("token %q is not what the code saw", token)
				}
			}
		}
		if len(seen) != 6 {
			t.Errorf("%d tokens of two runs with three each: they change at replay, or repeat", len(seen))
		}
	})
}
