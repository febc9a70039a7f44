package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/workflow"
)

// The action IDs of the buttons.
const (
	approve = "approve"
	reject  = "reject"
)

// message is a message in Block Kit. Its text is what notifications show.
type message struct {
	Channel string           `json:"channel"`
	TS      string           `json:"ts,omitempty"` // of the message to be changed
	Text    string           `json:"text"`
	Blocks  []map[string]any `json:"blocks"`
}

// ask is a question with two buttons, whose value is the token of the webhook that waits for a click.
func ask(version, token string) message {
	button := func(label, id, style string) map[string]any {
		return map[string]any{
			"type": "button", "action_id": id, "value": token, "style": style,
			"text": map[string]any{"type": "plain_text", "text": label},
		}
	}
	m := say("May " + version + " be released?")
	m.Blocks = append(m.Blocks, map[string]any{
		"type": "actions", "block_id": "decision",
		"elements": []any{button("Approve", approve, "primary"), button("Reject", reject, "danger")},
	})
	return m
}

// say is a message without buttons.
func say(text string) message {
	return message{Text: text, Blocks: []map[string]any{{
		"type": "section", "block_id": "text",
		"text": map[string]any{"type": "mrkdwn", "text": text},
	}}}
}

// slack is a client of Slack's Web API.
type slack struct {
	api   string // URL
	token string // of the bot, with the scope chat:write
}

// post posts a message, and returns its timestamp, which is its ID.
func (s *slack) post(ctx context.Context, channel string, m message) (ts string, err error) {
	m.Channel = channel
	return s.call(ctx, "chat.postMessage", m)
}

// update puts a message in the place of another one. To do it twice changes nothing.
func (s *slack) update(ctx context.Context, channel, ts string, m message) error {
	m.Channel, m.TS = channel, ts
	_, err := s.call(ctx, "chat.update", m)
	return err
}

// call calls a method. Slack answers 200 even if it refuses.
func (s *slack) call(ctx context.Context, method string, m message) (ts string, err error) {
	body, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.api+"/"+method, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK { // too many requests, or an outage: the step tries again
		return "", fmt.Errorf("%s: %s", method, res.Status)
	}
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
		TS    string `json:"ts"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	if !answer.OK { // invalid_auth, channel_not_found: no other attempt will do better
		return "", workflow.Fatal(fmt.Errorf("%s: %s", method, answer.Error))
	}
	return answer.TS, nil
}
