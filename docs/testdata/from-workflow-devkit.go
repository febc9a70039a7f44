package p

import (
	"context"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

type (
	Message         struct{ Text, Channel string }
	ApprovalRequest struct{}
	Value           struct {
		Value int
		Done  bool
	}
)

func process(context.Context, Message) error            { return nil }
func checkSystemStatus(context.Context) (string, error) { return "", nil }
func postToSlack(context.Context, string, string) error { return nil }
func inChannel(string) workflow.Response                { return workflow.Response{} }

var (
	eng     *engine.Engine
	mux     *http.ServeMux
	event   Message
	hook    *workflow.Hook[Value]
	webhook *workflow.Webhook
	channel string
)
