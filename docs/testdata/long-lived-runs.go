package p

import (
	"context"

	"github.com/tenter-dev/tenter/workflow"
)

type State struct {
	Channel  string
	Answered int
}

type Message struct{ Text string }

var Bot = workflow.Declare[State, State]("bot")

func answer(context.Context, Message) error { return nil }
