package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

type parcel struct {
	Weight float64 `json:"weight" exclusiveMinimum:"0" maximum:"30"`
	To     country `json:"to"`
	Note   string  `json:"note,omitempty" maxLength:"5"`
}

type country string

func (country) Schema() json.RawMessage {
	return json.RawMessage(`{"type": "string", "enum": ["DE", "FR"]}`)
}

var parcels = workflow.DefineHook[parcel]("parcels")

// heavier is what a later version of the code has.
type heavier struct {
	Weight float64 `json:"weight" exclusiveMinimum:"0" maximum:"60"`
	To     country `json:"to"`
}

var parcelTaker = workflow.Define("parcelTaker", func(ctx workflow.Context, token string) ([]string, error) {
	hook, err := parcels.New(ctx, workflow.Token(token))
	if err != nil {
		return nil, err
	}
	var log []string
	for len(log) < 2 {
		p, err := hook.Wait(ctx)
		if misfit, ok := errors.AsType[*workflow.PayloadError](err); ok {
			log = append(log, misfit.Err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		log = append(log, string(p.To))
	}
	return log, nil
})

// resumer is an engine without the code of hook types.
func (l *lab) resumer(opts engine.Options) *engine.Engine {
	l.Helper()
	eng, err := engine.New(l.store, opts)
	if err != nil {
		l.Fatal(err)
	}
	return eng
}

// misfits are payloads that are refused, and why.
var misfits = map[string]string{
	`{"weight":31,"to":"DE"}`:                  "weight: it has to be at most 30",
	`{"weight":0,"to":"DE"}`:                   "weight: it has to be more than 0",
	`{"to":"DE"}`:                              "weight: this is needed",
	`{"weight":1}`:                             "to: this is needed",
	`{"weight":1,"to":"US"}`:                   "to: it has to be one of DE, FR",
	`{"weight":1,"to":"DE","note":"too long"}`: "note: it has to be at most 5 characters long, and is 8",
	`{"weight":"1","to":"US"}`:                 "weight: it has to be a number, such as 4.2; to: it has to be one of DE, FR",
}

// What a type declares is checked wherever a payload is sent, with the code or without it.
func TestDeclaredConstraints(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{Hooks: []workflow.HookDefinition{parcels}}, parcelTaker)
		r := mustStart(l, parcelTaker, "p")
		tool := l.resumer(engine.Options{StoredHooks: true})
		defer func() { _ = tool.Close() }()
		for payload, want := range misfits {
			for name, eng := range map[string]*engine.Engine{"with the code": l.eng, "without": tool} {
				_, err := workflow.Resume(t.Context(), eng, "p", json.RawMessage(payload))
				misfit, ok := errors.AsType[*workflow.PayloadError](err)
				if !ok || misfit.Token != "p" || misfit.Err.Error() != want {
					t.Errorf("%s, %s: %v, want %s", payload, name, err, want)
				}
				fielder, ok := errors.AsType[interface {
					error
					Field() string
				}](err)
				if field, _, _ := strings.Cut(want, ":"); !ok || fielder.Field() != field {
					t.Errorf("%s, %s: the error does not say that %s is wrong", payload, name, field)
				}
			}
		}
		if _, err := parcels.Resume(t.Context(), l.eng, "p", parcel{Weight: 31, To: "DE"}); !strings.Contains(err.Error(), "at most 30") {
			t.Errorf("typed: %v", err)
		}
		if _, err := workflow.Resume(t.Context(), tool, "p", parcel{Weight: 1, To: "DE"}); err != nil {
			t.Error(err)
		}
		if _, err := parcels.Resume(t.Context(), l.eng, "p", parcel{Weight: 1, To: "FR"}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"DE", "FR"}, mustResult(l, r)); diff != "" {
			t.Error(diff)
		}
	})
}

