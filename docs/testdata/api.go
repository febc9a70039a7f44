package p

import (
	"net/http"

	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

type (
	Article  struct{ Title string }
	Decision struct{ Print bool }
)

var (
	eng       *engine.Engine
	c         *client.Client
	run       *workflow.Run[string]
	article   Article
	key       string
	Publish   = workflow.Declare[Article, string]("publish")
	Decisions = workflow.DefineHook[Decision]("decision")
	_         http.Handler
)

func show(*workflow.Run[string]) {}
