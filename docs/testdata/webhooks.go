package p

import (
	"context"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

type (
	Carrier  struct{}
	Approval struct{}
)

func (Carrier) Notify(context.Context, string) error { return nil }
func lookUp(context.Context, *workflow.Request) any  { return nil }
func authenticated(h http.Handler) http.Handler      { return h }

var (
	Approvals = workflow.DefineHook[Approval]("approval")
	carrier   Carrier
	workflows []workflow.Definition
	st        store.Store
	eng       *engine.Engine
	mux       *http.ServeMux
	repo      string
	Deploy    *workflow.Workflow[string, string]
)
