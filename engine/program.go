package engine

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// program is the code that an engine has: its workflows and hook types, and what their executions
// may know.
type program struct {
	defs        map[string][]*run.Workflow // by name, the highest version last
	definitions []store.Definition
	elsewhere   map[string]bool
	hookTypes   map[string]run.HookType
	kept        []store.HookType // the same, as a worker keeps them in the store
	signer      *signer
	env         *execution.Environment
}

// newProgram checks options, sets their defaults, and returns the program that they have.
func newProgram(opts *Options) (*program, error) {
	publicURL, err := parsePublicURL(opts.PublicURL)
	if err != nil {
		return nil, err
	}
	if err := opts.checkDurations(); err != nil {
		return nil, err
	}
	if opts.KeepRefused < 0 || opts.KeepRefused > maxKeepRefused {
		return nil, fmt.Errorf("Options.KeepRefused is %d: it can't be negative, and is at most %d", opts.KeepRefused, maxKeepRefused)
	}
	opts.setDefaults()
	if err := opts.checkKeep(); err != nil {
		return nil, err
	}
	signer, err := newSigner(opts.AnswerKeys)
	if err != nil {
		return nil, err
	}
	p := &program{
		signer:    signer,
		defs:      map[string][]*run.Workflow{},
		elsewhere: map[string]bool{},
		hookTypes: map[string]run.HookType{},
		env: &execution.Environment{
			PublicURL: publicURL, DedupeFor: opts.DedupeFor, Limit: opts.MaxPayload, Senders: slices.Sorted(maps.Keys(opts.Senders)),
			RestartAfter: opts.RestartAfter, Topics: map[string]reflect.Type{},
		},
	}
	for name, s := range opts.Senders {
		if err := execution.CheckName(name); err != nil {
			return nil, fmt.Errorf("Options.Senders: name %q: %w", name, err)
		}
		if s == nil {
			return nil, fmt.Errorf("sender %q is nil", name)
		}
	}
	for _, d := range opts.Workflows {
		if err := p.define(d); err != nil {
			return nil, err
		}
	}
	for _, d := range opts.Hooks {
		if d == nil {
			return nil, errors.New("a hook type is nil")
		}
		h := run.HookDefinition(d)
		if err := execution.CheckName(h.Name); err != nil {
			return nil, fmt.Errorf("hook type name %q: %w", h.Name, err)
		}
		if _, twice := p.hookTypes[h.Name]; twice {
			return nil, fmt.Errorf("hook type %q is defined twice", h.Name)
		}
		if err := schema.Err(h.Payload); err != nil {
			return nil, fmt.Errorf("hook type %q: %w", h.Name, err)
		}
		p.hookTypes[h.Name] = h
		p.kept = append(p.kept, store.HookType{Name: h.Name, Payload: schema.Of(h.Payload)})
		if h.Topic {
			p.env.Topics[h.Name] = h.Payload
		}
	}
	if len(signer.keys) > 0 {
		p.env.Links = execution.Links{
			Key: signer.keys[0].ID,
			URL: func(id, key string) string { return publicURL + run.AnswerPath + signer.sign(id, key) },
			Form: func(hookType string) (string, bool) {
				t, ok := p.hookTypes[hookType]
				if !ok {
					return "", false
				}
				return formVersion(schema.Of(t.Payload)), true
			},
		}
	}
	for _, name := range opts.Elsewhere {
		if err := execution.CheckName(name); err != nil {
			return nil, fmt.Errorf("Options.Elsewhere: workflow name %q: %w", name, err)
		}
		p.elsewhere[name] = true
	}
	return p, nil
}

func (p *program) define(d workflow.Definition) error {
	if d == nil {
		return errors.New("a workflow is nil")
	}
	def, err := run.Definition(d)
	if err != nil {
		return err
	}
	if err := execution.CheckName(def.Name); err != nil {
		return fmt.Errorf("workflow name %q: %w", def.Name, err)
	}
	if def.Func == nil {
		return fmt.Errorf("workflow %q: its function is nil", def.Name)
	}
	if err := schema.Err(def.In); err != nil {
		return fmt.Errorf("workflow %q: %w", def.Name, err)
	}
	if def.Version < 1 || def.Version > math.MaxInt32 {
		return fmt.Errorf("workflow %q: version %d: versions count from 1, up to %d", def.Name, def.Version, math.MaxInt32)
	}
	all := p.defs[def.Name]
	i := len(all)
	for i > 0 && all[i-1].Version >= def.Version {
		if all[i-1].Version == def.Version {
			return fmt.Errorf("workflow %q version %d is defined twice", def.Name, def.Version)
		}
		i--
	}
	all = append(all, nil)
	copy(all[i+1:], all[i:])
	all[i] = def
	p.defs[def.Name] = all
	p.definitions = append(p.definitions, store.Definition{Workflow: def.Name, Version: def.Version})
	return nil
}

// definition finds the definition of a workflow. Version 0 is the highest.
func (p *program) definition(name string, version int) *run.Workflow {
	all := p.defs[name]
	if version == 0 && len(all) > 0 {
		return all[len(all)-1]
	}
	for _, def := range all {
		if def.Version == version {
			return def
		}
	}
	return nil
}
