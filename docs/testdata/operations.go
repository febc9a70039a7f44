package p

import (
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	st        store.Store
	workflows []workflow.Definition
	publicURL string
	senders   map[string]*sender.Sender
)
