package p

import (
	"github.com/tenter-dev/tenter/signature"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	st        store.Store
	workflows []workflow.Definition
	publicURL string
	verifiers map[string]signature.Verifier
)
