package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/tenter-dev/tenter/workflow"
)

// Chat answers the messages of a channel until somebody says bye. Its result is how many there
// were.
var Chat = workflow.Define("chat", chat, workflow.StartedByRequest())

func chat(ctx workflow.Context, channel string) (int, error) {
	hook, err := workflow.NewWebhook(ctx, append(how[:len(how):len(how)], workflow.Token(token(channel)))...)
	if err != nil {
		return 0, err
	}
	defer hook.Close()

	n := 0
	for req, err := range hook.All(ctx) { // the message that has started the run is the first one
		if err != nil {
			return n, err
		}
		n++
		text := strings.TrimSpace(string(req.Body))
		answer := fmt.Sprintf("#%s %d. You say %q.\n", channel, n, text)
		if err := req.Respond(ctx, workflow.Text(http.StatusOK, answer)); err != nil {
			return n, err
		}
		if text == "bye" {
			break
		}
	}
	return n, nil
}
