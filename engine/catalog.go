package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/schema"
)

// Catalog returns what can be started and resumed: the workflows that the options name or a
// live worker has, and the hook types of Options.Hooks.
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
	for _, name := range slices.Sorted(maps.Keys(e.hookTypes)) {
		c.HookTypes = append(c.HookTypes, inspect.HookTypeInfo{Name: name, Payload: schema.Of(e.hookTypes[name].Payload)})
	}
	return c, nil
}
