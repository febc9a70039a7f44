package newcomers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Message is one of a conversation.
type Message struct {
	Role    string
	Content string
	Tool    string
	Args    json.RawMessage
}

// Model answers.
type Model interface {
	Complete(ctx context.Context, messages []Message) (Message, error)
}

// Tool does something.
type Tool func(ctx context.Context, args json.RawMessage) (string, error)

// Agent answers messages with a model and tools, for as long as it is talked to.
type Agent struct {
	model Model
	tools map[string]Tool
}

type state struct {
	history []Message
	started time.Time
}

func (s *state) add(role, content string) {
	s.history = append(s.history, Message{Role: role, Content: content})
}

func (a *Agent) run(ctx workflow.Context, id string) (int, error) {
	s := &state{started: workflow.Now(ctx)}
	messages, err := workflow.NewHook[string](ctx, workflow.Token("agent:"+id))
	if err != nil {
		return 0, err
	}
	defer messages.Close()
	for {
		var text string
		done := false
		err := workflow.Select(ctx,
			workflow.OnPayload(messages, func(m string) error { text = m; return nil }),
			workflow.OnTimer(24*time.Hour, func() error { done = true; return nil }),
		)
		if err != nil || done {
			return len(s.history), err
		}
		s.add("user", text)
		if err := a.turn(ctx, s); err != nil {
			return len(s.history), err
		}
	}
}

func (a *Agent) turn(ctx workflow.Context, s *state) error {
	for range 10 {
		answer, err := workflow.Step(ctx, "model", func(ctx context.Context) (Message, error) {
			return a.model.Complete(ctx, s.history)
		}, workflow.MaxAttempts(3), workflow.Timeout(2*time.Minute))
		if err != nil {
			return err
		}
		s.history = append(s.history, answer)
		if answer.Tool == "" {
			return nil
		}
		tool, ok := a.tools[answer.Tool]
		if !ok {
			s.add("tool", fmt.Sprintf("there is no tool %s", answer.Tool))
			continue
		}
		out, err := workflow.Step(ctx, "tool "+answer.Tool, func(ctx context.Context) (string, error) {
			return tool(ctx, answer.Args)
		})
		if err != nil {
			s.add("tool", "error: "+err.Error())
			continue
		}
		s.add("tool", out)
	}
	return nil
}
