package workflowtest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

type customer struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Age   int    `json:"age"`
}

type purchase struct {
	ID       string   `json:"id"`
	Customer customer `json:"customer"`
	Upstream string   `json:"upstream"` // the token of a hook of another run
}

// purchases uses all that derives from the secret of a run, and makes tokens of its input. limit is what
// a customer's age is compared with.
func purchases(limit int, step string) *workflow.Workflow[purchase, string] {
	return workflow.Define("purchases", func(ctx workflow.Context, in purchase) (string, error) {
		first, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		inbox, err := workflow.NewHook[string](ctx, workflow.Named("inbox"))
		if err != nil {
			return "", err
		}
		link, err := workflow.Step(ctx, step, func(context.Context) (string, error) {
			return "https://example.com/" + first.Token() + "?for=" + in.Customer.Email, nil
		})
		if err != nil {
			return "", err
		}
		draw := workflow.Rand(ctx)
		for range 20 { // a source that is not that of the run goes another way
			if err := workflow.Do(ctx, []string{"heads", "tails"}[draw.IntN(2)], func(context.Context) error { return nil }); err != nil {
				return "", err
			}
		}
		if in.Customer.Age > limit {
			return "", fmt.Errorf("%s is too old", in.Customer.Name)
		}
		hook, err := workflow.NewHook[customer](ctx, workflow.Token("for "+in.Customer.Email+" "+workflow.NewID(ctx)))
		if err != nil {
			return "", err
		}
		got, err := hook.Wait(ctx)
		return strings.Join([]string{"paid by", got.Name, workflow.NewID(ctx), inbox.Token(), link}, " "), err
	})
}

const upstream = "Qm9vL7xk3ZpT4vN8sYw2RcJ6HdF1aGe-"

// inPurchases calls f with an engine on which one purchase has ended, and another waits, with a payload
// that it has not taken.
func inPurchases(t *testing.T, f func(t *testing.T, eng *workflowtest.Engine, secrets []string)) {
	t.Helper()
	wf := purchases(100, "mail")
	workflowtest.Test(t, with(wf), func(t *testing.T, eng *workflowtest.Engine) {
		in := purchase{"p1", customer{"Ada Lovelace", "ada@example.com", 36}, upstream}
		ended := workflowtest.Start(eng, wf, in, workflow.RunID("of ada@example.com"))
		waits := workflowtest.Start(eng, wf, in, workflow.RunID("waits"))
		for _, h := range eng.State(waits).Hooks {
			if strings.Contains(h.Token, "@") {
				continue
			}
			if _, err := workflow.Resume(t.Context(), eng, h.Token, "Ada Lovelace asks"); err != nil {
				t.Fatal(err)
			}
		}
		var secrets []string
		for _, run := range []*workflow.Run[string]{ended, waits} {
			for _, h := range eng.State(run).Hooks {
				if !strings.Contains(h.Token, "@") {
					secrets = append(secrets, h.Token)
				} else if run == ended {
					if _, err := workflow.Resume(t.Context(), eng, h.Token, in.Customer); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		workflowtest.Result(eng, ended)
		f(t, eng, secrets)
	})
}

func TestExportForReplay(t *testing.T) {
	t.Parallel()
	inPurchases(t, func(t *testing.T, eng *workflowtest.Engine, secrets []string) {
		var file bytes.Buffer
		opts := engine.ExportForReplayOptions{
			RedactFields: []string{"name", "email"},
			Redact: func(path string, value any) any {
				if path == "age" || path == "customer.age" {
					return json.Number("50")
				}
				return value
			},
		}
		ids := []string{"of ada@example.com", "waits"}
		if err := eng.Engine().ExportForReplay(t.Context(), &file, ids, opts); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			secrets = append(secrets, base64.StdEncoding.EncodeToString(workflowtest.SecretOf(id)))
		}
		secrets = append(secrets, upstream, "Ada", "Lovelace", "ada@", `"age\":36`)
		for _, secret := range secrets {
			if strings.Contains(file.String(), secret) {
				t.Errorf("the export has %q:\n%s", secret, file.String())
			}
		}
		if !strings.Contains(file.String(), "example.com") { // the letters of an address are redacted, not those of the link
			t.Errorf("the export has redacted more than it was told:\n%s", file.String())
		}
		var again bytes.Buffer
		if err := eng.Engine().ExportForReplay(t.Context(), &again, ids, opts); err != nil || again.String() != file.String() {
			t.Errorf("a second export is another: %v\n%s", err, again.String())
		}
		name := filepath.Join(t.TempDir(), "purchases.jsonl")
		if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		workflowtest.Replay(t, with(purchases(100, "mail")), name)
	})
}

// Redaction that has the code take another way is noticed when a run is exported.
func TestExportForReplayRefuses(t *testing.T) {
	t.Parallel()
	inPurchases(t, func(t *testing.T, eng *workflowtest.Engine, _ []string) {
		older := engine.ExportForReplayOptions{Redact: func(path string, value any) any {
			if path == "customer.age" {
				return json.Number("101")
			}
			return value
		}}
		var file bytes.Buffer
		err := eng.Engine().ExportForReplay(t.Context(), &file, []string{"waits"}, older)
		if err == nil || !strings.Contains(err.Error(), "run waits") || !strings.Contains(err.Error(), "redacted: diverges") {
			t.Errorf("error is %v, want that the redacted run diverges", err)
		}
		if lines := strings.Count(file.String(), "\n"); lines != 1 {
			t.Errorf("%d lines were written, want the first:\n%s", lines, file.String())
		}
		unfit := engine.ExportForReplayOptions{Redact: func(path string, value any) any {
			if path == "" && value == "Ada Lovelace asks" {
				return 1
			}
			return value
		}}
		if err := eng.Engine().ExportForReplay(t.Context(), &file, []string{"waits"}, unfit); err == nil || !strings.Contains(err.Error(), "can't be taken") {
			t.Errorf("error is %v, want that a payload can't be taken", err)
		}
		err = eng.Engine().ExportForReplay(t.Context(), &file, []string{"waits", "nobody"}, engine.ExportForReplayOptions{})
		if !errors.Is(err, workflow.ErrRunNotFound) || !strings.Contains(err.Error(), "run nobody") {
			t.Errorf("error is %v, want ErrRunNotFound", err)
		}
	})
}
