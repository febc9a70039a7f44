package p

import (
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	eng   *engine.Engine
	Order = workflow.Declare[string, string]("order")
)
