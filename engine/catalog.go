package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/schema"
)

// Catalog returns what can be started and resumed: the workflows that the options name or a
// live worker has, and the hook types of Options.Hooks and those that workers have kept in the
// database.
func (e *Engine) Catalog(ctx context.Context) (inspect.Catalog, error) {
	if err := e.usable(ctx); err != nil {
		return inspect.Catalog{}, fmt.Errorf("list workflows: %w", err)
	}
	e.refreshLease()
	workers, err := e.store.Workers(ctx)
	if err != nil {
		return inspect.Catalog{}, fmt.Errorf("list workflows: %w", err)
	}
	live := map[string][]int{}
	for name := range e.defs {
		live[name] = nil
	}
	for name := range e.elsewhere {
		live[name] = nil
	}
	for _, w := range workers {
		for _, d := range w.Definitions {
			if w.Live && !slices.Contains(live[d.Workflow], d.Version) {
				live[d.Workflow] = append(live[d.Workflow], d.Version)
			}
		}
	}
	c := inspect.Catalog{Workflows: []inspect.WorkflowInfo{}, HookTypes: []inspect.HookTypeInfo{}}
	for _, name := range slices.Sorted(maps.Keys(live)) {
		info := inspect.WorkflowInfo{Name: name, Versions: append([]int{}, live[name]...)}
		slices.Sort(info.Versions)
		if def := e.definition(name, 0); def != nil {
			info.Input, info.Output = schema.Of(def.In), schema.Of(def.Out)
		}
		c.Workflows = append(c.Workflows, info)
	}
	stored, err := e.store.HookTypes(ctx)
	if err != nil {
		return inspect.Catalog{}, fmt.Errorf("list hook types: %w", err)
	}
	payloads := map[string]json.RawMessage{}
	for _, t := range slices.Concat(stored, e.kept) { // the code here is what payloads are checked by
		payloads[t.Name] = t.Payload
	}
	for _, name := range slices.Sorted(maps.Keys(payloads)) {
		info := inspect.HookTypeInfo{Name: name, Payload: payloads[name], Topic: e.hookTypes[name].Topic}
		if answer := e.hookTypes[name].Answer; answer != nil {
			info.Answer = schema.Of(answer)
		}
		c.HookTypes = append(c.HookTypes, info)
	}
	return c, nil
}