// A payload that nobody has checked reaches the run as an error.
func TestDeclaredConstraintsInWorkflow(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{CacheSize: noCache}, parcelTaker)
		r := mustStart(l, parcelTaker, "p")
		l.resume("p", json.RawMessage(`{"weight":31,"to":"DE"}`))
		l.resume("p", parcel{Weight: 1, To: "DE"})
		if diff := cmp.Diff([]string{"weight: it has to be at most 30", "DE"}, mustResult(l, r)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeclaredConstraintsOfInput(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		weigh := workflow.Define("weigh", func(_ workflow.Context, p parcel) (float64, error) { return p.Weight, nil })
		l.run(engine.Options{}, weigh)
		_, err := weigh.Start(t.Context(), l.eng, parcel{Weight: 31, To: "DE"})
		if misfit, ok := errors.AsType[*workflow.InputError](err); !ok || misfit.Err.Error() != "weight: it has to be at most 30" {
			t.Errorf("error is %v", err)
		}
	})
}

// catalogOf is what an engine lists of hook types.
func catalogOf(l *lab, eng *engine.Engine) []inspect.HookTypeInfo {
	l.Helper()
	c, err := eng.Catalog(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return c.HookTypes
}

func TestHookTypesTravelWithTheDatabase(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		tool := l.resumer(engine.Options{StoredHooks: true})
		defer func() { _ = tool.Close() }()
		if got := catalogOf(l, tool); len(got) > 0 {
			t.Fatalf("hook types before any worker: %v", got)
		}
		l.run(engine.Options{Hooks: []workflow.HookDefinition{parcels, orders}}, parcelTaker)
		if diff := cmp.Diff(catalogOf(l, l.eng), catalogOf(l, tool)); diff != "" || len(catalogOf(l, tool)) != 2 {
			t.Errorf("hook types with and without the code (-with +without):\n%s", diff)
		}
		mustStart(l, parcelTaker, "p")
		heavy := json.RawMessage(`{"weight":45,"to":"DE"}`)
		if _, err := workflow.Resume(t.Context(), tool, "p", heavy); err == nil {
			t.Error("it is accepted")
		}

		// A later build takes more. The tool believes no schema that it has read before.
		l.run(engine.Options{Hooks: []workflow.HookDefinition{workflow.DefineHook[heavier]("parcels")}}, parcelTaker)
		if _, err := workflow.Resume(t.Context(), tool, "p", heavy); err != nil {
			t.Error(err)
		}
		if got := catalogOf(l, tool); len(got) != 2 || !strings.Contains(string(got[1].Payload), "60") {
			t.Errorf("hook types are %v", got)
		}

		// Nobody checks what is not asked to.
		plain := l.resumer(engine.Options{})
		defer func() { _ = plain.Close() }()
		if _, err := workflow.Resume(t.Context(), plain, "p", json.RawMessage(`{}`)); err != nil {
			t.Error(err)
		}
	})
}

// keeper counts what is written of hook types, and fails for a while.
type keeper struct {
	store.Store
	puts, fail int
}

func (k *keeper) PutHookTypes(ctx context.Context, types []store.HookType) error {
	if k.fail--; k.fail >= 0 {
		return errors.New("the disk is full")
	}
	k.puts++
	return k.Store.PutHookTypes(ctx, types)
}

func TestHookTypesAreWrittenWhenTheyAreNew(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		opts := engine.Options{Hooks: []workflow.HookDefinition{parcels}}
		for i, fail := range []int{3, 0, 0} {
			k := &keeper{Store: l.store, fail: fail}
			_, stop := l.runOn(k, opts, parcelTaker)
			l.advance(time.Minute)
			if err := stop(); err != nil {
				t.Error(err)
			}
			if want := 1 - min(i, 1); k.puts != want {
				t.Errorf("worker %d wrote hook types %d times, want %d", i, k.puts, want)
			}
		}
	})
}

func TestTagsAreChecked(t *testing.T) {
	t.Parallel()
	type bad struct {
		N int `minimum:"few"`
	}
	for _, opts := range []engine.Options{
		{Hooks: []workflow.HookDefinition{workflow.DefineHook[bad]("bad")}},
		{Workflows: []workflow.Definition{workflow.Define("bad", func(_ workflow.Context, _ []bad) (int, error) { return 0, nil })}},
	} {
		inLab(t, func(t *testing.T, l *lab) {
			_, err := engine.New(l.store, opts)
			if err == nil || !strings.Contains(err.Error(), `"bad": engine_test.bad.N: tag minimum:"few": it is not a number`) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
