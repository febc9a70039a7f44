package workflow

import (
	"github.com/tenter-dev/tenter/internal/run"
)

func init() {
	run.Definition = func(d any) (*run.Workflow, error) { return d.(Definition).definition() } //nolint:forcetypeassert // as documented
	run.HookDefinition = func(d any) run.HookType { return d.(HookDefinition).definition() }   //nolint:forcetypeassert // as documented
	run.Defined = func(w *run.Workflow) any { return (*implementation)(w) }
	run.EncodeError, run.DecodeError = encodeError, decodeError
}

// implementation is a Definition without a handle.
type implementation run.Workflow

func (w *implementation) definition() (*run.Workflow, error) { return (*run.Workflow)(w), nil }
